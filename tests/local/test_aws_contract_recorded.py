"""Answers that public test suites recorded on Secrets Manager; the names in brackets are AWS's."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.world import unique


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


def test_a_missing_secret_has_status_400(secrets: Any) -> None:
    with pytest.raises(ClientError) as caught:
        secrets.describe_secret(SecretId="missing")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_versions_name_their_keys(secrets: Any, name: str) -> None:
    """API:SecretVersionsListEntry, KmsKeyIds; API:UpdateSecret encrypts versions with stages again."""
    for value in "23":
        secrets.put_secret_value(SecretId=name, SecretString=value)
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.close()
    secrets.update_secret(SecretId=name, KmsKeyId=key)
    listed = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    keys = {tuple(each.get("VersionStages", ())): each["KmsKeyIds"] for each in listed}
    assert keys == {(): ["DefaultEncryptionKey"], ("AWSPREVIOUS",): [key], ("AWSCURRENT",): [key]}
