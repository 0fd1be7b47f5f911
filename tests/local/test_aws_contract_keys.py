"""The KMS keys of secrets as in the service: which key encrypts a version, and what a bad one refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from rotators.local.aws import LocalAws

Refused = Callable[..., str]
Spoil = Callable[[Any, str], Any]

_numbers = itertools.count()


def disable(kms: Any, key: str) -> None:
    kms.disable_key(KeyId=key.rpartition("/")[2])  # moto: the id only


_SPOILED: dict[str, Spoil] = {
    "disabled": disable,
    "pending deletion": lambda kms, key: kms.schedule_key_deletion(KeyId=key),
}
_MISSING = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


def new_key(kms: Any, **settings: str) -> str:
    return str(kms.create_key(**settings)["KeyMetadata"]["Arn"])


def new_secret(secrets: Any, key: str) -> str:
    name = f"keys/{next(_numbers)}"
    return str(secrets.create_secret(Name=name, SecretString="first", KmsKeyId=key)["ARN"])


@pytest.mark.parametrize("state", _SPOILED)
def test_a_key_that_is_not_enabled_refuses(secrets: Any, kms: Any, refused: Refused, state: str) -> None:
    """API:GetSecretValue, DecryptionFailure; API:PutSecretValue, EncryptionFailure; KMS guide: key-state."""
    key = new_key(kms)
    arn = new_secret(secrets, key)
    _SPOILED[state](kms, key)
    assert refused(secrets.get_secret_value, SecretId=arn) == (
        "DecryptionFailure: "
        "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
    )
    for call in (secrets.put_secret_value, secrets.update_secret):
        answer = refused(call, SecretId=arn, SecretString="second")
        assert answer.startswith("EncryptionFailure: Secrets Manager can't encrypt the protected secret text")
    secrets.update_secret(SecretId=arn, Description="needs no key")
    batch = secrets.batch_get_secret_value(SecretIdList=[arn])
    assert [error["ErrorCode"] for error in batch["Errors"]] == ["DecryptionFailure"]


def test_an_enabled_key_works_again(secrets: Any, kms: Any) -> None:
    """KMS guide: key-state; the key's state counts at the time of the call."""
    key = new_key(kms)
    arn = new_secret(secrets, key)
    disable(kms, key)
    kms.enable_key(KeyId=key.rpartition("/")[2])
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "first"


@pytest.mark.parametrize("key", [_MISSING, "alias/nothing", "nothing"])
def test_a_missing_key_encrypts_nothing(secrets: Any, refused: Refused, key: str) -> None:
    """API:CreateSecret, EncryptionFailure: the key must be available."""
    answer = refused(secrets.create_secret, Name="keys/missing", SecretString="x", KmsKeyId=key)
    assert answer.startswith("EncryptionFailure")


def test_an_asymmetric_key_encrypts_nothing(secrets: Any, kms: Any, refused: Refused) -> None:
    """UG:security-encryption: only symmetric encryption keys are supported."""
    key = new_key(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    answer = refused(secrets.create_secret, Name="keys/rsa", SecretString="x", KmsKeyId=key)
    assert answer.startswith("EncryptionFailure")


def test_an_alias_names_its_key(secrets: Any, kms: Any, refused: Refused) -> None:
    """API:CreateSecret, KmsKeyId: ARN, id or alias."""
    key = new_key(kms)
    kms.create_alias(AliasName="alias/keys-contract", TargetKeyId=key)
    arn = new_secret(secrets, "alias/keys-contract")
    disable(kms, key)
    assert refused(secrets.get_secret_value, SecretId=arn).startswith("DecryptionFailure")


def test_a_changed_key_takes_versions_with_stages(secrets: Any, kms: Any, refused: Refused) -> None:
    """API:UpdateSecret, KmsKeyId: AWSCURRENT, AWSPENDING and AWSPREVIOUS are encrypted again, others not.

    UG:manage_update-encryption-key: they stay under the previous key too, so either key decrypts them.
    """
    old, new = new_key(kms), new_key(kms)
    arn = new_secret(secrets, old)
    for value in ("second", "third"):
        secrets.put_secret_value(SecretId=arn, SecretString=value)
    secrets.update_secret(SecretId=arn, KmsKeyId=new)
    versions = secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    assert [version["KmsKeyIds"] for version in versions] == [[old], [new, old], [new, old]]
    disable(kms, new)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "third"
    kms.enable_key(KeyId=new)
    disable(kms, old)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "third"
    answer = refused(secrets.get_secret_value, SecretId=arn, VersionId=versions[0]["VersionId"])
    assert answer.startswith("DecryptionFailure")


def test_the_default_key_has_its_name(secrets: Any, kms: Any) -> None:
    """Recorded on AWS by LocalStack's tests; API:UpdateSecret: an empty KmsKeyId is aws/secretsmanager."""
    arn = new_secret(secrets, new_key(kms))
    secrets.update_secret(SecretId=arn, KmsKeyId="")
    versions = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    assert [version["KmsKeyIds"][0] for version in versions] == ["DefaultEncryptionKey"]


def test_an_empty_version_is_under_no_key(aws: LocalAws, secrets: Any, kms: Any) -> None:
    """API:SecretVersionsListEntry, KmsKeyIds: the keys that encrypt the version; it has no value yet."""
    key = new_key(kms)
    arn = new_secret(secrets, key)
    aws.stage(arn, "0" * 32)
    versions = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    assert [version.get("KmsKeyIds") for version in versions] == [[key], None]


_ALLOWED = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("action", "of_old", "moved"),
    [
        ("kms:Encrypt", False, False),
        ("kms:Decrypt", True, False),
        ("kms:Encrypt", True, True),
        ("kms:GenerateDataKey", True, True),
    ],
)
def test_a_denied_key_is_silently_not_changed(
    aws: LocalAws, secrets: Any, kms: Any, action: str, of_old: bool, moved: bool
) -> None:
    """API:UpdateSecret, KmsKeyId, about kms:Encrypt; UG:manage_update-encryption-key about kms:Decrypt."""
    old, new = new_key(kms), new_key(kms)
    arn = new_secret(secrets, old)
    denied = {"Effect": "Deny", "Action": action, "Resource": old if of_old else new}
    with acting(aws, _ALLOWED, denied) as caller:
        caller.update_secret(SecretId=arn, KmsKeyId=new)
    assert secrets.describe_secret(SecretId=arn)["KmsKeyId"] == new
    (version,) = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    assert version["KmsKeyIds"] == ([new, old] if moved else [old])


