"""`rotators check`, `doctor` and `repair` on a real server of every engine, with every strategy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.testing import Target
from rotators.testing._case import STEPS, Case, Kit
from tests.engines.conftest import begun, require_admins, store


def answer(command: str, case: Case) -> dict[str, Any]:
    """Run a command; return the document that it prints."""
    idle = ("--idle",) if command == "doctor" else ()
    document: dict[str, Any] = json.loads(
        CliRunner().invoke(cli, [command, case.arn, "--json", *idle]).stdout
    )
    return document


def repair(case: Case) -> None:
    result = CliRunner().invoke(cli, ["repair", case.arn, "--idle"])
    assert result.exit_code == 0, result.output


@pytest.fixture
def case(any_strategy: Kit) -> Iterator[Case]:
    """A secret with an admin that has rotated once."""
    with any_strategy.case(rotations=1) as opened:
        yield opened


def test_every_strategy_is_ready_and_healthy(case: Case) -> None:
    checked = answer("check", case)
    assert checked["ready"], checked
    document = answer("doctor", case)
    assert document["healthy"], document
    if case.kit.target.administered:
        assert document["admin"]["login"] == "accepted"
    assert not [note for note in document["notes"] if "second user" in note]


def test_repair_finishes_a_rotation_interrupted_before_finishsecret(case: Case) -> None:
    token = begun(case)
    case.step(STEPS[1], token)
    assert answer("doctor", case)["state"] == "promote-pending"
    repair(case)
    assert case.current_version() == token
    assert case.current_logs_in()


def test_repair_uses_an_older_login_and_the_admin(case: Case) -> None:
    """The older value has other keys, so the stage must not move. Not every user may change itself."""
    require_admins(case.kit)
    spare = case.kit.target.create()["password"]
    store(case, {**case.current(), "password": spare, "dbInstanceIdentifier": "another"})
    assert answer("doctor", case)["state"] == "reset-by-older"
    repair(case)
    assert case.current_logs_in()


def test_repair_restores_a_manually_changed_password(case: Case, target: Target) -> None:
    require_admins(case.kit)
    target.reset(case.current())
    assert not case.current_logs_in()
    repair(case)
    assert case.current_logs_in()
    case.rotate()
    assert case.current_logs_in()
    assert answer("doctor", case)["healthy"]
