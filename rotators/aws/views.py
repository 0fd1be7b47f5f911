"""A secret without its values, and its last failed rotation, read from AWS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from rotators.aws import clients
from rotators.aws.events import is_about, record_of
from rotators.aws.failures import LoggedStep, begin_of_log, logged_steps
from rotators.aws.faults import translated
from rotators.aws.secrets import Version, describe, list_versions
from rotators.core.errors import (
    AccessDenied,
    InvalidInput,
    RequestRefused,
    SecretDeleted,
    SecretNotFound,
    ServiceThrottled,
    ServiceUnavailable,
)
from rotators.core.store import SecretState

# A role may lack the permission, and CloudTrail permits two calls a second; the command continues without.
UNASKED = (AccessDenied, RequestRefused, ServiceThrottled, ServiceUnavailable)
"""Errors of a call to AWS that leave its result unknown."""

UNTOLD = (*UNASKED, SecretDeleted, SecretNotFound)
"""The same errors, and those for a resource that does not exist, or no longer."""

FAILED_EVENTS = ("RotationFailed", "RotationAbandoned", "TestRotationFailed")
"""Names of Secrets Manager's own events about a failed rotation (User Guide, cloudtrail_log_entries)."""

_SUCCEEDED_EVENTS = ("RotationSucceeded", "TestRotationSucceeded")


@dataclass(frozen=True)
class SecretView:
    """A secret without any value.

    Attributes:
        arn, name: of the secret.
        rotation_enabled: True if rotation is on.
        deleted: time at which the secret was scheduled for deletion, or None.
        primary_region: Region of the secret itself, if this is a replica of it in another Region; else None.
        function_arn: ARN of the rotation function, or None.
        schedule: schedule in words, such as ``every 30 days``, ``rate(10 days)`` or ``cron(…)``; or None.
        window: duration of the rotation window, or None.
        last_rotated, next_rotation: times, or None.
        versions: newest first; only those with a stage if ``unlisted``.
        unlisted: True if this role may not list the versions without a stage.
        owner: AWS service that manages the secret, or None.
        read_at: time of the answer by the service's clock, to the second; this machine's clock may be wrong.
    """

    arn: str
    name: str
    rotation_enabled: bool
    deleted: dt.datetime | None
    primary_region: str | None
    function_arn: str | None
    schedule: str | None
    window: str | None
    last_rotated: dt.datetime | None
    next_rotation: dt.datetime | None
    versions: tuple[Version, ...]
    unlisted: bool
    owner: str | None
    read_at: dt.datetime

    @property
    def id(self) -> str:
        """The shortest id that a command finds it by: the name or the ARN."""
        return clients.short_id(self.name, self.arn)

    @property
    def primary_arn(self) -> str | None:
        """The ARN of the secret itself, if this is a replica of it."""
        return None if self.primary_region is None else arn_in(self.primary_region, self.arn)

    @property
    def state(self) -> SecretState:
        """The stages, as the core needs them."""
        stages = {version.id: version.stages for version in self.versions if version.stages}
        return SecretState(self.arn, self.rotation_enabled, stages)

    def holder(self, stage: str) -> str | None:
        """Return the id of the version that has a stage, or None.

        Args:
            stage: any stage.
        """
        return next((version.id for version in self.versions if stage in version.stages), None)


@dataclass(frozen=True)
class FailedRotation:
    """A failed rotation in CloudTrail.

    Attributes:
        event: the event's name.
        time: time of the event.
        message: message of the service.
    """

    event: str
    time: dt.datetime
    message: str


