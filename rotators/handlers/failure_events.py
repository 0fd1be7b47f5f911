"""Secrets Manager's events about rotations that did not succeed, as EventBridge delivers them.

The shape is the one in UG:cloudtrail_log_entries: an ``AWS Service Event via CloudTrail``. Where the event
names the secret is not documented for failures. Public examples have ``additionalEventData.SecretId`` or, for
secrets that a service manages, ``serviceEventDetails.secretId``; events from before February 2024
``additionalEventData.aRN``; the list ``resources`` is the last place to look.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rotators.core.errors import InvalidEvent

FAILED, ABANDONED, TEST_FAILED = "RotationFailed", "RotationAbandoned", "TestRotationFailed"
FAILURES = (FAILED, ABANDONED, TEST_FAILED)

_T = TypeVar("_T")
_SECRET_ID = re.compile(r"[A-Za-z0-9/_+=.@!:-]{1,2048}")
_EVENT_ID = r"[A-Za-z0-9-]{1,64}"
_SPELLINGS = ("SecretId", "secretId", "ARN", "arn", "aRN")
# Message of Secrets Manager about a failed step (UG:troubleshoot_rotation).
_EXECUTING = re.compile(
    r"executing lambda (?P<function>arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+)\S* "
    r"during (?P<step>[A-Za-z]{1,32}) step"
)


@dataclass(frozen=True)
class FailureEvent:
    """One event of FAILURES.

    Attributes:
        id: id of the event; deliveries of the same event have the same id. Empty if the event has no valid
            id.
        name: one of FAILURES.
        secret: ARN (or name) of the secret; empty if the event names none that is valid.
        time: end of the rotation, in UTC.
        account, region: account and Region of the secret; empty if the event does not say.
        error: the service's message, outside text; may be empty.
        function_arn: ARN of the rotation function, if the message names it, else None.
        step: the step that failed, if the message names it, else empty.
    """

    id: str
    name: str
    secret: str
    time: dt.datetime
    account: str
    region: str
    error: str
    function_arn: str | None
    step: str

    @property
    def secret_name(self) -> str:
        """Return the secret's name: its ARN has the name, followed by a hyphen and six characters."""
        name = self.secret.partition(":secret:")[2]
        return re.sub(r"-[A-Za-z0-9]{6}$", "", name) if name else self.secret

    @classmethod
    def from_event(cls, event: object) -> FailureEvent:
        """Read an event.

        Args:
            event: event that Lambda got from EventBridge.

        Returns:
            The event in one form; members that are missing or malformed are empty.

        Raises:
            InvalidEvent: it is not an event about a rotation that did not succeed.
        """
        outer = _typed(dict, event)
        detail = _typed(dict, outer.get("detail"))
        name = detail.get("eventName")
        if name not in FAILURES:
            raise InvalidEvent(
                f"the event's detail.eventName is not one of {', '.join(FAILURES)}",
                remedy="Only EventBridge's rule for failed rotations calls this function; "
                "see events/notify-*.json.",
            )
        error = _typed(str, detail.get("errorMessage"))
        executing = _EXECUTING.search(error)
        return cls(
            id=_matching(_EVENT_ID, outer.get("id")) or _matching(_EVENT_ID, detail.get("eventID")),
            name=str(name),
            secret=next(_secrets(outer, detail), ""),
            time=_time(detail.get("eventTime") or outer.get("time")),
            account=_matching(r"\d{12}", detail.get("recipientAccountId") or outer.get("account")),
            region=_matching(r"[a-z0-9-]{1,32}", detail.get("awsRegion") or outer.get("region")),
            error=error,
            function_arn=executing["function"] if executing else None,
            step=executing["step"] if executing else "",
        )


def _typed(kind: type[_T], value: object) -> _T:
    """Return a value of a type; an empty one for anything else, which may be too deep to be shown."""
    return value if isinstance(value, kind) else kind()


def _secrets(outer: Mapping[str, Any], detail: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places where the secret may be named, the most likely first."""
    members = ("additionalEventData", "serviceEventDetails", "requestParameters")
    places = [_typed(dict, detail.get(member)) for member in members]
    found: list[object] = [place.get(spelling) for place in places for spelling in _SPELLINGS]
    for resource in [*_typed(list, detail.get("resources")), *_typed(list, outer.get("resources"))]:
        found += [resource, _typed(dict, resource).get("ARN")]
    for each in found:
        if isinstance(each, str) and _SECRET_ID.fullmatch(each):
            yield each


def _matching(pattern: str, value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else ""


def _time(text: object) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(_typed(str, text))
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):  # OverflowError: before the year 1 or after 9999 in UTC
        return dt.datetime.now(dt.UTC)  # the event is only seconds old, and the mail needs a time
