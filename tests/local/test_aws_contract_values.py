"""Values, versions and stages as in the service, through its HTTP API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from rotators.local.aws import LocalAws

Make = Callable[..., str]
Raw = Callable[..., tuple[int, dict[str, Any]]]
Stages = Callable[[str], dict[str, list[str]]]


def token() -> str:
    return str(uuid.uuid4())


def current(stages: dict[str, list[str]]) -> str:
    return next(version for version, held in stages.items() if "AWSCURRENT" in held)


def test_a_missing_operation_is_an_internal_error(aws: LocalAws) -> None:
    """Not a lost connection, which clients take for a failure of the network."""
    keys = aws.client("kms")
    with pytest.raises(keys.exceptions.ClientError) as caught:
        keys.describe_custom_key_stores()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_without_a_stage_awscurrent_is_read(secrets: Any, make: Make, stages: Stages) -> None:
    """Moto 7: the old version after UpdateSecretVersionStage. API:GetSecretValue."""
    arn, new = make(), token()
    old = current(stages(arn))
    secrets.put_secret_value(
        SecretId=arn, ClientRequestToken=new, SecretString="second", VersionStages=["AWSPENDING"]
    )
    assert secrets.get_secret_value(SecretId=arn)["VersionId"] == old
    secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old
    )
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "second"
    batch = secrets.batch_get_secret_value(SecretIdList=[arn])["SecretValues"]
    assert [entry["VersionId"] for entry in batch] == [new]


def test_a_version_with_a_value_is_immutable(secrets: Any, make: Make, refused: Make) -> None:
    """Moto 8: a filled AWSPENDING version can be overwritten. API:PutSecretValue, ClientRequestToken."""
    arn, new = make(), token()
    put = {"SecretId": arn, "ClientRequestToken": new, "VersionStages": ["AWSPENDING"]}
    first = secrets.put_secret_value(**put, SecretString="second")
    again = secrets.put_secret_value(**put, SecretString="second")
    assert (again["VersionId"], again["VersionStages"]) == (first["VersionId"], first["VersionStages"])
    answer = refused(secrets.put_secret_value, **put, SecretString="third")
    assert answer.startswith("ResourceExistsException")
    assert "third" not in answer
    assert secrets.get_secret_value(SecretId=arn, VersionId=new)["SecretString"] == "second"


def test_an_empty_pending_version_can_be_filled_once(aws: LocalAws, secrets: Any, make: Make) -> None:
    """UG:rotate-secrets_lambda-functions, createSecret."""
    arn, new = make(), token()
    aws.stage(arn, new)
    secrets.put_secret_value(
        SecretId=arn, ClientRequestToken=new, SecretBinary=b"\0bytes", VersionStages=["AWSPENDING"]
    )
    found = secrets.get_secret_value(SecretId=arn, VersionStage="AWSPENDING")
    assert (found["VersionId"], found["SecretBinary"]) == (new, b"\0bytes")


def test_a_malformed_rotation_token_is_refused(secrets: Any, make: Make, refused: Make) -> None:
    """API:PutSecretValue, RotationToken: 36-256 of [a-zA-Z0-9-]."""
    answer = refused(
        secrets.put_secret_value,
        SecretId=make(),
        SecretString="x",
        RotationToken="no spaces allowed here " * 3,
    )
    assert answer.startswith("InvalidParameterException: RotationToken")


def test_update_secret_refuses_the_token_of_a_version(secrets: Any, make: Make, refused: Make) -> None:
    """API:UpdateSecret: an existing version cannot be modified."""
    arn, new = make(), token()
    secrets.update_secret(SecretId=arn, ClientRequestToken=new, SecretString="second")
    answer = refused(secrets.update_secret, SecretId=arn, ClientRequestToken=new, SecretString="third")
    assert answer.startswith("ResourceExistsException")
    secrets.update_secret(SecretId=arn, Description="no value, no version")
    assert secrets.get_secret_value(SecretId=arn)["VersionId"] == new


def test_versions_without_stages_list_no_stages(secrets: Any, make: Make) -> None:
    """Recorded by LocalStack's tests: the key VersionStages is absent."""
    arn = make()
    for number in range(2):
        secrets.put_secret_value(SecretId=arn, SecretString=str(number))
    found = secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    assert ["VersionStages" in version for version in found] == [False, True, True]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("CreateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
        ("UpdateSecret", "InvalidRequestException"),
    ],
)
def test_a_raw_call_needs_a_token(raw: Raw, operation: str, code: str) -> None:
    """Recorded, local-aws.md F8: refused before the secret is looked up. SDKs send a token."""
    key = "Name" if operation == "CreateSecret" else "SecretId"
    message = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
    answer = raw(operation, **{key: "local/nothing", "SecretString": "x"})
    assert answer == (400, {"__type": code, "Message": message})


