"""Records of events, steps and rotations; they contain no value of a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import datetime as dt

Result = Literal["succeeded", "failed", "abandoned", "cancelled"]


@dataclass(frozen=True)
class ServiceEvent:
    """One event of the service itself, as CloudTrail and EventBridge show it.

    Attributes:
        name: ``RotationStarted``, ``RotationFailed``, …; ``Secret Label Updated`` for EventBridge's own.
        time: Time of the event, in UTC.
        secret_id: ARN of the secret.
        detail_type: ``detail-type`` of the EventBridge event.
        detail: ``detail`` of the EventBridge event; for service events also CloudTrail's record.
    """

    name: str
    time: dt.datetime
    secret_id: str
    detail_type: str
    detail: dict[str, Any]

    @property
    def error(self) -> str | None:
        """Return the ``errorMessage`` of a failure, or None."""
        found = self.detail.get("errorMessage")
        return None if found is None else str(found)


@dataclass(frozen=True)
class StepRecord:
    """One call of a rotation function.

    Attributes:
        secret_id: ARN of the secret.
        token: Id of the pending version.
        step: ``createSecret`` … ``finishSecret``.
        started: Start time, in UTC.
        seconds: Duration of the call, including a cold start.
        error_type: Type of the error if the function failed, else None.
        error_message: Message of the error in the function's answer, else None.
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
        """Return True if the function did not fail."""
        return self.error_type is None


@dataclass(frozen=True)
class RotationOutcome:
    """The outcome of one run of a rotation.

    Attributes:
        secret_id: ARN of the secret.
        token: Id of the pending version.
        result: ``succeeded``, ``failed``, ``abandoned`` (the value was changed meanwhile) or ``cancelled``.
        test_only: True for the test of RotateImmediately=false.
        steps: The calls, in order.
        message: Message of the service about a failure, as in the RotationFailed event; else None.
    """

    secret_id: str
    token: str
    result: Result
    test_only: bool
    steps: tuple[StepRecord, ...]
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Return True if the run succeeded."""
        return self.result == "succeeded"
