"""Answers that public test suites recorded on Secrets Manager: docs/reference/local-aws.md has the table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.world import unique

Raw = Callable[..., tuple[int, dict[str, Any]]]

TOKEN = {"ClientRequestToken": str(uuid.uuid4())}


@pytest.fixture
def name(secrets: Any) -> str:
    created: str = secrets.create_secret(Name=unique("recorded"), SecretString="1")["Name"]
    return created


def refused(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of a refused call."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_repeated_update_succeeds(secrets: Any, name: str) -> None:
    token = str(uuid.uuid4())
    for _ in range(2):
        answer = secrets.update_secret(SecretId=name, SecretString="2", ClientRequestToken=token)
        assert answer["VersionId"] == token
    code, _ = refused(secrets.update_secret, SecretId=name, SecretString="3", ClientRequestToken=token)
    assert code == "ResourceExistsException"


def test_a_replaced_version_loses_awspending(secrets: Any, name: str) -> None:
    old = secrets.put_secret_value(SecretId=name, SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    (current,) = (
        version
        for version, stages in secrets.describe_secret(SecretId=name)["VersionIdsToStages"].items()
        if "AWSCURRENT" in stages
    )
    secrets.update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=old, RemoveFromVersionId=current
    )
    new = secrets.put_secret_value(SecretId=name, SecretString="3")["VersionId"]
    found = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    assert found == {old: ["AWSPREVIOUS"], new: ["AWSCURRENT"]}


def test_a_deleted_secret_keeps_its_tags(secrets: Any, name: str) -> None:
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "1"}])
    secrets.delete_secret(SecretId=name)
    tagged = refused(secrets.tag_resource, SecretId=name, Tags=[{"Key": "b", "Value": "2"}])
    untagged = refused(secrets.untag_resource, SecretId=name, TagKeys=["a"])
    assert {tagged[0], untagged[0]} == {"InvalidRequestException"}
    assert secrets.describe_secret(SecretId=name)["Tags"] == [{"Key": "a", "Value": "1"}]


@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": str(number), "Value": "x"} for number in range(51)],
        [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
    ],
)
def test_unusable_tags_are_refused(secrets: Any, name: str, tags: list[dict[str, str]]) -> None:
    """API:TagResource, restrictions."""
    assert refused(secrets.tag_resource, SecretId=name, Tags=tags)[0] == "InvalidParameterException"
    created = refused(secrets.create_secret, Name=unique("tagged"), SecretString="1", Tags=tags)
    assert created[0] == "InvalidParameterException"
    assert "Tags" not in secrets.describe_secret(SecretId=name)


@pytest.mark.parametrize("tag", [{"Key": "k" * 129}, {"Key": "k", "Value": "v" * 257}])
def test_tags_that_are_too_long_are_refused(secrets: Any, name: str, tag: dict[str, str]) -> None:
    """API:Tag, length constraints."""
    assert refused(secrets.tag_resource, SecretId=name, Tags=[tag])[0] == "ValidationException"


def test_an_arn_names_no_new_secret(secrets: Any, name: str) -> None:
    """API:CreateSecret, Name."""
    arn = secrets.describe_secret(SecretId=name)["ARN"]
    assert refused(secrets.create_secret, Name=arn, SecretString="x")[0] == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("CancelRotateSecret", {}),
        ("DeleteResourcePolicy", {}),
        ("DeleteSecret", {}),
        ("DescribeSecret", {}),
        ("GetResourcePolicy", {}),
        ("GetSecretValue", {}),
        ("ListSecretVersionIds", {}),
        ("PutResourcePolicy", {"ResourcePolicy": "{}"}),
        ("PutSecretValue", {"SecretString": "1", **TOKEN}),
        ("RemoveRegionsFromReplication", {"RemoveReplicaRegions": ["eu-west-1"]}),
        ("ReplicateSecretToRegions", {"AddReplicaRegions": [{"Region": "eu-west-1"}]}),
        ("RestoreSecret", {}),
        ("RotateSecret", TOKEN),
        ("StopReplicationToReplica", {}),
        ("TagResource", {"Tags": []}),
        ("UntagResource", {"TagKeys": []}),
        ("UpdateSecret", TOKEN),
        ("UpdateSecretVersionStage", {"VersionStage": "A"}),
        ("ValidateResourcePolicy", {"ResourcePolicy": "{}"}),
    ],
)
def test_a_missing_secret_has_status_400(raw: Raw, operation: str, more: dict[str, Any]) -> None:
    """Recorded, local-aws.md F10, for GetSecretValue and ListSecretVersionIds."""
    message = "Secrets Manager can't find the specified secret."
    expected = {"__type": "ResourceNotFoundException", "Message": message}
    assert raw(operation, SecretId="missing", **more) == (400, expected)


def test_only_errors_of_the_model_have_message_capitalised(raw: Raw, name: str) -> None:
    """Recorded, local-aws.md F10: SDKs parse `Message` of the errors in the service's model only."""
    exists = raw("CreateSecret", Name=name, SecretString="2", **TOKEN)
    assert exists[1]["Message"] == f"The operation failed because the secret {name} already exists."
    assert raw("DescribeSecret", SecretId="a b")[1].keys() == {"__type", "message"}