@pytest.mark.parametrize("action", ["kms:GenerateDataKey", "kms:Decrypt"])
def test_a_new_key_is_validated(aws: LocalAws, secrets: Any, kms: Any, refused: Refused, action: str) -> None:
    """UG:security-encryption, "Validating access to the KMS key"."""
    old, new = new_key(kms), new_key(kms)
    arn = new_secret(secrets, old)
    context = {"StringEquals": {"kms:EncryptionContext:SecretVersionId": "RequestToValidateKeyAccess"}}
    denied = {"Effect": "Deny", "Action": action, "Resource": new, "Condition": context}
    with acting(aws, _ALLOWED, denied) as caller:
        answer = refused(caller.update_secret, SecretId=arn, KmsKeyId=new)
    assert answer == "AccessDeniedException: Access to KMS is not allowed"
    assert secrets.describe_secret(SecretId=arn)["KmsKeyId"] == old


def test_the_same_key_encrypts_nothing_again(aws: LocalAws, secrets: Any, kms: Any) -> None:
    """UG:security-encryption, Encrypt: if you change the key."""
    old, new = new_key(kms), new_key(kms)
    arn = new_secret(secrets, old)
    denied = {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": new}
    with acting(aws, _ALLOWED, denied) as caller:
        caller.update_secret(SecretId=arn, KmsKeyId=new)
    for key, expected in ((new, [old]), (old, [old]), (new, [new, old])):
        secrets.update_secret(SecretId=arn, KmsKeyId=key)
        (version,) = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
        assert version["KmsKeyIds"] == expected


@contextmanager
def acting(aws: LocalAws, *statements: dict[str, Any]) -> Iterator[Any]:
    """A client of a caller with these policies."""
    aws.watch({"keeper": statements})
    credentials = {"AccessKeyId": "local-keeper", "SecretAccessKey": "x", "SessionToken": "x"}
    yield aws.client("secretsmanager", credentials=credentials)
    aws.watch(None)


def test_key_policies_see_the_version_read(aws: LocalAws, secrets: Any, kms: Any, refused: Refused) -> None:
    """UG:security-encryption: SecretARN and SecretVersionId are the encryption context."""
    arn = new_secret(secrets, new_key(kms))
    version = secrets.get_secret_value(SecretId=arn)["VersionId"]
    context = {"kms:EncryptionContext:SecretARN": arn, "kms:EncryptionContext:SecretVersionId": version}
    read = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    decrypt = {
        "Effect": "Allow",
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringEquals": context},
    }
    reader = boto3.client("secretsmanager", aws_access_key_id="local-keys", aws_secret_access_key="local")
    aws.watch({"keys": [read, decrypt]})
    try:
        assert reader.get_secret_value(SecretId=arn)["SecretString"] == "first"
        context["kms:EncryptionContext:SecretVersionId"] = "another"  # the same statement, another version
        assert refused(reader.get_secret_value, SecretId=arn) == (
            "AccessDeniedException: Access to KMS is not allowed"
        )
    finally:
        aws.watch(None)
        reader.close()
