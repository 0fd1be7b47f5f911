"""Writes a signed receipt for each rotation that succeeded (docs/how-to/receipts.md).

EventBridge calls the function after a rotation, so a receipt delays no rotation, and a failure of this
function does not affect one. A rotation whose event was lost, or whose receipt could not be written, is found
at the next rotation of the secret, or by the daily run, which compares the last rotation of each secret with
the end of its chain.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from rotators.aws.events import secrets_in
from rotators.core.errors import InvalidEvent
from rotators.handlers.events import Request
from rotators.handlers.filling import fill, missing
from rotators.handlers.telemetry import observed
from rotators.receipts.writing import ReceiptSettings, write_receipts

SUCCEEDED = "RotationSucceeded"
"""Name of Secrets Manager's event."""

_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@!:-]{1,2048}")


class FillRequest(Request):
    """An order to write the receipts that are missing, of all secrets.

    Attributes:
        fill: always True.
        dry_run: True to list what is missing, and write nothing.
    """

    fill: Literal[True]
    dry_run: bool = False


@dataclass(frozen=True)
class SucceededEvent:
    """A rotation that succeeded, as EventBridge sends it.

    Attributes:
        secret: ARN (or name) of the secret.
        time: time of the event.
    """

    secret: str
    time: dt.datetime

    @classmethod
    def from_event(cls, event: object) -> Self:
        """Read an event.

        Args:
            event: event that Lambda got.

        Returns:
            The event.

        Raises:
            InvalidEvent: it is about something else.
        """
        detail = event.get("detail") if isinstance(event, dict) else None
        if not isinstance(detail, dict) or detail.get("eventName") != SUCCEEDED:
            raise InvalidEvent(
                f'the event\'s detail.eventName is not {SUCCEEDED}, and it is not {{"Fill": true}}',
                remedy="The stack and `rotators receipt fill` call this function; see events/receipt-*.json.",
            )
        secret = next((each for each in secrets_in(detail) if _SECRET_ID.fullmatch(each)), None)
        if secret is None:
            raise InvalidEvent("the event names no secret in a known place")
        return cls(secret, _time(detail.get("eventTime")))


def read_event(event: object) -> FillRequest | SucceededEvent:
    """Read an event of the function.

    Args:
        event: event that Lambda got.

    Returns:
        The order, or the rotation.

    Raises:
        InvalidEvent: it is neither of the two.
    """
    if isinstance(event, dict) and "Fill" in event:
        return FillRequest.from_event(event)
    return SucceededEvent.from_event(event)


def _time(text: object) -> dt.datetime:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    try:
        return dt.datetime.fromisoformat(found[0] if found else "")
    except ValueError:
        raise InvalidEvent("the event has no time in UTC, such as 2026-11-25T02:00:07Z") from None


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Write the receipts that are missing: of one secret after its rotation, or of all.

    Args:
        event: RotationSucceeded from EventBridge; or ``Fill``, optionally with ``DryRun``.
        context: Lambda's context, which knows the time that is left; None sets no limit.

    Returns:
        ``Receipts``: the places of the receipts that were written. For all secrets also ``Left``: the number
        of secrets that there was no time for; and with ``DryRun``, ``Missing`` in place of ``Receipts``.

    Raises:
        ReceiptsMissing: some of all secrets still lack a receipt.
        RotatorsError: a receipt was not written; Lambda repeats the event, and the daily run finds it.
    """
    with observed("receipt") as observation:
        request = read_event(event)
        settings = ReceiptSettings.from_environment()
        if isinstance(request, FillRequest):
            done = (missing if request.dry_run else fill)(settings, _seconds_left(context))
            outcome = "listed" if request.dry_run else "filled"
            observation.add(outcome=outcome, receipts=len(done.get("Receipts", ())), left=done["Left"])
            return done
        observation.add(secret=request.secret)
        found = write_receipts(request.secret, request.time, settings, late=False)
        outcome = "ignored" if found is None else "written" if found else "nothing-missing"
        observation.add(outcome=outcome, receipts=len(found or ()))
        return {"Receipts": found or []}


def _seconds_left(context: object) -> Callable[[], float]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: math.inf
    return lambda: float(remaining()) / 1000