def test_awsprevious_follows_awscurrent(secrets: Any, make: Make, stages: Stages) -> None:
    """API:UpdateSecretVersionStage."""
    arn = make()
    first = current(stages(arn))
    second = secrets.put_secret_value(SecretId=arn, SecretString="2")["VersionId"]
    third = secrets.put_secret_value(SecretId=arn, SecretString="3")["VersionId"]
    assert stages(arn) == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=third
    )
    assert stages(arn) == {second: ["AWSCURRENT"], third: ["AWSPREVIOUS"]}
    assert secrets.get_secret_value(SecretId=arn, VersionId=first)["SecretString"]


def test_a_stage_moves_only_from_a_named_version(
    secrets: Any, make: Make, stages: Stages, refused: Make
) -> None:
    """API:UpdateSecretVersionStage, RemoveFromVersionId: required, and must match."""
    arn = make()
    old = current(stages(arn))
    new = secrets.put_secret_value(SecretId=arn, SecretString="2", VersionStages=["MINE"])["VersionId"]
    move = {"SecretId": arn, "VersionStage": "AWSCURRENT", "MoveToVersionId": new}
    before = stages(arn)
    for wrong in ({}, {"RemoveFromVersionId": new}):
        answer = refused(secrets.update_secret_version_stage, **move, **wrong)
        assert answer.startswith("InvalidParameterException")
    mine = {"SecretId": arn, "VersionStage": "MINE", "MoveToVersionId": old}
    assert "RemoveFromVersionId can't be empty" in refused(secrets.update_secret_version_stage, **mine)
    assert stages(arn) == before
    secrets.update_secret_version_stage(**mine, RemoveFromVersionId=new)
    assert stages(arn) == {old: ["AWSCURRENT", "MINE"]}


def test_awscurrent_cannot_be_removed_altogether(
    secrets: Any, make: Make, stages: Stages, refused: Make
) -> None:
    """API:UpdateSecretVersionStage: a secret with a value always has one current version."""
    arn = make()
    answer = refused(
        secrets.update_secret_version_stage,
        SecretId=arn,
        VersionStage="AWSCURRENT",
        RemoveFromVersionId=current(stages(arn)),
    )
    assert answer.startswith("InvalidParameterException")


def test_versions_are_listed_in_pages(secrets: Any, make: Make) -> None:
    """Moto 9: the name as ARN. API:ListSecretVersionIds, IncludeDeprecated."""
    arn = make()
    for number in range(4):
        secrets.put_secret_value(SecretId=arn, SecretString=str(number))
    answer = secrets.list_secret_version_ids(SecretId=arn)
    assert answer["ARN"] == arn
    assert "NextToken" not in answer
    assert len(answer["Versions"]) == 2
    params = {"SecretId": arn, "IncludeDeprecated": True, "MaxResults": 3}
    first = secrets.list_secret_version_ids(**params)
    second = secrets.list_secret_version_ids(**params, NextToken=first["NextToken"])
    found = [version["VersionId"] for page in (first, second) for version in page["Versions"]]
    assert len(found) == len(set(found)) == 5
    assert "NextToken" not in second


def test_version_id_and_stage_must_match(secrets: Any, make: Make, stages: Stages, refused: Make) -> None:
    """API:GetSecretValue: both must refer to the same version."""
    arn = make()
    params = {"SecretId": arn, "VersionId": current(stages(arn)), "VersionStage": "AWSPREVIOUS"}
    assert refused(secrets.get_secret_value, **params).startswith("InvalidRequestException")


def test_a_deleted_secret_refuses_read_write_and_rotation(
    aws: LocalAws, secrets: Any, make: Make, refused: Make
) -> None:
    """API:DeleteSecret: the value cannot be read until the deletion."""
    arn = make()
    secrets.delete_secret(SecretId=arn)
    function = aws.function_arn("well")
    for operation, params in (
        (secrets.get_secret_value, {}),
        (secrets.put_secret_value, {"SecretString": "x"}),
        (secrets.update_secret, {"SecretString": "x"}),
        (secrets.rotate_secret, {"RotationLambdaARN": function}),
    ):
        answer = refused(operation, SecretId=arn, **params)
        assert answer.startswith("InvalidRequestException")
        assert "marked for deletion" in answer


@pytest.mark.parametrize("name", ["has space", "söße", "semi;colon"])
def test_a_name_with_other_characters_is_refused(secrets: Any, refused: Make, name: str) -> None:
    """API:CreateSecret: ASCII letters, digits and /_+=.@-."""
    answer = refused(secrets.create_secret, Name=name, SecretString="x")
    assert answer.startswith("ValidationException: Invalid name")


def test_a_value_has_at_most_65536_bytes(secrets: Any, make: Make, refused: Make) -> None:
    """UG:reference_limits; bytes, not characters."""
    arn = make()
    secrets.put_secret_value(SecretId=arn, SecretString="x" * 65_536)
    for value in ({"SecretString": "ä" * 32_769}, {"SecretBinary": b"x" * 65_537}):
        assert "65536" in refused(secrets.put_secret_value, SecretId=arn, **value)


