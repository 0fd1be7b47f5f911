"""Events of Secrets Manager in CloudTrail: their names, and the secrets that they name.

LookupEvents finds an event by one attribute. The names of resources are no sure way: the service's own
events have none, and an example of the User Guide (monitoring-cloudtrail) shows a CreateSecret without one.
So events are looked up by their names too, and the secret is read from the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE = "secretsmanager.amazonaws.com"
"""``eventSource`` of all of them."""

OF_SERVICE = (
    "CancelSecretVersionDelete",
    "EndSecretVersionDelete",
    "ReplicationFailed",
    "ReplicationStarted",
    "ReplicationSucceeded",
    "RotationAbandoned",
    "RotationFailed",
    "RotationStarted",
    "RotationSucceeded",
    "SecretVersionDeletion",
    "StartSecretVersionDelete",
    "TestRotationFailed",
    "TestRotationStarted",
    "TestRotationSucceeded",
)
"""Names of the service's own events (User Guide, cloudtrail_log_entries)."""

CHANGES = (
    "AssociateCrossAccountReplica",
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DisassociateCrossAccountReplica",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
)
"""Operations of the API that change a secret."""

_PLACES = ("additionalEventData", "serviceEventDetails", "requestParameters")
_SUFFIX = len("-AbCdEf")


def secrets_in(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what an event names as its secrets.

    The service's own events name it in ``additionalEventData.SecretId`` or, for secrets of other services, in
    ``serviceEventDetails.secretId`` (both seen in public code); calls name it in their parameters.

    Args:
        detail: CloudTrail's record of the event.

    Returns:
        Names and ARNs; the ARN of a response first.
    """
    return tuple(_named(detail))


def is_about(detail: Mapping[str, Any], arn: str) -> bool:
    """Return True if an event names a secret: by its ARN, also without the last characters, or by its name.

    Args:
        detail: CloudTrail's record of the event.
        arn: of the secret. A secret that was deleted may have had its name too; a response with another ARN
            tells them apart.
    """
    if answered := _answered(detail):
        return answered == arn
    return not set(spellings(arn)).isdisjoint(secrets_in(detail))


def spellings(arn: str) -> tuple[str, str, str]:
    """Return what callers name a secret by: its ARN, its ARN without the last characters, and its name.

    Args:
        arn: of the secret.
    """
    partial = arn[:-_SUFFIX]
    return arn, partial, partial.partition(":secret:")[2]


def _named(detail: Mapping[str, Any]) -> Iterator[str]:
    if answered := _answered(detail):
        yield answered
    for place in _PLACES:
        members = detail.get(place)
        if isinstance(members, dict):
            listed = members.get("secretIdList")
            values = [members.get(key) for key in ("SecretId", "secretId", "name")]
            values += listed if isinstance(listed, list) else []
            yield from (value for value in values if isinstance(value, str) and value)


def _answered(detail: Mapping[str, Any]) -> str:
    """The ARN in a response; ``aRN`` before February 2024 (User Guide, cloudtrail_log_entries)."""
    members = detail.get("responseElements")
    answered = (members.get("arn") or members.get("aRN")) if isinstance(members, dict) else None
    return answered if isinstance(answered, str) else ""
