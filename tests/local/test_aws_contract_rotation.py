"""RotateSecret as in the service, through its HTTP API. `UG:`, `API:` name pages of AWS's documentation."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from rotators.local.records import StepRecord

WAIT = 300.0
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]

Make = Callable[..., str]
Stages = Callable[[str], dict[str, list[str]]]


def names(aws: LocalAws, arn: str) -> list[str]:
    return [event.name for event in aws.service_events(arn) if event.name != "Secret Label Updated"]


def let_go(secrets: Any, arn: str) -> None:
    secrets.tag_resource(SecretId=arn, Tags=[{"Key": "go", "Value": "1"}])


def current(stages: dict[str, list[str]]) -> str:
    return next(version for version, held in stages.items() if "AWSCURRENT" in held)


def test_rotation_returns_with_an_empty_pending_version(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, refused: Make
) -> None:
    """Moto 1: synchronous. UG:rotate-secrets_lambda; getmoto PR #8504 for the version without a value."""
    arn = make(slow="createSecret")
    token = rotate(arn)
    assert secrets.describe_secret(SecretId=arn)["VersionIdsToStages"][token] == ["AWSPENDING"]
    listed = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    assert ["AWSPENDING"] in [version["VersionStages"] for version in listed]
    for wanted in ({"VersionId": token}, {"VersionStage": "AWSPENDING"}):
        answer = refused(secrets.get_secret_value, SecretId=arn, **wanted)
        assert answer.startswith("ResourceNotFoundException")
    let_go(secrets, arn)
    assert aws.wait_for_rotation(arn, token, WAIT).ok


def test_the_event_has_arn_token_and_rotation_token(aws: LocalAws, make: Make, rotate: Make) -> None:
    """Moto 1: the name as SecretId, no RotationToken. UG:rotate-secrets_lambda; API:PutSecretValue."""
    arn = make()
    token = rotate(arn)
    outcome = aws.wait_for_rotation(arn, token, WAIT)
    assert [step.step for step in outcome.steps] == STEPS
    keys = "['ClientRequestToken', 'RotationToken', 'SecretId', 'Step']"
    for step in STEPS:
        assert f"{step} {token} {keys} 64" in aws.logs("well")
    assert outcome.secret_id == arn


def test_success_promotes_removes_pending_and_is_reported(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, stages: Stages
) -> None:
    """API:RotateSecret, end states. The service's maintainers state that AWSPENDING is removed."""
    arn = make()
    old = current(stages(arn))
    token = rotate(arn)
    aws.wait_for_rotation(arn, token, WAIT)
    assert stages(arn) == {token: ["AWSCURRENT"], old: ["AWSPREVIOUS"]}
    assert names(aws, arn) == ["RotationStarted", "RotationSucceeded"]
    assert secrets.describe_secret(SecretId=arn)["LastRotatedDate"]


@pytest.mark.parametrize("step", STEPS)
def test_rotation_stops_at_the_first_failing_step(
    aws: LocalAws, make: Make, rotate: Make, stages: Stages, step: str
) -> None:
    """Moto 2: failures are ignored and all steps run. UG:rotate-secrets_lambda, troubleshoot_rotation."""
    arn = make(fail=step)
    token = rotate(arn)
    outcome = aws.wait_for_rotation(arn, token, WAIT)
    assert outcome.result == "failed"
    assert [each.step for each in outcome.steps] == STEPS[: STEPS.index(step) + 1]
    last = outcome.steps[-1]
    assert (last.error_type, last.error_message) == ("RuntimeError", f"{step} was told to fail")
    assert stages(arn)[token] == ["AWSPENDING"]
    value = aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    assert json.loads(value)["password"] == "first"
    assert names(aws, arn) == ["RotationStarted", "RotationFailed"]
    failed = aws.service_events(arn)[-1]
    assert failed.error == f"Error when executing lambda {aws.function_arn('well')} during {step} step"
    assert failed.detail["additionalEventData"] == {"SecretId": arn}


def test_create_secret_without_a_value_fails_the_rotation(aws: LocalAws, make: Make, rotate: Make) -> None:
    """UG:troubleshoot_rotation, `Pending secret version … was not created by Lambda …`."""
    arn = make(skip="createSecret")
    outcome = aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert outcome.result == "failed"
    assert "was not created by Lambda" in str(outcome.message)


def test_finish_secret_without_promotion_fails_the_rotation(aws: LocalAws, make: Make, rotate: Make) -> None:
    """API:RotateSecret: success is AWSCURRENT on the new version."""
    arn = make(skip="finishSecret")
    outcome = aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert outcome.result == "failed"
    assert "without moving AWSCURRENT" in str(outcome.message)


