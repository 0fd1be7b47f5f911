"""Replicas of secrets in other Regions, through the HTTP API. Each test names its source."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from rotators.local.aws import LocalAws
from tests.world import unique

OTHER = "eu-west-3"
THIRD = "ap-northeast-3"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
            }
        ],
    }
)
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def there(aws: LocalAws) -> Any:
    return aws.client("secretsmanager", region=OTHER)


@pytest.fixture
def arn(secrets: Any) -> Iterator[str]:
    created: str = secrets.create_secret(Name=unique("replicated"), SecretString="1")["ARN"]
    yield created
    held = [each["Region"] for each in statuses(secrets, created)]
    if held:
        secrets.remove_regions_from_replication(SecretId=created, RemoveReplicaRegions=held)
    secrets.delete_secret(SecretId=created, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def replica(secrets: Any, arn: str) -> str:
    replicate(secrets, arn)
    return in_region(arn)


def in_region(arn: str, region: str = OTHER) -> str:
    """The ARN of a replica: API:ReplicateSecretToRegions, it differs in the Region only."""
    return arn.replace("us-east-1", region)


def replicate(secrets: Any, arn: str, region: str = OTHER, **more: Any) -> list[dict[str, Any]]:
    key = {"KmsKeyId": more.pop("key")} if "key" in more else {}
    answer = secrets.replicate_secret_to_regions(
        SecretId=arn, AddReplicaRegions=[{"Region": region, **key}], **more
    )
    assert answer["ARN"] == arn
    found: list[dict[str, Any]] = answer["ReplicationStatus"]
    return found


def statuses(secrets: Any, arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = secrets.describe_secret(SecretId=arn).get("ReplicationStatus", [])
    return found


def test_a_new_replica_is_in_progress(aws: LocalAws, secrets: Any, there: Any, arn: str) -> None:
    """AWS CLI reference: the answer says InProgress. API:DescribeSecret: InSync when it was created."""
    aws.replication_delay = 1
    try:
        (answered,) = replicate(secrets, arn)
        (first,) = statuses(secrets, arn)
        with pytest.raises(there.exceptions.ResourceNotFoundException):
            there.get_secret_value(SecretId=in_region(arn))
        (second,) = statuses(secrets, arn)
    finally:
        aws.replication_delay = 0
    assert (
        answered
        == first
        == {
            "Region": OTHER,
            "KmsKeyId": "alias/aws/secretsmanager",
            "Status": "InProgress",
        }
    )
    assert (second["Status"], second["StatusMessage"]) == ("InSync", "Replication succeeded")
    assert there.get_secret_value(SecretId=in_region(arn))["SecretString"] == "1"


def test_a_new_secret_is_replicated(secrets: Any, there: Any, refused: Refused) -> None:
    """API:CreateSecret, AddReplicaRegions; a replica takes the name in its Region."""
    name = unique("born")
    created = secrets.create_secret(Name=name, SecretString="1", AddReplicaRegions=[{"Region": OTHER}])
    assert [each["Status"] for each in created["ReplicationStatus"]] == ["InProgress"]
    assert there.get_secret_value(SecretId=name)["SecretString"] == "1"
    assert refused(there.create_secret, Name=name, SecretString="2").startswith("ResourceExistsException")


def test_a_taken_name_fails_and_can_be_overwritten(secrets: Any, there: Any, arn: str) -> None:
    """UG:replicate-secrets_troubleshoot; API:ReplicateSecretToRegions, ForceOverwriteReplicaSecret."""
    name = secrets.describe_secret(SecretId=arn)["Name"]
    there.create_secret(Name=name, SecretString="mine")
    replicate(secrets, arn)
    (failed,) = statuses(secrets, arn)
    message = f"Replication failed: Secret name {name} already exists in region {OTHER}."
    assert (failed["Status"], failed["StatusMessage"]) == ("Failed", message)
    assert there.get_secret_value(SecretId=name)["SecretString"] == "mine"
    replicate(secrets, arn, ForceOverwriteReplicaSecret=True)
    assert [each["Status"] for each in statuses(secrets, arn)] == ["InSync"]
    assert there.get_secret_value(SecretId=name)["SecretString"] == "1"


def test_a_replica_of_another_secret_stays(aws: LocalAws, secrets: Any, arn: str, replica: str) -> None:
    """Seen on AWS: "currently replicated … with a different arn", also with ForceOverwriteReplicaSecret."""
    third, name = aws.client("secretsmanager", region=THIRD), secrets.describe_secret(SecretId=arn)["Name"]
    other = third.create_secret(
        Name=name,
        SecretString="2",
        AddReplicaRegions=[{"Region": OTHER}],
        ForceOverwriteReplicaSecret=True,
    )["ARN"]
    (failed,) = statuses(third, other)
    assert failed["Status"] == "Failed"
    assert "with a different arn" in failed["StatusMessage"]
    assert [each["Status"] for each in statuses(secrets, arn)] == ["InSync"]


def test_a_region_has_one_replica(secrets: Any, arn: str, replica: str) -> None:
    """API:ReplicationStatusType has one status for a Region."""
    replicate(secrets, arn)
    replicate(secrets, arn, THIRD)
    assert [(each["Region"], each["Status"]) for each in statuses(secrets, arn)] == [
        (OTHER, "InSync"),
        (THIRD, "InSync"),
    ]


@pytest.mark.parametrize("region", ["us-east-1", "xx-nowhere-9"])
def test_an_impossible_region_is_refused(secrets: Any, arn: str, refused: Refused, region: str) -> None:
    """Recorded on AWS: "Invalid replica region."."""
    assert refused(replicate, secrets=secrets, arn=arn, region=region) == (
        "InvalidParameterException: Invalid replica region."
    )
    assert statuses(secrets, arn) == []


def test_a_replica_has_its_own_key(secrets: Any, there: Any, arn: str) -> None:
    """API:ReplicaRegionType, KmsKeyId. UG:replicate-secrets_troubleshoot: it is disabled or not found."""
    kms = boto3.client("kms", region_name=OTHER)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    for wrong in (key.replace(OTHER, THIRD), "alias/missing", "missing"):
        replicate(secrets, arn, key=wrong)
        (failed,) = statuses(secrets, arn)
        assert (failed["Status"], failed["KmsKeyId"]) == ("Failed", wrong)
    kms.disable_key(KeyId=key.rpartition("/")[2])
    replicate(secrets, arn, key=key)
    assert [each["Status"] for each in statuses(secrets, arn)] == ["Failed"]
    kms.enable_key(KeyId=key.rpartition("/")[2])
    replicate(secrets, arn, key=key)
    kms.close()
    assert [(each["Status"], each["KmsKeyId"]) for each in statuses(secrets, arn)] == [("InSync", key)]
    assert there.describe_secret(SecretId=in_region(arn))["KmsKeyId"] == key
    assert "KmsKeyId" not in secrets.describe_secret(SecretId=arn)


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("put_secret_value", {"SecretString": "2"}),
        ("update_secret", {"Description": "x"}),
        ("update_secret", {"SecretString": "2"}),
        ("update_secret", {"KmsKeyId": "alias/aws/secretsmanager", "Description": "x"}),
        ("update_secret_version_stage", {"VersionStage": "MINE", "RemoveFromVersionId": "0" * 32}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("rotate_secret", {}),
        ("cancel_rotate_secret", {}),
        ("put_resource_policy", {"ResourcePolicy": "{}"}),
        ("delete_resource_policy", {}),
        ("delete_secret", {}),
        ("restore_secret", {}),
        ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": THIRD}]}),
        ("remove_regions_from_replication", {"RemoveReplicaRegions": [OTHER]}),
    ],
)
def test_a_replica_is_read_only(
    there: Any, replica: str, refused: Refused, operation: str, more: dict[str, Any]
) -> None:
    """UG:standalone-secret: a replica is updated with its secret only.

    The answer was seen on AWS for PutResourcePolicy (lgallard/terraform-aws-secrets-manager#188) and
    DeleteSecret (rebuy-de/aws-nuke#1127, gruntwork-io/cloud-nuke#435); for other operations moto's tests
    assume it (test_update_replica).
    """
    assert refused(getattr(there, operation), SecretId=replica, **more) == (
        "InvalidParameterException: Operation not permitted on a replica secret. "
        "Call must be made in primary secret's region."
    )


def test_a_replica_changes_its_own_key(secrets: Any, there: Any, arn: str, replica: str) -> None:
    """UG:standalone-secret: it can't be updated independently from its secret, except for its key."""
    kms = boto3.client("kms", region_name=OTHER)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    answer = there.update_secret(SecretId=replica, KmsKeyId=key)
    assert (answer["ARN"], "VersionId" in answer) == (replica, False)
    assert there.describe_secret(SecretId=replica)["KmsKeyId"] == key
    assert [each["KmsKeyId"] for each in statuses(secrets, arn)] == [key]
    (listed,) = there.list_secret_version_ids(SecretId=replica)["Versions"]
    assert listed["KmsKeyIds"] == [key]
    assert "KmsKeyId" not in secrets.describe_secret(SecretId=arn)
    kms.disable_key(KeyId=key.rpartition("/")[2])
    with pytest.raises(there.exceptions.DecryptionFailure):
        there.get_secret_value(SecretId=replica)
    with pytest.raises(there.exceptions.EncryptionFailure):
        there.update_secret(SecretId=replica, KmsKeyId=key)
    there.update_secret(SecretId=replica, KmsKeyId="alias/aws/secretsmanager")
    assert there.get_secret_value(SecretId=replica)["SecretString"] == "1"
    kms.close()


def test_a_replica_follows_its_secret(secrets: Any, there: Any, arn: str, replica: str) -> None:
    """UG:create-manage-multi-region-secrets: values, tags and resource policies are replicated."""
    new = secrets.put_secret_value(SecretId=arn, SecretString="2")["VersionId"]
    secrets.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}])
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=POLICY)
    assert there.get_secret_value(SecretId=replica)["VersionId"] == new
    assert there.describe_secret(SecretId=replica)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert there.get_resource_policy(SecretId=replica)["ResourcePolicy"] == POLICY


