"""Events of Secrets Manager in CloudTrail: their names, and the secrets that they name.

LookupEvents finds an event by one attribute. The name of the resource is not reliable: the service's own
events do not have it, and in an example of the User Guide (monitoring-cloudtrail) a CreateSecret lacks it. So
events are also looked up by their names, and the secret is read from the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rotators.core.secret import is_too_deep

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

PLACES = ("additionalEventData", "serviceEventDetails", "requestParameters")
"""Members of a record that name its secret, in the order in which they are read."""

KEYS = ("SecretId", "secretId", "name")
"""Keys of the secret in these members."""

ANSWERED = ("arn", "aRN")
"""Keys of the secret in a response; ``aRN`` before February 2024 (User Guide, cloudtrail_log_entries)."""

_SUFFIX = len("-AbCdEf")
_OBJECTS = (*PLACES, "responseElements", "userIdentity")


def record_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return CloudTrail's record in an event of LookupEvents.

    Args:
        event: event of an answer.

    Returns:
        The record; empty if it is not a JSON object, or is nested more deeply than a record (deep JSON cannot
        be printed). A member that should be an object, but is not, is left out.
    """
    try:
        found = json.loads(event.get("CloudTrailEvent") or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or is_too_deep(found):
        return {}
    return {name: value for name, value in found.items() if name not in _OBJECTS or isinstance(value, dict)}


def secrets_in(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names and ARNs of secrets in an event.

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
        arn: ARN of the secret. A deleted secret may have had the same name; a response with another ARN
            distinguishes them.
    """
    if answered := _answered(detail):
        return answered == arn
    return not set(spellings(arn)).isdisjoint(secrets_in(detail))


def spellings(arn: str) -> tuple[str, str, str]:
    """Return a caller's ids for a secret: its ARN, its ARN without the last characters, and its name.

    Args:
        arn: ARN of the secret.

    Returns:
        The three, in this order.
    """
    partial = arn[:-_SUFFIX]
    return arn, partial, partial.partition(":secret:")[2]


def _named(detail: Mapping[str, Any]) -> Iterator[str]:
    if answered := _answered(detail):
        yield answered
    for place in PLACES:
        members = detail.get(place)
        if isinstance(members, dict):
            listed = members.get("secretIdList")
            values = [members.get(key) for key in KEYS]
            values += listed if isinstance(listed, list) else []
            yield from (value for value in values if isinstance(value, str) and value)


def _answered(detail: Mapping[str, Any]) -> str:
    members = detail.get("responseElements")
    found = (members.get(key) for key in ANSWERED) if isinstance(members, dict) else ()
    return next((each for each in found if isinstance(each, str) and each), "")
