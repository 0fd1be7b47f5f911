"""`rotators engines`: the installed engines, their strategies, and the servers of their tests."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from typing import Any

import click
from rich.table import Column

from rotators.cli.output import console, json_option, table
from rotators.core.errors import RegistryError
from rotators.core.registry import load, registered
from rotators.core.secret import Secret
from rotators.strategies.engine import Engine
from rotators.strategies.proof import Proved
from rotators.strategies.rotator import engine_of, lacks_admin, strategy_of

COLUMNS = ("engine", "strategies", "installed", "proved on", "date")

_NEXT = (
    "`rotators schema ENGINE` prints the keys of its secrets; `rotators up --engine ENGINE` starts "
    "its server on this machine."
)


@click.command()
@json_option
def engines() -> None:
    """List the installed engines with their strategies.

    Shows for each engine whether its driver is installed, and the server of its tests.
    """
    rows = known_engines()
    following = next((row["next"] for row in rows if row["next"]), _NEXT)
    out = console()
    out.document({"engines": rows, "next": following})
    columns = (Column(name, no_wrap=name in {"engine", "date"}) for name in COLUMNS)
    out.print(table(columns, [cells(row) for row in rows]))
    out.print(f"Next: {following}")


def known_engines() -> list[dict[str, Any]]:
    """Return the facts about each registered engine, in alphabetical order.

    Returns:
        For each engine: ``engine`` (its name); ``strategies`` (names); ``default`` and ``default_with_admin``
        (names; the first is empty if every strategy needs an admin); ``problem`` (reason why it cannot be
        used, or empty) and ``next`` (remedy); ``server``, ``date`` and ``substitute`` (as in `Proof`; empty
        if the engine does not declare them).
    """
    found = {entry.name: entry for entry in registered()}
    return [_facts(found[name]) for name in sorted(found)]


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts of the table's columns for one engine.

    Args:
        row: one of ``known_engines()``.

    Returns:
        One text for each column, in the table's order.
    """
    with_admin = " (default with masterarn)" if row["default"] else " (default)"
    marks = {row["default_with_admin"]: with_admin, row["default"]: " (default)"}
    strategies = ", ".join(name + marks.get(name, "") for name in row["strategies"])
    server = f"not run; instead {row['server']}" if row["substitute"] else row["server"]
    return (
        row["engine"],
        strategies or "not declared",
        row["problem"] or "yes",
        server or "not declared",
        row["date"],
    )


def _facts(entry: EntryPoint) -> dict[str, Any]:
    problem = following = ""
    engine = None
    try:
        engine = engine_of(load(entry.name))
    except RegistryError as error:
        problem, following = _problem(entry, error)
    return {
        "engine": entry.name,
        **_strategies(engine),
        "problem": problem,
        "next": following,
        **_proof(engine, entry.name),
    }


def _strategies(engine: Engine | None) -> dict[str, Any]:
    if engine is None:
        return {"strategies": [], "default": "", "default_with_admin": ""}
    plain, with_admin = Secret({}), Secret({"masterarn": "any"})
    return {
        "strategies": [each.name for each in engine.strategies],
        "default": "" if lacks_admin(plain, engine) else strategy_of(plain, engine),
        "default_with_admin": strategy_of(with_admin, engine),
    }


def _proof(engine: Engine | None, name: str) -> dict[str, Any]:
    declared = engine.proved_on.get(name) if isinstance(engine, Proved) else None
    return declared._asdict() if declared else {"server": "", "date": "", "substitute": False}


def _problem(entry: EntryPoint, error: RegistryError) -> tuple[str, str]:
    """Return the reason why an engine cannot be used, and the next action."""
    cause = error.__cause__
    if not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return f"no: {error.full_code}", str(error)
    extra = _extra(entry, cause.name)
    package = f"'{entry.dist.name}[{extra}]'" if entry.dist and extra else f"the package of {cause.name}"
    return f"no: {cause.name} is missing", f"pip install {package}"


def _extra(entry: EntryPoint, module: str) -> str:
    """Return the extra of an engine's distribution that installs a driver; empty if there is none."""
    for requirement in (entry.dist.requires if entry.dist else None) or ():
        found = re.match(r"([\w-]+).*\bextra == ['\"]([\w-]+)", requirement)
        if found and found[1].lower() == module.lower():
            return found[2]
    return ""