def read_secret(secret_id: str) -> SecretView:
    """Read everything about a secret except its values.

    Args:
        secret_id: name or ARN of the secret.

    Returns:
        Its state; without the versions that have no stage if they may not be listed.

    Raises:
        InvalidInput: the name is empty.
        SecretNotFound, AccessDenied, …: see rotators/aws/faults.py.
    """
    if not secret_id.strip():
        raise InvalidInput(
            "the name of the secret is empty",
            remedy="Give a name or an ARN; `aws secretsmanager list-secrets` lists them.",
        )
    found = describe(secret_id)
    unlisted = False
    try:
        versions = list_versions(found["ARN"])
    except AccessDenied:
        unlisted = True
        stages: Mapping[str, Any] = found.get("VersionIdsToStages", {})
        versions = tuple(Version(each, tuple(stages[each]), None) for each in stages)
    rules: Mapping[str, Any] = found.get("RotationRules", {})
    return SecretView(
        arn=found["ARN"],
        name=found["Name"],
        rotation_enabled=bool(found.get("RotationEnabled", False)),
        deleted=found.get("DeletedDate"),
        primary_region=primary_region(found),
        function_arn=found.get("RotationLambdaARN"),
        schedule=schedule_of(rules),
        window=rules.get("Duration"),
        last_rotated=found.get("LastRotatedDate"),
        next_rotation=found.get("NextRotationDate"),
        versions=versions,
        unlisted=unlisted,
        owner=found.get("OwningService"),
        read_at=parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"]),
    )


def schedule_of(rules: Mapping[str, Any]) -> str | None:
    """Return the schedule of a secret in words, such as ``every 30 days``; None without a schedule.

    Args:
        rules: ``RotationRules`` of a secret.
    """
    days = rules.get("AutomaticallyAfterDays")
    return rules.get("ScheduleExpression") or (f"every {days} days" if days else None)


def arn_in(region: str, arn: str) -> str:
    """Return the ARN of the same secret in another Region; ARNs of replicas differ only in the Region.

    Args:
        region: the other Region.
        arn: ARN of the secret.
    """
    parts = arn.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])


def primary_region(described: Mapping[str, Any]) -> str | None:
    """Return the Region of a replica's primary; None for a secret that is not a replica.

    Args:
        described: response of DescribeSecret. The primary of replicas names its own Region there.
    """
    primary: str | None = described.get("PrimaryRegion")
    return primary if primary != described["ARN"].split(":")[3] else None


def last_failure(arn: str) -> FailedRotation | None:
    """Return the newest failed rotation of a secret in CloudTrail, which AWS updates after some minutes.

    Args:
        arn: ARN of the secret.

    Returns:
        The failure; None if none is newer than the last success, or if CloudTrail may not be read.
    """
    try:
        failures = [
            FailedRotation(name, *found) for name in FAILED_EVENTS if (found := _newest_event(arn, name))
        ]
        if not failures:
            return None
        newest = max(failures, key=lambda failure: failure.time)
        successes = (_newest_event(arn, name, newest.time) for name in _SUCCEEDED_EVENTS)
        return None if any(found and found[0] > newest.time for found in successes) else newest
    except UNTOLD:
        return None


def steps_of(view: SecretView, token: str | None) -> list[LoggedStep]:
    """Return the finished steps that the rotation function logged about one rotation, from CloudWatch Logs.

    Args:
        view: the secret.
        token: token of the rotation; None for no rotation.

    Returns:
        The steps, oldest first; empty without a rotation, or if logs may not be read.
    """
    if view.function_arn is None or token is None:
        return []
    created = next((each.created for each in view.versions if each.id == token), None)
    try:
        return logged_steps(view.function_arn, token, begin_of_log(created, view.last_rotated, view.read_at))
    except UNTOLD:
        return []


def _newest_event(arn: str, name: str, since: dt.datetime | None = None) -> tuple[dt.datetime, str] | None:
    """Return time and message of the newest of Secrets Manager's own events with a name about a secret."""
    # By the event's name: the look-up by resource does not find it, because only the record names the secret.
    request = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]}
    pages = clients.cloudtrail().get_paginator("lookup_events")
    start = {"StartTime": since} if since else {}
    with translated("LookupEvents", arn):
        for page in pages.paginate(**request, **start, PaginationConfig={"MaxItems": 200}):
            for event in page["Events"]:
                detail = record_of(event)
                if is_about(detail, arn):
                    return event["EventTime"], str(detail.get("errorMessage", ""))
    return None