def test_a_new_token_resumes_the_stuck_rotation(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, refused: Make
) -> None:
    """Moto 3: a stuck pending version is dropped. API:RotateSecret, `a previous rotation isn't complete`."""
    arn = make(fail="setSecret")
    stuck = rotate(arn)
    assert aws.wait_for_rotation(arn, stuck, WAIT).result == "failed"
    # Remove the cause of the failure without changing AWSPENDING.
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"password": "mended"}))
    answer = refused(secrets.rotate_secret, SecretId=arn, ClientRequestToken=str(uuid.uuid4()))
    assert answer.startswith("InvalidRequestException: A previous rotation isn't complete.")
    assert aws.wait_for_rotation(arn, stuck, WAIT).ok
    assert secrets.get_secret_value(SecretId=arn)["VersionId"] == stuck


def test_its_own_token_resumes_a_stuck_rotation(
    aws: LocalAws, make: Make, rotate: Make, secrets: Any
) -> None:
    """API:RotateSecret, ClientRequestToken ensures idempotency."""
    arn = make(fail="setSecret")
    stuck = rotate(arn)
    aws.wait_for_rotation(arn, stuck, WAIT)
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"password": "mended"}))
    assert rotate(arn, ClientRequestToken=stuck) == stuck
    assert aws.wait_for_rotation(arn, stuck, WAIT).ok


def test_a_running_rotation_refuses_another(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, refused: Make
) -> None:
    """API:RotateSecret: AWSPENDING elsewhere than AWSCURRENT means a rotation in progress."""
    arn = make(slow="setSecret")
    token = rotate(arn)
    assert "isn't complete" in refused(secrets.rotate_secret, SecretId=arn)
    assert rotate(arn, ClientRequestToken=token) == token
    let_go(secrets, arn)
    assert len(aws.wait_for_rotation(arn, token, WAIT).steps) == 4
    assert names(aws, arn).count("RotationStarted") == 1


def test_awspending_on_awscurrent_does_not_block_rotation(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, stages: Stages
) -> None:
    """Moto 3: the check is inverted. API:RotateSecret, end states."""
    arn = make()
    secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSPENDING", MoveToVersionId=current(stages(arn))
    )
    token = rotate(arn)
    assert aws.wait_for_rotation(arn, token, WAIT).ok
    assert current(stages(arn)) == token


def test_repeating_a_finished_rotation_changes_nothing(
    aws: LocalAws, make: Make, rotate: Make, stages: Stages
) -> None:
    """API:RotateSecret, ClientRequestToken prevents duplicate versions."""
    arn = make()
    token = rotate(arn)
    aws.wait_for_rotation(arn, token, WAIT)
    before = stages(arn)
    assert rotate(arn, ClientRequestToken=token) == token
    assert stages(arn) == before
    assert names(aws, arn) == ["RotationStarted", "RotationSucceeded"]


def test_without_a_function_rotation_is_refused(
    secrets: Any, make: Make, stages: Stages, refused: Make
) -> None:
    """Moto 4: an empty version is promoted. API:RotateSecret; text recorded by LocalStack's tests."""
    arn = make()
    before = stages(arn)
    answer = refused(secrets.rotate_secret, SecretId=arn)
    assert answer.startswith("InvalidRequestException: No Lambda rotation function ARN is associated")
    assert stages(arn) == before
    assert "RotationEnabled" not in secrets.describe_secret(SecretId=arn)


