"""Rotation of the material of KMS keys: the plan for each key.

A rotation keeps the key's id, ARN and aliases, and what older material encrypted is still decrypted. It
encrypts no secret again (KMS Developer Guide, rotate-keys).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from rotators.aws import clients
from rotators.manage.calls import call, elements
from rotators.manage.changes import Change
from rotators.manage.errors import KeyCannotRotate
from rotators.manage.key_inventory import KeyEntry

MOST_ON_DEMAND = 25
"""On-demand rotations of a key (KMS API reference, RotateKeyOnDemand)."""


def now(key: KeyEntry) -> Iterator[Change]:
    """Plan to rotate a key now.

    Args:
        key: the key.

    Yields:
        The change.

    Raises:
        KeyCannotRotate: the key cannot rotate, or was rotated on demand as often as KMS permits.
        StoreError: its rotations could not be listed.
    """
    _check(key)
    rotations = elements(_client(key), "ListKeyRotations", key.name, "Rotations", KeyId=key.arn)
    made = sum(each.get("RotationType") == "ON_DEMAND" for each in rotations)
    if made >= MOST_ON_DEMAND:
        raise KeyCannotRotate(
            f"{key.name} was rotated on demand {made} times, and KMS permits no more",
            remedy="Use automatic rotation (--every), or move the secrets to a new key.",
        )
    words = f"rotate now; {made} of {MOST_ON_DEMAND} on-demand rotations were made"
    yield Change(key.name, words, partial(_call, key, "RotateKeyOnDemand"))


def automatic(key: KeyEntry, days: int) -> Iterator[Change]:
    """Plan automatic rotation of a key.

    Args:
        key: the key.
        days: days between two rotations.

    Yields:
        The change; nothing if it rotates that often already.

    Raises:
        KeyCannotRotate: the key cannot rotate.
    """
    _check(key)
    if key.period != days:
        before = f" instead of every {key.period} days" if key.period else ""
        words = f"rotate every {days} days{before}, first in {days} days"
        yield Change(key.name, words, partial(_call, key, "EnableKeyRotation", RotationPeriodInDays=days))


def off(key: KeyEntry) -> Iterator[Change]:
    """Plan to turn automatic rotation of a key off.

    Args:
        key: the key.

    Yields:
        The change; nothing if it is off.

    Raises:
        KeyCannotRotate: the key cannot rotate.
    """
    _check(key)
    if key.period is not None:
        yield Change(key.name, "turn automatic rotation off", partial(_call, key, "DisableKeyRotation"))


def _check(key: KeyEntry) -> None:
    if key.managed_by_aws:
        raise KeyCannotRotate(
            f"{key.name} belongs to AWS, which rotates it every year", remedy="Nothing needs to be done."
        )
    if not key.symmetric:
        raise KeyCannotRotate(
            f"{key.name} is a key ({key.spec}, {key.usage}); KMS rotates only symmetric encryption keys",
            remedy="Create a new key, and move its alias to it; verifiers need the old public key.",
        )
    if key.primary is not None:
        raise KeyCannotRotate(
            f"{key.name} is a replica, and has the material and the rotation of its primary key",
            remedy=f"Rotate {key.primary}.",
        )
    if not key.enabled:
        raise KeyCannotRotate(
            f"{key.name} is {key.state}",
            remedy="Cancel its deletion, then enable it with EnableKey."
            if key.deletion
            else "Enable it first.",
        )


def _client(key: KeyEntry) -> Any:
    with clients.in_region_of(key.arn):
        return clients.kms_lister()


def _call(key: KeyEntry, operation: str, **parameters: Any) -> None:
    call(_client(key), operation, key.name, KeyId=key.arn, **parameters)
