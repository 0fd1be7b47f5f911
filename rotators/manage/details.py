"""Logged steps, versions and replicas, which a listing does not have: each needs a call for each secret.

ListSecrets returns neither replicas nor the ages and keys of versions (API reference, SecretListEntry).
Therefore they are read only for the most important secrets, with several calls at a time.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from rotators.aws import clients
from rotators.aws.failures import FailedStep, LoggedStep, begin_of_log, logged_steps
from rotators.aws.secrets import Version
from rotators.aws.views import UNTOLD
from rotators.core.errors import SecretNotFound, ServiceThrottled, ServiceUnavailable
from rotators.core.request import Step
from rotators.core.states import Stage, holder
from rotators.manage.attention import Urgency
from rotators.manage.calls import replicas_of, versions_of
from rotators.manage.inventory import Entry
from rotators.manage.report import Row

T = TypeVar("T")

MOST_VERSIONS = 50
"""Number of secrets whose versions are read."""

MOST_REPLICATED = 100
"""Number of secrets whose replicas are read."""

IN_SYNC = "InSync"
"""State of a replica with the present value (API reference, ReplicationStatusType)."""

_MOST_ROTATIONS, _MOST_FAILED = 12, 6
_MOST_STEPS = 12
_CALLS = 8  # at a time; a client keeps ten connections
_LOOKS_AT_LOGS = 1  # CloudWatch Logs answers five a second (repost.aws, cloudwatch-logs-throttling)


@dataclass(frozen=True)
class Replica:
    """A replica of a secret.

    Attributes:
        region: its Region.
        state: ``InSync``, ``InProgress``, ``Failed``, or another word of the service.
        message: message of the service about the state; may be empty.
        key: its KMS key; None if the service does not return it.
    """

    region: str
    state: str
    message: str
    key: str | None


@dataclass(frozen=True)
class Span:
    """A step of a timeline.

    Attributes:
        step: the step.
        begin, end: seconds from the beginning of the timeline.
    """

    step: LoggedStep
    begin: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """The steps of a rotation.

    Attributes:
        entry: the secret.
        logged: all its logged steps, oldest first; at least one.
    """

    entry: Entry
    logged: Sequence[LoggedStep]

    @property
    def steps(self) -> Sequence[LoggedStep]:
        """The newest steps: a step that fails is repeated for hours."""
        return self.logged[-_MOST_STEPS:]

    @property
    def state(self) -> str:
        """``failed``, ``ended``, or ``last step`` of a rotation that is running or was interrupted."""
        last = self.logged[-1]
        if last.failure:
            return "failed"
        return "ended" if last.step == Step.FINISH else "last step"

    @property
    def ended(self) -> dt.datetime:
        """The end of the last step."""
        return self.logged[-1].time

    @property
    def seconds(self) -> float:
        """The time between the beginning of the first of `steps` and the end of the last one."""
        return max(span.end for span in self.spans)

    @property
    def spans(self) -> Sequence[Span]:
        """The steps with their times. The log has the end of a step and its duration."""
        begins = [step.time - dt.timedelta(seconds=step.seconds) for step in self.steps]
        first = min(begins)
        return [
            Span(step, (begin - first).total_seconds(), (step.time - first).total_seconds())
            for step, begin in zip(self.steps, begins, strict=True)
        ]


@dataclass(frozen=True)
class Details:
    """Details of some secrets.

    Attributes:
        timelines: recent rotations, the newest first.
        versions: secrets and their versions, the most urgent secret first. Versions are as the listing has
            them, without age and key, if they could not be read.
        replicas: replicated secrets and their replicas, those with a problem first; None if they could not
            be read.
        unread: permission of a call to the number of secrets for which it was not answered.
    """

    timelines: Sequence[Timeline] = ()
    versions: Sequence[tuple[Entry, Sequence[Version]]] = ()
    replicas: Sequence[tuple[Entry, Sequence[Replica] | None]] = ()
    unread: Counter[str] = field(default_factory=Counter)

    def failed_step(self, entry: Entry) -> FailedStep | None:
        """Return the step at which the last rotation of a secret failed; None if it is unknown.

        Args:
            entry: the secret.
        """
        found = (each.logged[-1].failure for each in self.timelines if each.entry.arn == entry.arn)
        return next(found, None)


def read_details(rows: Sequence[Row]) -> Details:
    """Read the details of the most important secrets.

    Args:
        rows: secrets, the most urgent first.

    Returns:
        The details. Facts that the caller may not read are left out and counted.
    """
    newest = sorted(rows, key=lambda row: _last_change(row.entry), reverse=True)
    urgent = sorted(newest, key=lambda row: row.attention.urgency)
    unread: Counter[str] = Counter()
    listed = [row.entry for row in urgent[:MOST_VERSIONS]]
    versions = _read_each(_versions, listed, "secretsmanager:ListSecretVersionIds", unread)
    created = {each.id: each.created for _, found in versions for each in found or ()}
    steps_of = partial(_steps, created)
    steps = _read_each(steps_of, _rotating(newest), "logs:FilterLogEvents", unread, _LOOKS_AT_LOGS)
    primaries = [row.entry for row in rows if row.entry.is_primary][:MOST_REPLICATED]
    replicas = _read_each(_replicas, primaries, "secretsmanager:DescribeSecret", unread)
    timelines = [Timeline(entry, found) for entry, found in steps if found]
    return Details(
        timelines=sorted(timelines, key=lambda each: each.ended, reverse=True),
        versions=[(entry, _listed(entry) if found is None else found) for entry, found in versions],
        replicas=sorted(replicas, key=_in_sync),
        unread=unread,
    )


def _read_each(
    read: Callable[[Entry], T],
    entries: Sequence[Entry],
    permission: str,
    unread: Counter[str],
    calls: int = _CALLS,
) -> list[tuple[Entry, T | None]]:
    """Read one fact about each secret; None if it cannot be read.

    A service that did not answer, or throttled a call for too long, is not asked about the other secrets of
    the Region: each of those calls would take a minute.
    """
    silent: set[str] = set()

    def told(entry: Entry) -> tuple[Entry, T | None]:
        if entry.region in silent:
            return entry, None
        try:
            with clients.in_region_of(entry.arn):
                return entry, read(entry)
        except (ServiceThrottled, ServiceUnavailable):
            silent.add(entry.region)
        except UNTOLD:
            pass  # about this secret
        return entry, None

    with ThreadPoolExecutor(calls) as pool:
        found = list(pool.map(told, entries))
    if missing := sum(result is None for _, result in found):
        unread[permission] = missing
    return found


def _rotating(newest: Sequence[Row]) -> Sequence[Entry]:
    """Return the secrets that failed or changed last, of those with a rotation function."""
    rotating = [row for row in newest if row.entry.function_arn]
    failed = [row for row in rotating if row.attention.urgency is Urgency.FAILED]
    chosen = {row.entry.arn: row.entry for row in failed[:_MOST_FAILED] + rotating}
    return list(chosen.values())[:_MOST_ROTATIONS]


def _last_change(entry: Entry) -> float:
    moment = entry.changed or entry.created
    return moment.timestamp() if moment else 0.0


def _steps(created: Mapping[str, dt.datetime | None], entry: Entry) -> Sequence[LoggedStep]:
    token = holder(entry.stages, Stage.PENDING) or holder(entry.stages, Stage.CURRENT)
    if token is None or entry.function_arn is None:
        return ()
    try:
        logged = logged_steps(entry.function_arn, token, begin_of_log(created.get(token), entry.value_since))
        return [step for step in logged if step.step in tuple(Step)]
    except SecretNotFound:  # the function has no log, because it has never run
        return ()


def _versions(entry: Entry) -> Sequence[Version]:
    return versions_of(entry.arn)


def _listed(entry: Entry) -> Sequence[Version]:
    return [Version(version, tuple(stages), None) for version, stages in entry.stages.items()]


def _replicas(entry: Entry) -> Sequence[Replica]:
    return [
        Replica(each["Region"], each.get("Status", ""), each.get("StatusMessage", ""), each.get("KmsKeyId"))
        for each in replicas_of(entry.arn)
    ]


def _in_sync(replicated: tuple[Entry, Sequence[Replica] | None]) -> bool:
    _, found = replicated
    return found is not None and all(replica.state == IN_SYNC for replica in found)
