"""Keys: their names in requests, their states, and the response of DescribeKey.

Sources: KMS Developer Guide, key-state (states, and the texts of their refusals) and concepts-key-id; answers
recorded on AWS in LocalStack's tests.
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.utils import unix_time
from moto.kms.models import Key, KmsBackend, kms_backends

from rotators.local.kms.material import Material
from rotators.local.kms.refusals import KmsRefusal, incompatible, invalid_state, not_found
from rotators.local.kms.specs import OF_USAGE, SYMMETRIC, algorithms

ENABLED, DISABLED, PENDING_DELETION = "Enabled", "Disabled", "PendingDeletion"

_ARN = re.compile(r"arn:[a-z0-9-]+:kms:(?P<region>[^:]*):(?P<account>[^:]*):(?P<name>(?:key/|alias/).+)")
_KEY_ID = re.compile(r"(mrk-)?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|mrk-[0-9a-f]{32}", re.IGNORECASE)
ALIAS, ALIAS_OF_AWS, _KEY = "alias/", "alias/aws/", "key/"


def find(backend: KmsBackend, named: str, *, aliases: bool = True) -> Key:
    """Find the key that a request names.

    Args:
        backend: Keys of the caller's account and Region; an ARN may name another account.
        named: Id or ARN, or alias or its ARN.
        aliases: True if the operation accepts aliases.

    Returns:
        The key, in any state.

    Raises:
        KmsRefusal: NotFoundException.
    """
    if arn := _ARN.fullmatch(named):
        if arn["region"] != backend.region_name:
            raise not_found(f"Invalid arn {arn['region']}")
        backend = kms_backends[arn["account"]][arn["region"]]
        named = arn["name"].removeprefix(_KEY)
    if named.startswith(ALIAS) and aliases:
        found = backend.get_key_id_from_alias(named)
        if found is None:
            raise not_found(f"Alias {arn_of(backend, named)} is not found.")
        named = found
    if not _KEY_ID.fullmatch(named):
        raise not_found(f"Invalid keyId '{named}'")
    if named not in backend.keys:
        raise not_found(f"Key '{arn_of(backend, _KEY + named)}' does not exist")
    return backend.keys[named]


def enabled_key(account: str, region: str, named: str) -> Key | None:
    """Find a key for a service that uses it for its caller.

    Args:
        account: account of the caller.
        region: in which the key must be.
        named: Id or ARN, or alias or its ARN.

    Returns:
        The key; None if there is no such key, or it is not enabled.
    """
    try:
        key = find(kms_backends[account][region], named)
    except KmsRefusal:
        return None
    return key if key.key_state == ENABLED else None


def name_in_ciphertexts(key: Key) -> str:
    """Return account and id of ``key``, as at the end of its ARN."""
    return f"{key.account_id}:{_KEY}{key.id}"


def find_sealing(backend: KmsBackend, name: str) -> Key | None:
    """Find the key of a ciphertext.

    Args:
        backend: Keys of the caller's account and Region; the key or a replica of it must be in this Region.
        name: See `name_in_ciphertexts`.

    Returns:
        The key, in any state; None if there is no such key.
    """
    account, _, key_id = name.partition(f":{_KEY}")
    return kms_backends[account][backend.region_name].keys.get(key_id)


def usable(key: Key, usage: str, operation: str) -> Key:
    """Refuse a key that cannot be used for an operation.

    Args:
        key: The key.
        usage: Key usage that the operation needs.
        operation: Name in the API.

    Returns:
        The key.

    Raises:
        KmsRefusal: It is disabled or pending deletion, or has another usage.
    """
    check_enabled(key)
    if key.key_usage != usage:
        text = f"{key.arn} key usage is {key.key_usage} which is not valid for {operation}."
        raise KmsRefusal("InvalidKeyUsageException", text)
    return key


def check_enabled(key: Key) -> None:
    """Refuse a key that is not enabled.

    Args:
        key: The key.

    Raises:
        KmsRefusal: DisabledException or KMSInvalidStateException.
    """
    check_kept(key)
    if key.key_state == DISABLED:
        raise KmsRefusal("DisabledException", f"{key.arn} is disabled.")


def check_kept(key: Key) -> None:
    """Refuse a key that is pending deletion.

    Args:
        key: The key.

    Raises:
        KmsRefusal: KMSInvalidStateException.
    """
    if key.key_state == PENDING_DELETION:
        raise invalid_state(f"{key.arn} is pending deletion.")


def check_algorithm(key: Key, algorithm: str) -> None:
    """Refuse an algorithm that is not one of a key's.

    Args:
        key: The key.
        algorithm: Name in the API.

    Raises:
        KmsRefusal: InvalidKeyUsageException.
    """
    if algorithm not in algorithms(key.key_spec, key.key_usage):
        raise incompatible(algorithm, key.key_spec)


def material(key: Key) -> Material:
    """Return the material of ``key``."""
    found: Material = key.private_key  # type: ignore[assignment] # `patches` replaces what moto puts there
    return found


def is_symmetric(key: Key) -> bool:
    """Return True if ``key`` is a symmetric encryption key: neither asymmetric nor for MACs."""
    return bool(key.key_spec == SYMMETRIC)


def is_replica(key: Key) -> bool:
    """Return True if ``key`` is a replica of a multi-Region key."""
    if not key.multi_region:
        return False
    shared = key.multi_region_configuration  # by the primary and its replicas
    return bool(shared["PrimaryKey"]["Arn"] != key.arn)


def manager(key: Key) -> str:
    """Return the KeyManager of ``key``: ``AWS`` for the key of an alias such as alias/aws/s3."""
    return "AWS" if any(name.startswith(ALIAS_OF_AWS) for name in key.aliases) else "CUSTOMER"


def listed_algorithms(key: Key) -> dict[str, list[str]]:
    """Return the algorithms of ``key``, with the name of the member that lists them."""
    return {OF_USAGE[key.key_usage]: list(algorithms(key.key_spec, key.key_usage))}


def described(key: Key) -> dict[str, Any]:
    """Return the answer of DescribeKey and CreateKey.

    Args:
        key: The key.
    """
    metadata: dict[str, Any] = {
        "AWSAccountId": key.account_id,
        "Arn": key.arn,
        "CreationDate": key.creation_date,
        "CustomerMasterKeySpec": key.key_spec,
        "Description": key.description,
        "Enabled": key.key_state == ENABLED,
        "KeyId": key.id,
        "KeyManager": manager(key),
        "KeySpec": key.key_spec,
        "KeyState": key.key_state,
        "KeyUsage": key.key_usage,
        "MultiRegion": bool(key.multi_region),
        "Origin": key.origin,
        **listed_algorithms(key),
    }
    if is_symmetric(key):
        metadata["CurrentKeyMaterialId"] = material(key).current.id
    if key.multi_region:
        kind = "REPLICA" if is_replica(key) else "PRIMARY"
        metadata["MultiRegionConfiguration"] = {**key.multi_region_configuration, "MultiRegionKeyType": kind}
    if key.deletion_date is not None:
        metadata["DeletionDate"] = unix_time(key.deletion_date)
    return {"KeyMetadata": metadata}


def arn_of(backend: KmsBackend, name: str) -> str:
    """Return the ARN of a key or alias.

    Args:
        backend: Keys of its account and Region.
        name: ``key/ID`` or ``alias/NAME``.
    """
    return f"arn:aws:kms:{backend.region_name}:{backend.account_id}:{name}"
