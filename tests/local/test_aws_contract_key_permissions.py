"""Permissions of a customer's key that reading a secret needs, with their sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from tests.world import unique

Refused = Callable[..., str]

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/key-reader"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
MANAGER = "secretsmanager.us-east-1.amazonaws.com"
NO_KMS = "AccessDeniedException: Access to KMS is not allowed"


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


READ = allow("secretsmanager:GetSecretValue")
ADMIN = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/admin"})


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


@pytest.fixture(scope="module")
def secret(secrets: Any, kms: Any) -> Iterator[tuple[str, str]]:
    """ARNs of a secret and of its key, whose policy admits another role only."""
    key = kms.create_key()["KeyMetadata"]["Arn"]
    arn = secrets.create_secret(Name=unique("guarded"), SecretString="x", KmsKeyId=key)["ARN"]
    yield arn, key
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def reader(aws: LocalAws, kms: Any, secret: tuple[str, str]) -> Iterator[Any]:
    """A client of a role that may read all secrets, and has no permission for KMS."""
    guard(kms, secret[1])
    aws.watch({"key-reader": [READ]})
    yield aws.client(
        "secretsmanager",
        credentials={"AccessKeyId": "local-key-reader", "SecretAccessKey": "x", "SessionToken": "x"},
    )
    aws.watch(None)


def guard(kms: Any, key: str, *statements: dict[str, Any]) -> None:
    """Replace the key's policy."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [ADMIN, *statements]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document)


def can_read(reader: Any, arn: str) -> bool:
    return bool(reader.get_secret_value(SecretId=arn)["SecretString"] == "x")


def test_a_key_that_admits_others_refuses(reader: Any, secret: tuple[str, str], refused: Refused) -> None:
    """KMS guide, key-policies: no caller has access unless the key's policy or a grant permits it."""
    assert refused(reader.get_secret_value, SecretId=secret[0]) == NO_KMS


def test_own_policies_need_the_key_to_delegate(
    aws: LocalAws, kms: Any, reader: Any, secret: tuple[str, str], refused: Refused
) -> None:
    """KMS guide, key-policy-default: IAM policies count only if the key's policy permits the account."""
    aws.watch({"key-reader": [READ, allow("kms:Decrypt")]})
    assert refused(reader.get_secret_value, SecretId=secret[0]) == NO_KMS
    guard(kms, secret[1], allow("kms:*", Principal=ROOT))
    assert can_read(reader, secret[0])


def test_a_grant_permits_until_it_is_retired(
    kms: Any, reader: Any, secret: tuple[str, str], refused: Refused
) -> None:
    """KMS guide, grants: a grant permits its operations to the grantee until it is retired or revoked."""
    arn, key = secret
    for end in (kms.retire_grant, kms.revoke_grant):
        made = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"])
        assert can_read(reader, arn)
        end(KeyId=key, GrantId=made["GrantId"])
        assert refused(reader.get_secret_value, SecretId=arn) == NO_KMS


@pytest.mark.parametrize(
    "grant",
    [
        {"Operations": ["Encrypt", "GenerateDataKey", "DescribeKey"]},
        {"GranteePrincipal": f"{ROLE}-other"},
        {"Constraints": {"EncryptionContextSubset": {"SecretARN": "another"}}},
        {"Constraints": {"EncryptionContextEquals": {"SecretARN": "SECRET"}}},
    ],
    ids=["operations", "grantee", "context", "whole context"],
)
def test_another_grant_does_not_help(
    kms: Any, reader: Any, secret: tuple[str, str], refused: Refused, grant: dict[str, Any]
) -> None:
    """KMS API:GrantConstraints; the encryption context has SecretVersionId too (UG:security-encryption)."""
    arn, key = secret
    changed = json.loads(json.dumps(grant).replace("SECRET", arn))
    made = kms.create_grant(**{"KeyId": key, "GranteePrincipal": ROLE, "Operations": ["Decrypt"], **changed})
    assert refused(reader.get_secret_value, SecretId=arn) == NO_KMS
    kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])


def test_a_denial_of_the_key_beats_a_grant(
    kms: Any, reader: Any, secret: tuple[str, str], refused: Refused
) -> None:
    """reference_policies_evaluation-logic: an explicit denial wins."""
    arn, key = secret
    made = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"])
    guard(kms, key, {**allow("kms:Decrypt", Principal={"AWS": ROLE}), "Effect": "Deny"})
    assert refused(reader.get_secret_value, SecretId=arn) == NO_KMS
    kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])


@pytest.mark.parametrize(
    ("service", "reads"),
    [(MANAGER, True), ("rds.us-east-1.amazonaws.com", False), (MANAGER.replace("us", "eu"), False)],
)
def test_via_service_is_secrets_manager_of_the_region(
    kms: Any, reader: Any, secret: tuple[str, str], refused: Refused, service: str, reads: bool
) -> None:
    """KMS guide, conditions-kms: kms:ViaService is the service that calls for the caller, with its Region."""
    condition = {"StringEquals": {"kms:ViaService": service, "kms:CallerAccount": ACCOUNT}}
    guard(kms, secret[1], allow("kms:Decrypt", Principal="*", Condition=condition))
    if reads:
        assert can_read(reader, secret[0])
    else:
        assert refused(reader.get_secret_value, SecretId=secret[0]) == NO_KMS
