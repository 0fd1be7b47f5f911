"""Rotations that failed, for all secrets at once, from CloudTrail.

CloudTrail keeps events for 90 days, lags some minutes behind, and answers two lookups per second (API
reference, LookupEvents). Therefore the events are read by their names, not secret by secret.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import FAILED_EVENTS, UNTOLD, FailedRotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    newest: dict[str, FailedRotation] = {}
    for arn, failure in _failures():
        known = newest.get(arn)
        if known is None or known.time < failure.time:
            newest[arn] = failure
    return FailedRotations(newest)


def failed_rotations_if_readable() -> FailedRotations | None:
    """Read the failed rotations as `failed_rotations` does.

    Returns:
        The failures; None if the caller may not read CloudTrail, or others use up its lookups.
    """
    try:
        return failed_rotations()
    except UNTOLD:
        return None


def _failures() -> Iterator[tuple[str, FailedRotation]]:
    client = clients.cloudtrail_lister()
    for name in FAILED_EVENTS:
        wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
        with translated("LookupEvents", name):
            for page in client.get_paginator("lookup_events").paginate(LookupAttributes=wanted):
                for event in page["Events"]:
                    detail = json.loads(event.get("CloudTrailEvent", "{}"))
                    arn = secret_of(detail)
                    if arn:
                        message = str(detail.get("errorMessage", ""))
                        yield arn, FailedRotation(name, event["EventTime"], message)


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
