"""docs/how-to/recovery.md shows the real output of the commands in broken states."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from tests.cli.test_doctor_repair import State, arranged, put
from tests.world import World, new_password

pytestmark = pytest.mark.processes

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "recovery.md").read_text()

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


def plain(text: str, name: str) -> str:
    """The output, with fixed values for the parts that differ between runs."""
    text = text.replace(name, "prod/app/db")
    ids = list(dict.fromkeys(re.findall(r"\b[0-9a-f]{8}\b", text)))
    for number, found in enumerate(ids, 1):
        text = text.replace(found, f"{number}" * 8)
    text = re.sub(r"next by [0-9: -]+ UTC", "next by 2026-12-24 23:59 UTC", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def session(name: str) -> str:
    """The two commands and their output, as a terminal shows them."""
    lines = []
    for command in ("doctor", "repair"):
        result = CliRunner().invoke(cli, [command, name, "--idle"])
        said = result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            said += f"rotators: {result.exception}"
        lines.append(f"$ rotators {command} prod/app/db --idle\n{said.strip()}")
    return plain("\n\n".join(lines), name)


@pytest.mark.parametrize("title", [*BROKEN, *MISTAKEN])
def test_the_page_shows_what_is_printed(world: World, title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a slow machine an age has more digits, and its column is wider.
    monkeypatch.setattr(import_module("rotators.cli.doctor"), "age", lambda _moment: "0 s")
    arn = MISTAKEN[title](world) if title in MISTAKEN else arranged(world, BROKEN[title])
    name = world.secrets.describe_secret(SecretId=arn)["Name"]
    shown = session(name)
    assert f"### {title}\n" in PAGE
    assert shown in PAGE, shown
