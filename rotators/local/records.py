"""What the local AWS tells about what happened: frozen records without any value of a secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import datetime as dt

Result = Literal["succeeded", "failed", "abandoned", "cancelled"]


@dataclass(frozen=True)
class ServiceEvent:
    """One event of the service itself, as CloudTrail and EventBridge show it.

    Attributes:
        name: ``RotationStarted``, ``RotationFailed``, …; ``Secret Label Updated`` for the native one.
        time: when, in UTC.
        secret_id: the secret's ARN.
        region, account: where.
        detail_type: of the EventBridge event.
        detail: the EventBridge event's detail; for service events also CloudTrail's record.
    """

    name: str
    time: dt.datetime
    secret_id: str
    region: str
    account: str
    detail_type: str
    detail: dict[str, Any]

    @property
    def error(self) -> str | None:
        """The ``errorMessage`` of a failure, or None."""
        found = self.detail.get("errorMessage")
        return None if found is None else str(found)


@dataclass(frozen=True)
class StepRecord:
    """One call of a rotation function.

    Attributes:
        secret_id: the secret's ARN.
        token: of the version that is rotated to.
        step: ``createSecret`` … ``finishSecret``.
        started: when, in UTC.
        seconds: how long the call took, a cold start included.
        error_type: the error's type when the function failed, else None.
        error_message: its message, as the function's answer has it, else None.
    """

    secret_id: str
    token: str
    step: str
    started: dt.datetime
    seconds: float
    error_type: str | None = None
    error_message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.error_type is None


@dataclass(frozen=True)
class RotationOutcome:
    """How one run of a rotation ended.

    Attributes:
        secret_id: the secret's ARN.
        token: of the version that was rotated to.
        result: ``succeeded``, ``failed``, ``abandoned`` (the value was changed meanwhile) or ``cancelled``.
        test_only: whether it was the test of RotateImmediately=false.
        steps: the calls that were made, in order.
        message: the service's words on a failure, as in the RotationFailed event; else None.
    """

    secret_id: str
    token: str
    result: Result
    test_only: bool
    steps: tuple[StepRecord, ...]
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.result == "succeeded"


def cloudtrail_record(event: ServiceEvent, event_id: str) -> dict[str, Any]:
    """The event as an element of CloudTrail's LookupEvents answer.

    Args:
        event: a service event.
        event_id: its id, a UUID.

    Returns:
        The element; ``EventTime`` in seconds since the epoch.
    """
    return {
        "EventId": event_id,
        "EventName": event.name,
        "ReadOnly": "false",
        "EventTime": event.time.timestamp(),
        "EventSource": "secretsmanager.amazonaws.com",
        "Resources": [{"ResourceType": "AWS::SecretsManager::Secret", "ResourceName": event.secret_id}],
        "CloudTrailEvent": json.dumps(event.detail),
    }
