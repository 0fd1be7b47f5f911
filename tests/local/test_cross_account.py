"""A secret of one account, rotated by a function of another one with a role and the RotationToken."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.world import World, remembered, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

ELSEWHERE = "222222222222"
ROLE = f"arn:aws:iam::{ELSEWHERE}:role/rotators-target"
WAIT = 300.0


@dataclass(frozen=True)
class Elsewhere:
    """The other account, from the view of its users."""

    aws: LocalAws
    secrets: SecretsManagerClient

    def rotate(self, arn: str, function: str) -> str:
        """Request a rotation by a function of the first account; return the token."""
        token = str(uuid.uuid4())
        self.secrets.rotate_secret(
            SecretId=arn, RotationLambdaARN=self.aws.function_arn(function), ClientRequestToken=token
        )
        return token


@pytest.fixture(scope="module")
def elsewhere(aws: LocalAws) -> Elsewhere:
    keys = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="people")["Credentials"]
    return Elsewhere(aws, aws.client("secretsmanager", credentials=keys))


def admit(aws: LocalAws, function: str, account: str) -> None:
    """Add the permission that the template's RotatePermission grants to SecretAccountId."""
    aws.client("lambda").add_permission(
        FunctionName=f"rotators-{function}",
        StatementId=f"account-{account}",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=account,
    )


@pytest.fixture(scope="module")
def across(aws: LocalAws) -> str:
    """Our rotate function, which assumes a role in the other account."""
    aws.register("across", "functions.rotate.handler", {"TARGET_ROLE_ARN": ROLE})
    admit(aws, "across", ELSEWHERE)
    return "across"


def test_a_role_rotates_a_secret_in_its_account(world: World, elsewhere: Elsewhere, across: str) -> None:
    value = world.user()
    made = elsewhere.secrets.create_secret(Name=unique("across"), SecretString=json.dumps(value))
    assert made["ARN"].split(":")[4] == ELSEWHERE
    outcome = world.aws.wait_for_rotation(made["ARN"], elsewhere.rotate(made["ARN"], across), WAIT)
    assert outcome.ok, outcome
    rotated = json.loads(elsewhere.secrets.get_secret_value(SecretId=made["ARN"])["SecretString"])
    remembered(rotated["password"])
    assert rotated["password"] != value["password"]
    assert world.logs_in(rotated)
    assert not world.logs_in(value)


def test_a_function_closed_to_the_account_is_refused(world: World, elsewhere: Elsewhere) -> None:
    world.aws.register("closed", "functions.rotate.handler", {"TARGET_ROLE_ARN": ROLE})
    made = elsewhere.secrets.create_secret(Name=unique("closed"), SecretString=json.dumps({"a": "b"}))
    with pytest.raises(ClientError, match="cannot invoke the specified Lambda function"):
        elsewhere.rotate(made["ARN"], "closed")


def test_storing_without_the_rotation_token_fails_the_rotation(world: World, elsewhere: Elsewhere) -> None:
    """UG:troubleshoot_rotation: "was not created by Lambda" is the error for a missing RotationToken."""
    world.aws.register("forgetful", "tests.local.handlers.forgetful", {"TARGET_ROLE_ARN": ROLE})
    admit(world.aws, "forgetful", ELSEWHERE)
    made = elsewhere.secrets.create_secret(Name=unique("forgetful"), SecretString=json.dumps({"a": "b"}))
    outcome = world.aws.wait_for_rotation(made["ARN"], elsewhere.rotate(made["ARN"], "forgetful"), WAIT)
    assert outcome.result == "failed"
    assert "was not created by Lambda" in str(outcome.message)


def test_without_the_role_the_secret_is_not_found(world: World, elsewhere: Elsewhere) -> None:
    world.aws.register("at-home", "functions.rotate.handler")
    admit(world.aws, "at-home", ELSEWHERE)
    value: dict[str, Any] = world.user()
    made = elsewhere.secrets.create_secret(Name=unique("at-home"), SecretString=json.dumps(value))
    outcome = world.aws.wait_for_rotation(made["ARN"], elsewhere.rotate(made["ARN"], "at-home"), WAIT)
    assert outcome.result == "failed"
    assert '"error_code":"secret-not-found"' in world.aws.logs("at-home")
    assert world.logs_in(value)


def test_a_role_that_cannot_be_assumed_changes_nothing(
    world: World, elsewhere: Elsewhere, across: str
) -> None:
    value = world.user()
    made = elsewhere.secrets.create_secret(Name=unique("across"), SecretString=json.dumps(value))
    world.aws.register(across, "functions.rotate.handler", {"TARGET_ROLE_ARN": f"{ROLE}-other"})
    admit(world.aws, across, ELSEWHERE)
    world.aws.watch({f"rotators-{across}": []})
    try:
        outcome = world.aws.wait_for_rotation(made["ARN"], elsewhere.rotate(made["ARN"], across), WAIT)
    finally:
        world.aws.watch(None)
    assert outcome.result == "failed"
    assert '"error_code":"access-denied/assume-role"' in world.aws.logs(across)
    assert world.logs_in(value)
