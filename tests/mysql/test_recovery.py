"""`rotators doctor` and `rotators repair` on a real MariaDB, for what its strategies do otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password


def examined(arn: str) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["doctor", arn, "--idle", "--json"])
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def repaired(arn: str) -> None:
    result = CliRunner().invoke(cli, ["repair", arn, "--idle"])
    assert result.exit_code == 0, result.output


@pytest.fixture(params=["single", "dual", "alternating"])
def secret(request: pytest.FixtureRequest, world: MariaDbWorld) -> str:
    """A secret with an admin that has rotated twice."""
    arn = world.secret({**world.account(), "strategy": request.param, "masterarn": world.admin_secret()})
    for _ in range(2):
        world.rotate(arn)
    return arn


def test_after_rotations_all_is_healthy(secret: str) -> None:
    document = examined(secret)
    assert document["healthy"], document
    assert document["admin"]["login"] == "accepted"
    assert not [note for note in document["notes"] if "second user" in note]


def test_a_rotation_that_stopped_before_its_last_step_is_finished(world: MariaDbWorld, secret: str) -> None:
    token = world.begin(secret)
    for step in STEPS[:2]:
        world.step(step, secret, token)
    assert examined(secret)["state"] == "promote-pending"
    repaired(secret)
    assert "AWSCURRENT" in world.stages(secret)[token]
    assert world.logs_in(world.value(secret))


def test_a_password_changed_by_hand_is_brought_back_and_rotations_go_on(
    world: MariaDbWorld, secret: str
) -> None:
    current = world.value(secret)
    world.reset(current["username"], new_password())
    assert not world.logs_in(current)
    repaired(secret)
    assert world.logs_in(world.value(secret))
    world.rotate(secret)
    assert world.logs_in(world.value(secret))
    assert examined(secret)["healthy"]