def test_without_an_arn_the_stored_function_is_used(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make
) -> None:
    """Moto 4: the stored ARN is cleared. API:RotateSecret, RotationLambdaARN is optional."""
    arn = make()
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    token = secrets.rotate_secret(SecretId=arn)["VersionId"]
    assert aws.wait_for_rotation(arn, token, WAIT).ok
    assert secrets.describe_secret(SecretId=arn)["RotationLambdaARN"] == aws.function_arn("well")


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("rotators-rotate", "InvalidParameterException"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:rotators-rotate", "InvalidParameterException"),
        ("arn:aws:lambda:us-east-1:123456789012:function:nobody", "AccessDeniedException"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(
    secrets: Any, make: Make, refused: Make, arn: str, code: str
) -> None:
    """API:RotateSecret; function and secret are in the same Region. Missing: recorded by LocalStack."""
    answer = refused(secrets.rotate_secret, SecretId=make(), RotationLambdaARN=arn)
    assert answer.startswith(code)


def test_a_function_closed_to_the_service_is_refused(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, refused: Make
) -> None:
    """UG:rotate-secrets_turn-on-for-other: lambda:InvokeFunction for secretsmanager.amazonaws.com."""
    arn = aws.register("closed", "tests.local.handlers.rotate")
    aws.client("lambda").remove_permission(FunctionName=arn, StatementId="secrets-manager")
    answer = refused(secrets.rotate_secret, SecretId=make(), RotationLambdaARN=arn)
    assert answer.startswith("AccessDeniedException: Secrets Manager cannot invoke")


def test_a_value_changed_by_hand_abandons_the_rotation(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, stages: Stages
) -> None:
    """UG:cloudtrail_log_entries, RotationAbandoned: AWSPENDING is removed."""
    arn = make(hand="setSecret")
    outcome = aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert outcome.result == "abandoned"
    assert outcome.steps[-1].step == "setSecret"
    assert names(aws, arn) == ["RotationStarted", "RotationAbandoned"]
    assert not any("AWSPENDING" in held for held in stages(arn).values())
    assert "by-hand" in secrets.get_secret_value(SecretId=arn)["SecretString"]


def test_cancelling_ends_the_run_and_keeps_the_settings(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make
) -> None:
    """API:CancelRotateSecret; UG:cancel-automatic-rotation."""
    arn = make(slow="setSecret")
    token = rotate(arn, RotationRules={"AutomaticallyAfterDays": 30})
    secrets.cancel_rotate_secret(SecretId=arn)
    let_go(secrets, arn)
    assert aws.wait_for_rotation(arn, token, WAIT).result == "cancelled"
    found = secrets.describe_secret(SecretId=arn)
    assert found["RotationEnabled"] is False
    assert found["RotationLambdaARN"] == aws.function_arn("well")
    assert found["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert "NextRotationDate" not in found


def test_rotate_immediately_false_only_tests(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, stages: Stages
) -> None:
    """Moto 5: the AWSPENDING copy stays. API:RotateSecret removes it; recorded, local-aws.md F2."""
    arn = make(slow="testSecret")
    before = stages(arn)
    token = rotate(arn, RotateImmediately=False)
    assert stages(arn) == {**before, token: ["AWSPENDING"]}
    values = [
        secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        for stage in ("AWSPENDING", "AWSCURRENT")
    ]
    assert values[0] == values[1]
    let_go(secrets, arn)
    outcome = aws.wait_for_rotation(arn, token, WAIT)
    assert (outcome.test_only, outcome.result) == (True, "succeeded")
    assert [step.step for step in outcome.steps] == ["testSecret"]
    assert stages(arn) == before
    assert names(aws, arn) == ["TestRotationStarted", "TestRotationSucceeded"]


def test_a_trial_spares_a_stuck_rotation(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, refused: Make
) -> None:
    """API:RotateSecret, `a previous rotation isn't complete`; for its own token this is not documented."""
    arn = make(fail="setSecret")
    stuck = rotate(arn)
    aws.wait_for_rotation(arn, stuck, WAIT)
    pending = {"SecretId": arn, "VersionStage": "AWSPENDING"}
    before = secrets.get_secret_value(**pending)["SecretString"]
    answer = refused(secrets.rotate_secret, SecretId=arn, ClientRequestToken=stuck, RotateImmediately=False)
    assert "isn't complete" in answer
    assert aws.wait_for_rotation(arn, stuck, WAIT).result == "failed"
    assert secrets.get_secret_value(**pending)["SecretString"] == before


def test_a_forged_rotation_token_fails_the_rotation(aws: LocalAws, make: Make, rotate: Make) -> None:
    """Moto 8: RotationToken is ignored. API:PutSecretValue."""
    arn = make(forge=True)
    outcome = aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert outcome.result == "failed"
    assert "RotationToken isn't that of the rotation in progress" in str(outcome.steps[-1].error_message)


def test_steps_are_reported_as_they_end(aws: LocalAws, make: Make, rotate: Make) -> None:
    seen: list[StepRecord] = []
    aws.on_step = seen.append
    arn = make()
    outcome = aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert tuple(seen) == outcome.steps
    assert all(step.ok and step.seconds > 0 for step in seen)


def test_a_deleted_function_fails_the_rotation(aws: LocalAws, secrets: Any, make: Make, rotate: Make) -> None:
    arn = make(slow="createSecret")
    function = aws.register("gone", "tests.local.handlers.rotate")
    token = rotate(arn, RotationLambdaARN=function)
    aws.client("lambda").delete_function(FunctionName=function)
    let_go(secrets, arn)
    outcome = aws.wait_for_rotation(arn, token, WAIT)
    assert outcome.result == "failed"
    assert outcome.steps[-1].error_type == "ResourceNotFoundException"
