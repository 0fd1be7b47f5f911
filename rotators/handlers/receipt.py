"""Writes a signed receipt for each rotation that succeeded (docs/how-to/receipts.md).

EventBridge calls the function after a rotation, so a receipt delays none, and a failure of this function does
not concern the rotation. A rotation whose event was lost, or whose receipt could not be written, is found at
the next rotation of the secret, or by the daily run, which looks up the events of three days in CloudTrail.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from rotators.aws.events import secrets_in
from rotators.core.errors import InvalidEvent, RotatorsError
from rotators.handlers.telemetry import observed
from rotators.receipts.missed import SUCCEEDED, rotations_since
from rotators.receipts.writing import Settings, write_receipts

SCHEDULED = "Scheduled Event"
"""``detail-type`` of the events of a schedule."""

_LOOK_BACK = dt.timedelta(days=3)
_RESERVE_SECONDS = 60.0  # for one secret
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@!:-]{1,2048}")


@dataclass(frozen=True)
class SucceededEvent:
    """A rotation that succeeded, or the daily run, as EventBridge sends them.

    Attributes:
        secret: ARN (or name) of the secret; None for the daily run.
        time: of the event.
    """

    secret: str | None
    time: dt.datetime

    @classmethod
    def from_event(cls, event: object) -> Self:
        """Read an event.

        Args:
            event: event that Lambda got from EventBridge.

        Returns:
            The event.

        Raises:
            InvalidEvent: it is neither of the two.
        """
        outer = event if isinstance(event, dict) else {}
        if outer.get("detail-type") == SCHEDULED:
            return cls(None, _time(outer.get("time")))
        detail = outer.get("detail")
        if not isinstance(detail, dict) or detail.get("eventName") != SUCCEEDED:
            raise InvalidEvent(
                f"the event's detail.eventName is not {SUCCEEDED}, and it is no {SCHEDULED}",
                remedy="Only the two rules of the stack call this function; see events/receipt-*.json.",
            )
        secret = next((each for each in secrets_in(detail) if _SECRET_ID.fullmatch(each)), None)
        if secret is None:
            raise InvalidEvent("the event names no secret in a known place")
        return cls(secret, _time(detail.get("eventTime")))


def _time(text: object) -> dt.datetime:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    try:
        return dt.datetime.fromisoformat(found[0] if found else "")
    except ValueError:
        raise InvalidEvent("the event has no time in UTC, such as 2026-11-25T02:00:07Z") from None


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Write the receipts that are missing: of one secret after its rotation, or of all in the daily run.

    Args:
        event: RotationSucceeded, or a scheduled event, from EventBridge.
        context: Lambda's context, which knows the time that is left; None sets no limit.

    Returns:
        ``Receipts``: the places of the receipts that were written. The daily run adds ``Left``: the number of
        rotations that it had no time for.

    Raises:
        RotatorsError: a receipt was not written; Lambda repeats the event, and the daily run finds it.
    """
    with observed("receipt") as observation:
        happened = SucceededEvent.from_event(event)
        settings = Settings.from_environment()
        if happened.secret is None:
            written, left = _fill(happened.time - _LOOK_BACK, settings, _seconds_left(context))
            observation.add(outcome="filled", receipts=len(written), left=left)
            return {"Receipts": written, "Left": left}
        observation.add(secret=happened.secret)
        found = write_receipts(happened.secret, happened.time, settings, late=False)
        outcome = "ignored" if found is None else "written" if found else "nothing-missing"
        observation.add(outcome=outcome, receipts=len(found or ()))
        return {"Receipts": found or []}


def _fill(since: dt.datetime, settings: Settings, seconds_left: Callable[[], float]) -> tuple[list[str], int]:
    """Write the missing receipts of all secrets; one that fails does not keep the others from theirs."""
    rotations = rotations_since(since)
    written: list[str] = []
    failure: RotatorsError | None = None
    for done, (time, secret) in enumerate(rotations):
        if seconds_left() < _RESERVE_SECONDS:
            return written, len(rotations) - done
        try:
            written += write_receipts(secret, time, settings, late=True) or []
        except RotatorsError as error:
            failure = error
    if failure is not None:
        raise failure
    return written, 0


def _seconds_left(context: object) -> Callable[[], float]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: math.inf
    return lambda: float(remaining()) / 1000
