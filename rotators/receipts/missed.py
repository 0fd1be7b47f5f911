"""Rotations whose events may have been lost, from CloudTrail, which keeps events for 90 days."""

from __future__ import annotations

import datetime as dt
import json

from rotators.aws import clients
from rotators.aws.events import secrets_in
from rotators.aws.faults import translated

SUCCEEDED = "RotationSucceeded"
"""Name of Secrets Manager's event."""


def rotations_since(since: dt.datetime) -> list[tuple[dt.datetime, str]]:
    """Return the rotations of all secrets of the account and Region that succeeded.

    Args:
        since: time of the earliest.

    Returns:
        Times, in whole seconds, and ARNs (or names) of the secrets; oldest first.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    wanted = [{"AttributeKey": "EventName", "AttributeValue": SUCCEEDED}]
    found: set[tuple[dt.datetime, str]] = set()
    pages = clients.cloudtrail_lister().get_paginator("lookup_events")
    with translated("LookupEvents", SUCCEEDED):
        for page in pages.paginate(LookupAttributes=wanted, StartTime=since):
            for event in page["Events"]:
                named = secrets_in(json.loads(event.get("CloudTrailEvent", "{}")))
                found.update((event["EventTime"], secret) for secret in named[:1])
    return sorted(found)