def test_the_last_read_is_of_the_region(secrets: Any, there: Any, arn: str, replica: str) -> None:
    """API:ReplicationStatusType and SecretListEntry, LastAccessedDate: the last read in the Region."""
    there.get_secret_value(SecretId=replica)
    described = secrets.describe_secret(SecretId=arn)
    assert "LastAccessedDate" not in described
    (status,) = described["ReplicationStatus"]
    read = there.describe_secret(SecretId=replica)["LastAccessedDate"]
    assert status["LastAccessedDate"] == read
    assert read.astimezone(dt.UTC).time() == dt.time()


def test_a_replicated_secret_cannot_be_deleted(
    secrets: Any, there: Any, arn: str, replica: str, refused: Refused
) -> None:
    """Recorded on AWS (rebuy-de/aws-nuke#1127). API:RemoveRegionsFromReplication deletes the replicas."""
    replicate(secrets, arn, THIRD)
    for more in ({}, {"ForceDeleteWithoutRecovery": True}):
        assert refused(secrets.delete_secret, SecretId=arn, **more) == (
            f"InvalidParameterException: You can't delete secret {arn} that still has replica regions "
            f"[{OTHER}, {THIRD}]."
        )
    name = secrets.describe_secret(SecretId=arn)["Name"]
    answer = secrets.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[OTHER])
    assert (answer["ARN"], [each["Region"] for each in answer["ReplicationStatus"]]) == (arn, [THIRD])
    assert refused(there.describe_secret, SecretId=replica).startswith("ResourceNotFoundException")


