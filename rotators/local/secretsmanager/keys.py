"""The KMS keys of secrets: which key encrypts a version, and whether it can be used.

A version that was encrypted again has both keys, and each of them decrypts it
(UG:manage_update-encryption-key).

A key that is missing, not enabled, or not for symmetric encryption can neither encrypt nor decrypt
(UG:security-encryption; KMS guide: key-state). Whether the caller may use the key is IAM's decision: see
`rotators.local.iam.calls`. The texts are those of the API reference (EncryptionFailure, DecryptionFailure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.secretsmanager.models import FakeSecret, ReplicaSecret, SecretsManagerBackend

from rotators.local.iam.per_secret import may_use_key
from rotators.local.kms.keys import enabled_key, is_symmetric
from rotators.local.secretsmanager.refusals import refusal
from rotators.local.secretsmanager.versions import CURRENT, PENDING, PREVIOUS, has_value

DEFAULT_KEY = "DefaultEncryptionKey"
"""Name of the key aws/secretsmanager in the response of ListSecretVersionIds."""

_OF_AWS = "alias/aws/"
_OWN = f"{_OF_AWS}secretsmanager"
_FOLLOWS = {CURRENT, PENDING, PREVIOUS}
_CANNOT_DECRYPT = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
_CANNOT_ENCRYPT = (
    "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS "
    "key is available, enabled, and not in an invalid state. For more information, see Key state: Effect on "
    "your KMS key."
)


def check_encrypting(backend: SecretsManagerBackend, key: str | None) -> None:
    """Refuse a key that cannot encrypt.

    Args:
        backend: Moto's records of the account and Region of the secret.
        key: Id, ARN or alias; None for the key of Secrets Manager.

    Raises:
        SecretsManagerClientError: EncryptionFailure.
    """
    if not _usable(backend.account_id, backend.region_name, key):
        raise refusal("EncryptionFailure", _CANNOT_ENCRYPT)


def check_decrypting(secret: FakeSecret | ReplicaSecret, version: Mapping[str, Any]) -> None:
    """Refuse to read a version whose key cannot decrypt.

    Args:
        secret: Moto's record of the secret.
        version: Its version.

    Raises:
        SecretsManagerClientError: DecryptionFailure.
    """
    account = secret.arn.split(":")[4]
    if not any(_usable(account, secret.region, key) for key in _keys(secret, version)):
        raise refusal("DecryptionFailure", _CANNOT_DECRYPT)


def change(secret: FakeSecret, key: str) -> None:
    """Change the key of a secret.

    Versions with AWSCURRENT, AWSPENDING or AWSPREVIOUS are encrypted again, and keep their old keys; the
    others stay under their key. So do versions that the caller may not decrypt, and all if the caller may not
    encrypt with the new key; that is not an error (API:UpdateSecret, KmsKeyId;
    UG:manage_update-encryption-key). A version whose key cannot decrypt also stays under it (not documented).

    Args:
        secret: Moto's record of the secret.
        key: Id, ARN or alias of the new key; empty for the key of Secrets Manager.
    """
    new = key or _OWN
    changes, may = new != secret.kms_key_id, may_use_key.get()
    for version_id, version in secret.versions.items():
        if not has_value(version):
            continue  # its value will be encrypted with the key of the secret at that time
        old = version["keys"] = _keys(secret, version)
        if changes and _FOLLOWS & set(version["version_stages"]):
            readable = any(
                _usable(secret.account_id, secret.region, each)
                and may("kms:Decrypt", each or _OWN, version_id)
                for each in old
            )
            if readable and may("kms:Encrypt", new, version_id):
                version["keys"] = [new, *(each for each in old if each != new)]
    secret.kms_key_id = new


def names(secret: FakeSecret | ReplicaSecret, version: Mapping[str, Any]) -> list[str]:
    """Return the ``KmsKeyIds`` of a version, as ListSecretVersionIds shows them.

    Args:
        secret: moto's record of the secret or replica.
        version: its version.
    """
    if not has_value(dict(version)):
        return []
    found = (DEFAULT_KEY if _is_default(key) else str(key) for key in _keys(secret, version))
    return list(dict.fromkeys(found))


def _keys(secret: FakeSecret | ReplicaSecret, version: Mapping[str, Any]) -> list[str | None]:
    """Return the keys of a version: that of the secret, except for versions that an older key encrypted.

    All versions of a replica are under its own key.
    """
    own: list[str | None] = [getattr(secret, "kms_key_id", None)]
    return own if isinstance(secret, ReplicaSecret) else version.get("keys", own)


def _is_default(key: str | None) -> bool:
    return not key or key.rpartition(":")[2].startswith(_OF_AWS)


def _usable(account: str, region: str, key: str | None) -> bool:
    if _is_default(key):
        return True
    found = enabled_key(account, region, str(key))
    return found is not None and is_symmetric(found)