def test_a_secret_has_at_most_20_stages(secrets: Any, make: Make, refused: Make) -> None:
    """UG:reference_limits: across all versions."""
    arn = make()
    stages = [f"stage{number}" for number in range(19)]
    secrets.put_secret_value(SecretId=arn, SecretString="x", VersionStages=stages)
    answer = refused(secrets.put_secret_value, SecretId=arn, SecretString="x", VersionStages=["one-more"])
    assert answer.startswith("LimitExceededException")


def test_a_101st_version_within_a_day_is_refused(secrets: Any, make: Make, refused: Make) -> None:
    """UG:reference_limits: versions without a stage are pruned above 100, never under 24 h old."""
    arn = make()
    for number in range(99):
        secrets.put_secret_value(SecretId=arn, SecretString=str(number))
    answer = refused(secrets.put_secret_value, SecretId=arn, SecretString="one more")
    assert answer.startswith("LimitExceededException")


def test_enabling_rotation_and_staging_start_no_rotation(
    aws: LocalAws, secrets: Any, make: Make, stages: Stages
) -> None:
    arn, first, second = make(), token(), token()
    aws.enable_rotation(arn)
    found = secrets.describe_secret(SecretId=arn)
    assert (found["RotationEnabled"], found["RotationLambdaARN"]) == (True, aws.function_arn("rotate"))
    aws.stage(arn, first)
    aws.stage(arn, second)
    assert stages(arn)[second] == ["AWSPENDING"]
    assert first not in stages(arn)
    assert aws.service_events(arn) == []


PUBLIC = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    ],
}


def policy(**changes: Any) -> str:
    return json.dumps({**PUBLIC, "Statement": [{**PUBLIC["Statement"][0], **changes}]})  # type: ignore[dict-item]


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["123456789012", "*"]}])
def test_a_public_policy_is_blocked_when_asked_for(
    secrets: Any, make: Make, refused: Make, principal: Any
) -> None:
    """Moto 9: BlockPublicPolicy has no effect. API:PutResourcePolicy, UG:best-practices."""
    arn, public = make(), policy(Principal=principal)
    answer = refused(secrets.put_resource_policy, SecretId=arn, ResourcePolicy=public, BlockPublicPolicy=True)
    assert answer.startswith("PublicPolicyException")
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId=arn)
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=public, BlockPublicPolicy=False)
    assert secrets.get_resource_policy(SecretId=arn)["ResourcePolicy"] == public


@pytest.mark.parametrize(
    "changes",
    [
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Effect": "Deny"},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
    ],
)
def test_a_policy_that_is_not_public_passes(secrets: Any, make: Make, changes: dict[str, Any]) -> None:
    """API:PutResourcePolicy."""
    arn = make()
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy(**changes), BlockPublicPolicy=True)
    assert secrets.validate_resource_policy(ResourcePolicy=policy(**changes))["PolicyValidationPassed"]


@pytest.mark.parametrize(
    ("text", "check"),
    [(policy(), "BLOCK_PUBLIC_POLICY"), ("no json", "POLICY_SYNTAX"), ("{}", "POLICY_SYNTAX")],
)
def test_policies_are_validated_without_being_attached(
    secrets: Any, make: Make, text: str, check: str
) -> None:
    """Moto 9: ValidateResourcePolicy is not implemented. API:ValidateResourcePolicy."""
    arn = make()
    answer = secrets.validate_resource_policy(SecretId=arn, ResourcePolicy=text)
    assert answer["PolicyValidationPassed"] is False
    assert [each["CheckName"] for each in answer["ValidationErrors"]] == [check]
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId=arn)


def test_a_replica_can_become_an_independent_secret(aws: LocalAws, secrets: Any, make: Make) -> None:
    """Moto 9: StopReplicationToReplica is not implemented. API:StopReplicationToReplica."""
    arn = make()
    secrets.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=[{"Region": "eu-west-1"}])
    elsewhere = aws.client("secretsmanager", region="eu-west-1")
    replica = arn.replace("us-east-1", "eu-west-1")
    assert elsewhere.stop_replication_to_replica(SecretId=replica)["ARN"] == replica
    elsewhere.put_secret_value(SecretId=replica, SecretString="its own")
    assert elsewhere.get_secret_value(SecretId=replica)["SecretString"] == "its own"
    assert "first" in secrets.get_secret_value(SecretId=arn)["SecretString"]
    assert not secrets.describe_secret(SecretId=arn).get("ReplicationStatus")


def test_a_batch_returns_the_error_of_each_secret(
    aws: LocalAws, secrets: Any, make: Make, stages: Stages
) -> None:
    """API:BatchGetSecretValue, Errors."""
    good, deleted = make(), make()
    secrets.delete_secret(SecretId=deleted)
    empty = secrets.create_secret(Name=f"empty/{token()}")["ARN"]
    answer = secrets.batch_get_secret_value(SecretIdList=[good, deleted, empty, "nobody"])
    assert [entry["ARN"] for entry in answer["SecretValues"]] == [good]
    assert {entry["SecretId"]: entry["ErrorCode"] for entry in answer["Errors"]} == {
        deleted: "InvalidRequestException",
        empty: "ResourceNotFoundException",
        "nobody": "ResourceNotFoundException",
    }
