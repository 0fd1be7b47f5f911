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


def test_without_the_role_the_secret_is_closed(world: World, elsewhere: Elsewhere) -> None:
    world.aws.register("at-home", "functions.rotate.handler")
    admit(world.aws, "at-home", ELSEWHERE)
    value: dict[str, Any] = world.user()
    made = elsewhere.secrets.create_secret(Name=unique("at-home"), SecretString=json.dumps(value))
    outcome = world.aws.wait_for_rotation(made["ARN"], elsewhere.rotate(made["ARN"], "at-home"), WAIT)
    assert outcome.result == "failed"
    assert '"error_code":"access-denied"' in world.aws.logs("at-home")
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


@dataclass(frozen=True)
class Shared:
    """A secret of the first account, and the other account's client that reads it."""

    own: Any
    theirs: SecretsManagerClient
    arn: str

    def share(self, **statement: Any) -> None:
        """Let the other account do everything with the secret."""
        everything = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [{**everything, **statement}]}
        self.own.put_resource_policy(SecretId=self.arn, ResourcePolicy=json.dumps(policy))

    def refused(self, operation: str, **more: Any) -> str:
        """Code and message of a refused call of the other account."""
        with pytest.raises(ClientError) as caught:
            getattr(self.theirs, operation)(SecretId=self.arn, **more)
        error = caught.value.response["Error"]
        return f"{error['Code']}: {error['Message']}"


@pytest.fixture
def shared(aws: LocalAws, elsewhere: Elsewhere) -> Shared:
    own = aws.client("secretsmanager")
    return Shared(own, elsewhere.secrets, own.create_secret(Name=unique("shared"), SecretString="1")["ARN"])


def test_the_default_key_serves_one_account(shared: Shared) -> None:
    """Recorded, local-aws.md F9 (LocalStack's tests, test_cross_account_access)."""
    shared.share()
    message = (
        "InvalidRequestException: You can't access a secret from a different AWS account if you encrypt the "
        "secret with the default KMS service key."
    )
    assert shared.refused("get_secret_value") == message
    assert shared.refused("put_secret_value", SecretString="2") == message
    assert shared.refused("update_secret", SecretString="2") == message
    assert shared.own.get_secret_value(SecretId=shared.arn)["SecretString"] == "1"


def test_the_default_key_has_an_arn_too(shared: Shared) -> None:
    shared.share()
    alias = "arn:aws:kms:us-east-1:123456789012:alias/aws/secretsmanager"
    shared.own.update_secret(SecretId=shared.arn, KmsKeyId=alias)
    assert shared.own.get_secret_value(SecretId=shared.arn)["SecretString"] == "1"
    assert "default KMS service key" in shared.refused("get_secret_value")


def test_a_batch_reads_secrets_of_other_accounts(aws: LocalAws, shared: Shared) -> None:
    """API:BatchGetSecretValue: GetSecretValue decides about each secret."""
    mine = shared.theirs.create_secret(Name=unique("mine"), SecretString="m")["ARN"]
    closed = shared.own.create_secret(Name=unique("closed"), SecretString="c")["ARN"]
    default = shared.own.create_secret(Name=unique("default"), SecretString="d")["ARN"]
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    admit_to_key(aws, key)
    shared.own.update_secret(SecretId=shared.arn, KmsKeyId=key)
    for arn in (shared.arn, default):
        Shared(shared.own, shared.theirs, arn).share(Action="secretsmanager:GetSecretValue")
    ids = [shared.arn, mine, closed, default, shared.own.describe_secret(SecretId=shared.arn)["Name"]]
    answer = shared.theirs.batch_get_secret_value(SecretIdList=ids)
    assert {each["ARN"]: each["SecretString"] for each in answer["SecretValues"]} == {
        shared.arn: "1",
        mine: "m",
    }
    assert [each["ErrorCode"] for each in answer["Errors"]] == [
        "AccessDeniedException",
        "InvalidRequestException",
        "ResourceNotFoundException",
    ]


def admit_to_key(aws: LocalAws, key: str) -> None:
    """Let the other account's role use a key."""
    keys = aws.client("kms")
    admitted = {"Effect": "Allow", "Principal": {"AWS": [ROLE]}, "Action": "kms:*", "Resource": "*"}
    policy = json.loads(keys.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"].append(admitted)
    keys.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))


def test_the_default_key_guards_values_only(shared: Shared) -> None:
    """Recorded on AWS (LocalStack's tests, test_cross_account_access)."""
    shared.share()
    named: Any = {"SecretId": shared.arn}
    assert shared.theirs.describe_secret(**named)["ARN"] == shared.arn
    assert len(shared.theirs.list_secret_version_ids(**named)["Versions"]) == 1
    shared.theirs.tag_resource(**named, Tags=[{"Key": "a", "Value": "1"}])
    assert shared.own.describe_secret(**named)["Tags"] == [{"Key": "a", "Value": "1"}]
    shared.theirs.untag_resource(**named, TagKeys=["a"])
    assert "ResourcePolicy" in shared.theirs.get_resource_policy(**named)
    assert shared.arn not in [each["ARN"] for each in shared.theirs.list_secrets()["SecretList"]]
    shared.theirs.delete_secret(**named)
    assert "DeletedDate" in shared.own.describe_secret(**named)
    shared.theirs.restore_secret(**named)
    assert "DeletedDate" not in shared.own.describe_secret(**named)


def test_a_key_of_the_account_serves_others(aws: LocalAws, shared: Shared) -> None:
    """Recorded on AWS (LocalStack's tests, test_cross_account_access_non_default_key)."""
    shared.share()
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    shared.own.update_secret(SecretId=shared.arn, KmsKeyId=key)
    assert shared.refused("get_secret_value") == "AccessDeniedException: Access to KMS is not allowed"
    admit_to_key(aws, key)
    shared.theirs.put_secret_value(SecretId=shared.arn, SecretString="2")
    assert shared.theirs.get_secret_value(SecretId=shared.arn)["SecretString"] == "2"


def test_a_secret_is_closed_to_other_accounts(shared: Shared) -> None:
    """UG:auth-and-access_examples_cross: the policy of the secret must allow the other account's caller."""
    for operation in ("describe_secret", "get_secret_value"):
        answer = shared.refused(operation)
        assert answer.startswith("AccessDeniedException: User: arn:aws:sts::222222222222:assumed-role/")
        assert answer.endswith(f"because no resource-based policy allows the {_action(operation)} action")
    shared.share(Action="secretsmanager:DescribeSecret")
    assert shared.theirs.describe_secret(SecretId=shared.arn)["ARN"] == shared.arn
    assert shared.refused("get_secret_value").startswith("AccessDeniedException")


def test_a_session_can_be_admitted(shared: Shared) -> None:
    """IAM guide, reference_policies_elements_principal: role sessions."""
    session = f"arn:aws:sts::{ELSEWHERE}:assumed-role/rotators-target/people"
    shared.share(Principal={"AWS": session.replace("people", "others")})
    assert shared.refused("describe_secret").startswith("AccessDeniedException")
    shared.share(Principal={"AWS": session})
    assert shared.theirs.describe_secret(SecretId=shared.arn)["ARN"] == shared.arn


def _action(operation: str) -> str:
    return "secretsmanager:" + "".join(word.title() for word in operation.split("_"))
