"""docs/how-to/recovery.md shows the real output of the commands in broken states."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from tests.cli.documented import ROOT, SESSION, compare, plain
from tests.cli.test_doctor_repair import State, arranged, put
from tests.world import World, new_password

pytestmark = pytest.mark.processes

PAGE = ROOT / "docs" / "how-to" / "recovery.md"

BROKEN: dict[str, State] = {
    "A rotation stopped before its last step": ("pending", "filled", True, False, False),
    "AWSPENDING was removed after its password was set": ("history", "absent", False, True, False),
    "The database was restored from an old snapshot": ("previous", "absent", True, False, False),
    "The password was changed at the target, and the secret has an admin": (
        "nobody",
        "absent",
        True,
        False,
        True,
    ),
    "The password was changed at the target, and the secret has no admin": (
        "nobody",
        "empty",
        False,
        False,
        False,
    ),
}


def mistyped(world: World) -> str:
    """A secret that works, with a strategy that does not exist."""
    return world.secret({**world.user(), "strategy": "alternate"})


def led_away(world: World) -> str:
    """A secret whose address was changed by someone who did not know its password."""
    user = world.user()
    arn = world.secret(user)
    put(world, arn, {**user, "host": "127.0.0.1", "password": new_password()}, "AWSCURRENT")
    return arn


MISTAKEN: dict[str, Callable[[World], str]] = {
    "A key of the secret is wrong": mistyped,
    "The address in the secret was changed": led_away,
}


def recorded(title: str) -> str:
    """The session below a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"### {title}\n")[1]
    found = SESSION.search(section)
    assert found
    return found[1]


def session(name: str) -> str:
    """The two commands and their output, as a terminal shows them."""
    lines = []
    for command in ("doctor", "repair"):
        result = CliRunner().invoke(cli, [command, name, "--idle"])
        said = result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            said += f"rotators: {result.exception}"
        lines.append(f"$ rotators {command} prod/app/db --idle\n{said.strip()}")
    return plain("\n\n".join(lines).replace(name, "prod/app/db"))


@pytest.mark.parametrize("title", [*BROKEN, *MISTAKEN])
def test_the_page_shows_the_printed_output(world: World, title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a slow machine an age has more digits, and its column is wider.
    monkeypatch.setattr(import_module("rotators.cli.doctor"), "age", lambda _moment: "0 s")
    arn = MISTAKEN[title](world) if title in MISTAKEN else arranged(world, BROKEN[title])
    name = world.secrets.describe_secret(SecretId=arn)["Name"]
    compare(PAGE, recorded(title), session(name))
