"""The trial of RotateImmediately=false: the rotate function on a real PostgreSQL (local-aws.md F2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import World, new_password

WAIT = 300.0


def trial(world: World, arn: str) -> Any:
    """Request a trial by the rotate function, and wait for it."""
    function = world.aws.register("trial", "rotators.handlers.rotate.handler")
    token = world.secrets.rotate_secret(SecretId=arn, RotationLambdaARN=function, RotateImmediately=False)[
        "VersionId"
    ]
    return world.aws.wait_for_rotation(arn, token, WAIT)


def verifiers(world: World, user: str) -> list[Any]:
    """The user and its clone, as the server stores them."""
    return world.sql("SELECT rolname, rolpassword FROM pg_authid WHERE starts_with(rolname, %s)", user)


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_a_trial_tests_the_current_value(world: World, strategy: str) -> None:
    """API:RotateSecret: the pending version is removed after testSecret, the only step."""
    value = world.user()
    if strategy == "alternating":
        value["masterarn"] = world.admin_secret()
    arn = world.secret(value)
    before = world.stages(arn), verifiers(world, value["username"])
    outcome = trial(world, arn)
    assert (outcome.ok, [each.step for each in outcome.steps]) == (True, ["testSecret"])
    assert '"outcome":"tested-current"' in world.aws.logs("trial")
    assert (world.stages(arn), verifiers(world, value["username"])) == before
    assert world.logs_in(value)


def test_a_failed_trial_leaves_no_pending_version(world: World) -> None:
    """API:RotateSecret; the next rotation is not refused."""
    value = world.user()
    arn = world.secret(value)
    before = world.stages(arn)
    world.set_password(value["username"], new_password())
    assert trial(world, arn).result == "failed"
    assert world.stages(arn) == before
    world.set_password(value["username"], value["password"])
    assert trial(world, arn).ok