@pytest.mark.parametrize("wrong", ["Inv Name", " Inv*Name? ", "Inv\\Name", "a:b", "x\n"])
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("create_secret", {"SecretString": "1"}),
        ("delete_secret", {"ForceDeleteWithoutRecovery": True}),
        ("describe_secret", {}),
        ("get_secret_value", {}),
        ("list_secret_version_ids", {}),
        ("put_secret_value", {"SecretString": "1"}),
        ("rotate_secret", {}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "1"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("update_secret", {"Description": "x"}),
        ("validate_resource_policy", {"ResourcePolicy": "{}"}),
    ],
)
def test_an_invalid_name_is_refused(secrets: Any, operation: str, more: dict[str, Any], wrong: str) -> None:
    """Recorded, local-aws.md F11; RotateSecret: hashicorp/terraform-provider-aws#39406."""
    member = "Name" if operation == "create_secret" else "SecretId"
    message = (
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following:"
    )
    answer = refused(getattr(secrets, operation), **{member: wrong}, **more)
    assert answer == ("ValidationException", f"{message} -/_+=.@!")


def test_a_name_has_at_most_512_characters(secrets: Any) -> None:
    """API:CreateSecret, Name."""
    code, message = refused(secrets.create_secret, Name="a" * 513, SecretString="1")
    assert (code, "less than or equal to 512" in message) == ("ValidationException", True)


def test_dates_have_milliseconds(aws: LocalAws, secrets: Any, raw: Raw) -> None:
    """Recorded, local-aws.md F14. The AWS CLI's examples have at most three digits; of a read, the day."""
    found: dict[str, list[float]] = {}
    for _ in range(3):  # one date in a thousand has no fraction
        name = unique("dated")
        raw("CreateSecret", Name=name, SecretString='{"password": "1"}', **TOKEN)
        raw("GetSecretValue", SecretId=name)
        token = secrets.rotate_secret(SecretId=name, RotationLambdaARN=aws.function_arn("well"))["VersionId"]
        assert aws.wait_for_rotation(name, token).ok
        answers = [
            raw("ListSecretVersionIds", SecretId=name)[1]["Versions"][-1],
            raw("DeleteSecret", SecretId=name)[1],
            raw("DescribeSecret", SecretId=name)[1],
        ]
        for key, value in [each for answer in answers for each in answer.items() if each[0].endswith("Date")]:
            found.setdefault(key, []).append(value)
    assert {value % 86_400 for value in found.pop("LastAccessedDate")} == {0}
    assert found.keys() == {
        "CreatedDate",
        "DeletedDate",
        "DeletionDate",
        "LastChangedDate",
        "LastRotatedDate",
    }
    for values in found.values():
        assert any(value % 1 for value in values)
        assert values == [round(value, 3) for value in values]


def test_a_new_secret_has_one_date(raw: Raw) -> None:
    """API:DescribeSecret; a new secret was not changed after its creation, nor its version."""
    name = unique("dated")
    raw("CreateSecret", Name=name, SecretString="1", **TOKEN)
    described = raw("DescribeSecret", SecretId=name)[1]
    (version,) = raw("ListSecretVersionIds", SecretId=name)[1]["Versions"]
    assert described["CreatedDate"] == described["LastChangedDate"] == version["CreatedDate"]


def test_versions_name_their_keys(secrets: Any, name: str) -> None:
    """Recorded, local-aws.md F12, F13. UG:manage_update-encryption-key: stages keep both keys."""
    for value in "23":
        secrets.put_secret_value(SecretId=name, SecretString=value)
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.close()
    secrets.update_secret(SecretId=name, KmsKeyId=key)
    listed = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    keys = {tuple(each.get("VersionStages", ["none"])): each["KmsKeyIds"] for each in listed}
    default = "DefaultEncryptionKey"
    both = [key, default]
    assert keys == {("none",): [default], ("AWSPREVIOUS",): both, ("AWSCURRENT",): both}
