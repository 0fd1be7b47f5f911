"""Rotations that failed, for all secrets at once, from CloudTrail.

CloudTrail keeps events for 90 days, has them after some minutes, and answers two lookups per second (API
reference, LookupEvents). Therefore the events are looked up by their names, not by secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from rotators.aws.events import record_of, secrets_in, spellings
from rotators.aws.views import FAILED_EVENTS, UNTOLD, FailedRotation
from rotators.manage.calls import looked_up
from rotators.manage.inventory import Entry


@dataclass(frozen=True)
class FailedRotations:
    """The newest failed rotation of each secret.

    Attributes:
        by_secret: ARN or name of a secret, as its events have it, to its newest failure.
    """

    by_secret: Mapping[str, FailedRotation]

    def last(self, entry: Entry) -> FailedRotation | None:
        """Return the failure of a secret, if no rotation succeeded after it.

        Args:
            entry: the secret.
        """
        found = (self.by_secret.get(each) for each in spellings(entry.arn))
        failure = max(filter(None, found), key=lambda each: each.time, default=None)
        # An earlier secret may have had its name. CloudTrail has no fractions of a second.
        created = entry.created and entry.created.replace(microsecond=0)
        later = (time for time in (entry.rotated, created) if failure and time and time > failure.time)
        return None if any(later) else failure


def failed_rotations() -> FailedRotations:
    """Read the failed rotations of the last 90 days.

    Returns:
        The newest failure of each secret.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    return newest(failures())


def failed_rotations_if_readable() -> FailedRotations | None:
    """Read the failed rotations, see `failed_rotations`.

    Returns:
        The failures; None if the caller may not read CloudTrail, or its calls are throttled.
    """
    try:
        return failed_rotations()
    except UNTOLD:
        return None


def newest(pages: Iterable[Sequence[tuple[str, FailedRotation]]]) -> FailedRotations:
    """Keep the newest failure of each secret.

    Args:
        pages: result of `failures`.

    Returns:
        The newest failure of each secret.
    """
    by_secret: dict[str, FailedRotation] = {}
    for secret, failure in chain.from_iterable(pages):
        known = by_secret.get(secret)
        if known is None or known.time < failure.time:
            by_secret[secret] = failure
    return FailedRotations(by_secret)


def failures() -> Iterator[Sequence[tuple[str, FailedRotation]]]:
    """Read the failed rotations of the last 90 days; those of one kind come newest first.

    Yields:
        ARNs or names of secrets, each with a failure, for each answer of CloudTrail; there may be none in it.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    for name in FAILED_EVENTS:
        for events in looked_up("EventName", name, about=name):
            yield [found for event in events for found in _failures_in(name, event)]


def _failures_in(name: str, event: Mapping[str, Any]) -> Iterator[tuple[str, FailedRotation]]:
    detail = record_of(event)
    failure = FailedRotation(name, event["EventTime"], str(detail.get("errorMessage", "")))
    for secret in secrets_in(detail):
        yield secret, failure