def test_a_promoted_replica_keeps_the_replicated_data(secrets: Any, there: Any, arn: str) -> None:
    """API:StopReplicationToReplica: it becomes a standalone secret in its Region."""
    kms = boto3.client("kms", region_name=OTHER)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.close()
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=POLICY)
    secrets.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}])
    replicate(secrets, arn, key=key)
    there.stop_replication_to_replica(SecretId=in_region(arn))
    assert "PrimaryRegion" not in secrets.describe_secret(SecretId=arn)
    secrets.untag_resource(SecretId=arn, TagKeys=["a"])
    alone = there.describe_secret(SecretId=in_region(arn))
    assert (alone["KmsKeyId"], alone["Tags"]) == (key, [{"Key": "a", "Value": "b"}])
    assert "PrimaryRegion" not in alone
    assert there.get_resource_policy(SecretId=in_region(arn))["ResourcePolicy"] == POLICY


def test_replication_is_reported_as_events(aws: LocalAws, secrets: Any, there: Any, arn: str) -> None:
    """UG:cloudtrail_log_entries: ReplicationStarted, ReplicationSucceeded, ReplicationFailed."""
    there.create_secret(Name=secrets.describe_secret(SecretId=arn)["Name"], SecretString="mine")
    replicate(secrets, arn)
    replicate(secrets, arn, ForceOverwriteReplicaSecret=True)
    assert [each.name for each in aws.service_events(arn)] == [
        "ReplicationStarted",
        "ReplicationFailed",
        "ReplicationStarted",
        "ReplicationSucceeded",
    ]


def test_a_deleted_secret_shows_the_deletion_date(secrets: Any) -> None:
    """API:SecretListEntry, DeletedDate: the time of the deletion. API:DeleteSecret, DeletionDate."""
    name = unique("deleted")
    secrets.create_secret(Name=name, SecretString="1")
    end = secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)["DeletionDate"]
    deleted = secrets.describe_secret(SecretId=name)["DeletedDate"]
    assert dt.timedelta(days=6, hours=23) < end - deleted < dt.timedelta(days=7, hours=1)


def test_replication_needs_its_own_permission(aws: LocalAws, refused: Refused) -> None:
    """API:CreateSecret, required permissions."""
    caller = boto3.client("secretsmanager", aws_access_key_id="local-maker", aws_secret_access_key="local")
    aws.watch({"maker": [{"Effect": "Allow", "Action": "secretsmanager:CreateSecret", "Resource": "*"}]})
    try:
        denied = refused(
            caller.create_secret,
            Name=unique("denied"),
            SecretString="1",
            AddReplicaRegions=[{"Region": OTHER}],
        )
    finally:
        aws.watch(None)
        caller.close()
    assert "secretsmanager:ReplicateSecretToRegions" in denied


def test_a_replica_is_allowed_by_its_tags(aws: LocalAws, secrets: Any, arn: str, replica: str) -> None:
    """UG:create-manage-multi-region-secrets: tags are replicated, so that ABAC decides in each Region."""
    secrets.tag_resource(SecretId=arn, Tags=[{"Key": "team", "Value": "a"}])
    caller = boto3.client(
        "secretsmanager",
        region_name=OTHER,
        aws_access_key_id="local-member",
        aws_secret_access_key="local",
    )
    allowed = {
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": replica,
        "Condition": {"StringEquals": {"secretsmanager:ResourceTag/team": "a"}},
    }
    aws.watch({"member": [allowed]})
    try:
        assert caller.get_secret_value(SecretId=replica)["SecretString"] == "1"
    finally:
        aws.watch(None)
        caller.close()
