"""The KMS keys of secrets as in the service: which key encrypts a version, and what a bad one refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
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


def test_an_alias_stands_for_its_key(secrets: Any, kms: Any, refused: Refused) -> None:
    """API:CreateSecret, KmsKeyId: ARN, id or alias."""
    key = new_key(kms)
    kms.create_alias(AliasName="alias/keys-contract", TargetKeyId=key)
    arn = new_secret(secrets, "alias/keys-contract")
    disable(kms, key)
    assert refused(secrets.get_secret_value, SecretId=arn).startswith("DecryptionFailure")


def test_a_changed_key_takes_labelled_versions(secrets: Any, kms: Any, refused: Refused) -> None:
    """API:UpdateSecret, KmsKeyId: AWSCURRENT, AWSPENDING and AWSPREVIOUS are encrypted again, others not."""
    old, new = new_key(kms), new_key(kms)
    arn = new_secret(secrets, old)
    for value in ("second", "third"):
        secrets.put_secret_value(SecretId=arn, SecretString=value)
    secrets.update_secret(SecretId=arn, KmsKeyId=new)
    versions = secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    assert [version["KmsKeyIds"] for version in versions] == [[old], [new], [new]]
    disable(kms, old)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "third"
    answer = refused(secrets.get_secret_value, SecretId=arn, VersionId=versions[0]["VersionId"])
    assert answer.startswith("DecryptionFailure")


def test_the_default_key_has_its_name(secrets: Any, kms: Any) -> None:
    """Recorded on AWS by LocalStack's tests; API:UpdateSecret: an empty KmsKeyId is aws/secretsmanager."""
    arn = new_secret(secrets, new_key(kms))
    secrets.update_secret(SecretId=arn, KmsKeyId="")
    versions = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    assert [version["KmsKeyIds"] for version in versions] == [["DefaultEncryptionKey"]]


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
