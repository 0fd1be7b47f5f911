"""The changes of a secret, with caller and time, from its events in CloudTrail.

CloudTrail has the events of 90 days and of one Region, after some minutes, and answers two lookups per second
(API reference, LookupEvents). A lookup has one attribute. So events are looked up by the secret's ARN and
name. Changes and the service's own events are also looked up by their names, because in some of them only the
record names the secret. There are too many reads for this, so only reads that CloudTrail finds by the secret
are counted.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from rotators.aws.events import CHANGES, OF_SERVICE, SOURCE, is_about, record_of, secrets_in
from rotators.aws.views import SecretView
from rotators.manage.calls import looked_up

KEPT = dt.timedelta(days=90)
"""The time for which CloudTrail has events."""

_READS = ("GetSecretValue", "BatchGetSecretValue")
_NOT_SHOWN = {"name", "rotationToken", "secretBinary", "secretId", "secretString"}


@dataclass(frozen=True)
class HistoryEntry:
    """A call that changes a secret, also a refused one, or an event of the service.

    Attributes:
        time: its time, to the second.
        event: CloudTrail's name of it, such as ``PutSecretValue`` or ``RotationSucceeded``.
        who: ARN of the caller, or the service's name.
        address: the caller's address.
        request: parameters of the call without the secret's name and without values; empty for an event.
        error: code and message of a refused call, message of a failed rotation, or None.
    """

    time: dt.datetime
    event: str
    who: str
    address: str
    request: Mapping[str, Any]
    error: str | None


@dataclass(frozen=True)
class History:
    """The events of a secret.

    Attributes:
        since: the events are later than this.
        changes: newest first.
        reads: number of reads of a value that were not refused, by caller.
    """

    since: dt.datetime
    changes: tuple[HistoryEntry, ...]
    reads: Mapping[str, int]


def history(view: SecretView, period: dt.timedelta) -> History:
    """Read the events of a secret.

    Args:
        view: the secret.
        period: age of the oldest event; more than 90 days count as 90 days.

    Returns:
        Its changes and reads.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    since = view.read_at - min(period, KEPT)
    changes: list[HistoryEntry] = []
    reads: list[tuple[dt.datetime, str]] = []
    for time, detail in _events(view, since):
        if not detail.get("readOnly"):
            changes.append(_change(time, detail))
        elif detail.get("eventName") in _READS and "errorCode" not in detail:
            reads.append((time, _who(detail)))
    created = max(
        (each.time for each in changes if each.event == "CreateSecret" and not each.error), default=since
    )
    changes = [each for each in changes if each.time >= created]  # not of an earlier secret
    changes.sort(key=lambda change: change.time, reverse=True)
    return History(since, tuple(changes), Counter(who for time, who in reads if time >= created))


def _events(view: SecretView, since: dt.datetime) -> Iterator[tuple[dt.datetime, Mapping[str, Any]]]:
    lookups = [("ResourceName", view.arn), ("ResourceName", view.name)]
    lookups += [("EventName", name) for name in (*CHANGES, *OF_SERVICE)]
    seen: set[str] = set()
    for key, value in lookups:
        for event in chain.from_iterable(looked_up(key, value, about=view.arn, StartTime=since)):
            detail = record_of(event)
            found = key == "ResourceName" and not secrets_in(detail)  # a batch by filters names none
            own = detail.get("eventSource") == SOURCE and (found or is_about(detail, view.arn))
            if own and event["EventId"] not in seen:
                seen.add(event["EventId"])
                yield event["EventTime"], detail


def _change(time: dt.datetime, detail: Mapping[str, Any]) -> HistoryEntry:
    request = detail.get("requestParameters") or {}
    error = ": ".join(str(detail[name]) for name in ("errorCode", "errorMessage") if detail.get(name))
    return HistoryEntry(
        time=time,
        event=str(detail.get("eventName")),
        who=_who(detail),
        address=str(detail.get("sourceIPAddress", "")),
        request={name: value for name, value in request.items() if name not in _NOT_SHOWN},
        error=error or None,
    )


def _who(detail: Mapping[str, Any]) -> str:
    identity = detail.get("userIdentity") or {}
    found = (identity.get(name) for name in ("arn", "invokedBy", "accountId"))
    return str(next(filter(None, found), "unknown"))
