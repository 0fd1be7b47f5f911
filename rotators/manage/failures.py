"""Rotations that failed, for all secrets at once, from CloudTrail.

CloudTrail keeps events for 90 days, lags some minutes behind, and answers two lookups per second (API
reference, LookupEvents). Therefore the events are read by their names, not secret by secret.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import FAILED_EVENTS, UNTOLD, FailedRotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rotators.manage.inventory import Entry


class FailedRotations:
    """The newest failed rotation of each secret.

    Args:
        by_arn: ARN of a secret to its newest failure.
    """

    def __init__(self, by_arn: Mapping[str, FailedRotation]) -> None:
        self._by_arn = by_arn

    def last(self, entry: Entry) -> FailedRotation | None:
        """Return the failure of a secret, if no rotation succeeded after it.

        Args:
            entry: the secret.
        """
        failure = self._by_arn.get(entry.arn)
        if failure is None or (entry.rotated is not None and entry.rotated > failure.time):
            return None
        return failure


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
    """Read the failed rotations as `failed_rotations` does.

    Returns:
        The failures; None if the caller may not read CloudTrail, or others use up its lookups.
    """
    try:
        return failed_rotations()
    except UNTOLD:
        return None


def newest(pages: Iterable[Sequence[tuple[str, FailedRotation]]]) -> FailedRotations:
    """Keep the newest failure of each secret.

    Args:
        pages: failures, as `failures` gives them.

    Returns:
        The newest failure of each secret.
    """
    by_arn: dict[str, FailedRotation] = {}
    for arn, failure in chain.from_iterable(pages):
        known = by_arn.get(arn)
        if known is None or known.time < failure.time:
            by_arn[arn] = failure
    return FailedRotations(by_arn)


def failures() -> Iterator[Sequence[tuple[str, FailedRotation]]]:
    """Read the failed rotations of the last 90 days; those of one kind come newest first.

    Yields:
        ARNs of secrets, each with a failure, for each answer of CloudTrail; there may be none in it.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    client = clients.cloudtrail_lister()
    for name in FAILED_EVENTS:
        wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
        with translated("LookupEvents", name):
            for page in client.get_paginator("lookup_events").paginate(LookupAttributes=wanted):
                yield [found for event in page["Events"] if (found := _failure(name, event))]


def _failure(name: str, event: Mapping[str, Any]) -> tuple[str, FailedRotation] | None:
    """The ARN in an event with its failure; None if it names no secret."""
    detail = json.loads(event.get("CloudTrailEvent", "{}"))
    arn = secret_of(detail)
    return (
        (arn, FailedRotation(name, event["EventTime"], str(detail.get("errorMessage", "")))) if arn else None
    )


def secret_of(detail: Mapping[str, object]) -> str:
    """Return the ARN in a service event: its place differs between services' events.

    Args:
        detail: CloudTrail's record of the event.

    Returns:
        The ARN; empty if there is none.
    """
    for name in ("additionalEventData", "serviceEventDetails"):
        details = detail.get(name)
        if isinstance(details, dict):
            found = details.get("SecretId") or details.get("secretId")
            if found:
                return str(found)
    return ""
