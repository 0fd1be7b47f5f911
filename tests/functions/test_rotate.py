"""The rotate handler: its log lines, metrics, API calls, and the cache of a warm container."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions import rotate
from rotators.aws import clients
from rotators.core.errors import (
    RotationNotEnabled,
    RotatorNotFound,
    RotatorsError,
    VersionNotPending,
    VersionNotStaged,
)
from rotators.testing._case import STEPS
from tests.world import World, new_password


@pytest.fixture
def calls(world: World) -> Iterator[Counter[str]]:
    """Number of calls of each Secrets Manager operation by the functions."""
    counter: Counter[str] = Counter()
    events = clients.secrets_manager().meta.events

    def count(model: Any, **_: object) -> None:
        counter[model.name] += 1

    events.register("before-call.secrets-manager", count, unique_id="test-count")
    yield counter
    events.unregister("before-call.secrets-manager", count, unique_id="test-count")


def log_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("strategy", "logins"), [("single", 2), ("alternating", 3)])
def test_a_warm_rotation_makes_eight_calls(
    world: World, calls: Counter[str], strategy: str, logins: int
) -> None:
    arn = world.secret({**world.user(), "masterarn": world.admin_secret(), "strategy": strategy})
    world.rotate(arn)
    token = world.begin(arn)
    calls.clear()
    before, failed = world.logins(), world.server.log().count("FATAL")
    for step in STEPS:
        world.step(step, arn, token)
    assert calls.total() <= 8
    assert calls["DescribeSecret"] == 4
    assert calls["PutSecretValue"] == calls["UpdateSecretVersionStage"] == 1
    assert world.logins() - before == logins
    assert world.server.log().count("FATAL") == failed


def test_a_containers_first_rotation_makes_eight_calls(world: World, calls: Counter[str]) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    calls.clear()
    for step in STEPS:
        world.step(step, arn, token)
    assert calls == {
        "DescribeSecret": 4,
        "GetSecretValue": 2,
        "PutSecretValue": 1,
        "UpdateSecretVersionStage": 1,
    }


def test_each_step_is_one_json_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    arn = world.secret({**world.user(), "strategy": "single"})
    token = world.begin(arn)
    capsys.readouterr()
    for step in STEPS:
        world.step(step, arn, token)
    lines = [line for line in log_lines(capsys.readouterr().out) if "level" in line]
    assert [line["step"] for line in lines] == list(STEPS)
    for line in lines:
        assert (line["secret"], line["token"], line["rotator"], line["strategy"]) == (
            arn,
            token,
            "postgres",
            "single",
        )
        assert line["outcome"] == "done"
        assert line["duration_ms"] > 0


def test_steps_are_counted_by_rotator_and_step(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    user = world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.set_password(user["username"], new_password())
    capsys.readouterr()
    world.step("createSecret", arn, token)
    with pytest.raises(RotatorsError):
        world.step("setSecret", arn, token)
    metrics = [line for line in log_lines(capsys.readouterr().out) if "_aws" in line]
    assert [(line["rotator"], line["step"]) for line in metrics] == [
        ("postgres", "createSecret"),
        ("postgres", "setSecret"),
    ]
    assert metrics[0]["StepSucceeded"] == [1.0]
    assert metrics[1]["StepFailed"] == [1.0]
    assert metrics[1]["Duration"][0] > 0


def test_a_failure_is_logged_and_raised(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    arn = world.secret({**world.user(), "password": new_password()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    capsys.readouterr()
    with pytest.raises(RotatorsError):
        world.step("setSecret", arn, token)
    (line,) = [line for line in log_lines(capsys.readouterr().out) if "level" in line]
    assert line["level"] == "ERROR"
    assert line["error_code"] == "credentials-rejected"
    assert line["outcome"] == "failed"


def test_the_context_is_optional(world: World) -> None:
    arn = world.secret(world.user())
    event = {"Step": "createSecret", "SecretId": arn, "ClientRequestToken": world.begin(arn)}
    rotate.handler(event)
    rotate.handler(event, None)


@pytest.mark.parametrize("step", STEPS)
def test_stages_that_forbid_a_step_refuse_it(world: World, step: str) -> None:
    arn = world.secret(world.user())
    with pytest.raises(VersionNotStaged, match="no stage for rotation"):
        world.step(step, arn, str(uuid.uuid4()))
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.secrets.update_secret_version_stage(SecretId=arn, VersionStage="MINE", MoveToVersionId=token)
    world.of(arn).drop_pending(token)
    with pytest.raises(VersionNotPending, match="not set as AWSPENDING"):
        world.step(step, arn, token)
    world.secrets.cancel_rotate_secret(SecretId=arn)
    with pytest.raises(RotationNotEnabled):
        world.step(step, arn, token)


@pytest.mark.parametrize("step", STEPS)
def test_steps_of_a_finished_rotation_do_nothing(world: World, step: str) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    for each in STEPS:
        world.step(each, arn, token)
    before = world.logins(), world.stages(arn), world.value(arn)
    world.step(step, arn, token)
    assert (world.logins(), world.stages(arn), world.value(arn)) == before


def test_the_rotator_of_the_environment_outranks_the_engine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.secret(world.user())
    monkeypatch.setenv("ROTATOR", "no-such-rotator")
    token = world.begin(arn)
    with pytest.raises(RotatorNotFound, match="no-such-rotator"):
        world.step("createSecret", arn, token)
    monkeypatch.setenv("ROTATOR", "aurora-postgresql")
    world.step("createSecret", arn, token)


def test_rotator_serves_a_secret_without_engine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATOR", "postgres")
    user = {key: value for key, value in world.user().items() if key != "engine"}
    assert world.logs_in(world.rotate(world.secret(user)))


def test_a_binary_secret_is_refused_with_its_reason(world: World) -> None:
    arn = world.secrets.create_secret(Name=f"binary-{uuid.uuid4()}", SecretBinary=b"\x00\x01")["ARN"]
    world.aws.enable_rotation(arn)
    with pytest.raises(RotatorsError, match="binary"):
        world.step("createSecret", arn, world.begin(arn))
