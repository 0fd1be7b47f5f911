"""Current values of many secrets, 20 per call, each read in the Region that its ARN names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from rotators.aws import clients
from rotators.aws.secrets import SecretsManager, SecretVersion
from rotators.core.errors import RotatorsError
from rotators.core.states import Stage, holder
from rotators.manage.calls import description_of
from rotators.manage.inventory import Entry

_BATCH = 20


def values_of(found: Iterable[Entry]) -> Iterator[tuple[Entry, SecretVersion | RotatorsError]]:
    """Read the AWSCURRENT values of secrets. At most 20 of them are in memory.

    Args:
        found: the secrets.

    Yields:
        Each secret with its version, or with the error if the caller may not read it.

    Raises:
        AccessDenied: the caller may not use BatchGetSecretValue.
        StoreError: a call failed, or a value may be readable later; the result so far is incomplete.
    """
    remaining = iter(found)
    while some := list(islice(remaining, _BATCH)):
        values = current_values([entry.arn for entry in some])
        yield from ((entry, values[entry.arn]) for entry in some)


def current_values(secret_ids: Iterable[str]) -> dict[str, SecretVersion | RotatorsError]:
    """Read the AWSCURRENT versions of secrets.

    Args:
        secret_ids: names or ARNs.

    Returns:
        By name or ARN as passed: the version, or the error if there is none, or the caller may not read it.

    Raises:
        AccessDenied: the caller may not use BatchGetSecretValue.
        StoreError: a call failed, or a value may be readable later.
    """
    regions: dict[str | None, list[str]] = {}
    for secret_id in dict.fromkeys(secret_ids):
        regions.setdefault(clients.region_named_by(secret_id), []).append(secret_id)
    found: dict[str, SecretVersion | RotatorsError] = {}
    for ids in regions.values():
        with clients.in_region_of(ids[0]):
            found |= SecretsManager(clients.secrets_lister()).many(ids)
    for value in found.values():
        if isinstance(value, RotatorsError) and value.retryable:
            raise value
    return found


def unopened(secret_id: str) -> SecretVersion:
    """Return the AWSCURRENT version of a secret without its value, which is equal to no value.

    Args:
        secret_id: name or ARN.

    Raises:
        StoreError: the secret cannot be described.
    """
    found = description_of(secret_id)
    version = holder(found.get("VersionIdsToStages", {}), Stage.CURRENT)
    return SecretVersion(found["ARN"], found["Name"], version or "", (Stage.CURRENT,), b"", sealed=True)
