"""The steps of rotations, as the rotation function logged them in CloudWatch Logs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from rotators.aws import clients
from rotators.aws.faults import translated

_MOST_LINES = 4000  # a step has a log line and an audit record
_LONGEST_MILLISECONDS = 900_000  # of a function (LG: gettingstarted-limits)
_BEFORE_SECONDS = 86_400.0


@dataclass(frozen=True)
class FailedStep:
    """One failed step. All texts come from a log and are untrusted: clean them before they are shown.

    Attributes:
        secret: ARN or name of the secret.
        token: token of the rotation.
        step: ``createSecret``, ``setSecret``, ``testSecret`` or ``finishSecret``; empty if not logged.
        code: the error's code, as in docs/reference/errors.md.
        message: code, cause and next action in one text.
        retryable: True if the same step may succeed later without a change.
    """

    secret: str
    token: str
    step: str
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class LoggedStep:
    """One finished step. All texts come from a log, as in FailedStep.

    Attributes:
        event_id: the log line's own id.
        time: time of its end, by the function's clock.
        step: ``createSecret``, ``setSecret``, ``testSecret`` or ``finishSecret``; empty if not logged.
        seconds: duration in the function; 0.0 if not logged.
        failure: None if it succeeded.
        token: token of the rotation; empty if not logged.
        outcome: such as ``done`` or ``already-current``; empty if not logged.
        rotator, strategy: names; empty if not logged.
    """

    event_id: str
    time: dt.datetime
    step: str
    seconds: float
    failure: FailedStep | None
    token: str = ""
    outcome: str = ""
    rotator: str = ""
    strategy: str = ""


def log_group(function_arn: str) -> str:
    """Return the log group that Lambda gives a function, from the function's ARN.

    Args:
        function_arn: ARN of the function.
    """
    return f"/aws/lambda/{function_arn.split(':')[6]}"


def begin_of_log(*moments: dt.datetime | None) -> float:
    """Return the earliest time of log lines about a rotation, in seconds since 1970; 0 if unknown.

    A log group has the rotations of all secrets, so a search of all of it takes minutes. createSecret may
    fail for hours before a version exists.

    Args:
        *moments: times of the version's creation, the most reliable first; None if unknown.

    Returns:
        One day before the first known moment.
    """
    known = next(filter(None, moments), None)
    return known.timestamp() - _BEFORE_SECONDS if known else 0.0


def newest_failure(steps: Sequence[LoggedStep]) -> FailedStep | None:
    """Return the failure of the last step that failed, or None.

    Args:
        steps: oldest first; later ones may have succeeded.
    """
    return next(filter(None, (step.failure for step in reversed(steps))), None)


def logged_steps(function_arn: str, of: str, since: float) -> list[LoggedStep]:
    """Return the finished steps that a rotation function logged about a rotation or a secret, oldest first.

    Args:
        function_arn: the rotation function.
        of: the rotation's token, or the secret's ARN; without quotation marks.
        since: seconds since 1970, by the service's clock; older lines do not count.

    Returns:
        The steps; empty if the function logged none.

    Raises:
        StoreError: the log could not be read (no permission, no such group, throttled …).
    """
    group = log_group(function_arn)
    with translated("FilterLogEvents", group):
        pages = (
            clients.logs()
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=group,
                startTime=int(since * 1000),
                # A quoted term is found in lines of any form (CloudWatch Logs: filter and pattern syntax).
                filterPattern=f'"{of}"',
                PaginationConfig={"MaxItems": _MOST_LINES},
            )
        )
        events = sorted((event for page in pages for event in page["events"]), key=itemgetter("timestamp"))
    steps = (_logged_step(event, of) for event in events)
    return [step for step in steps if step]


def _logged_step(event: Mapping[str, Any], of: str) -> LoggedStep | None:
    try:
        entry = json.loads(event["message"])
    except (RecursionError, ValueError):
        return None
    if not isinstance(entry, dict) or of not in (entry.get("token"), entry.get("secret")):
        return None
    if "outcome" not in entry:
        return None
    return LoggedStep(
        event_id=str(event.get("eventId")),
        time=dt.datetime.fromtimestamp(event["timestamp"] / 1000, dt.UTC),
        step=str(entry.get("step") or ""),
        seconds=_seconds(entry.get("duration_ms")),
        failure=_failure(entry),
        **{key: str(entry.get(key) or "") for key in ("token", "outcome", "rotator", "strategy")},
    )


def _seconds(milliseconds: object) -> float:
    """Return a duration; 0 if no function can take so long. Python's JSON permits infinite numbers."""
    if isinstance(milliseconds, int | float) and 0 <= milliseconds <= _LONGEST_MILLISECONDS:
        return milliseconds / 1000
    return 0.0


def _failure(entry: Mapping[str, Any]) -> FailedStep | None:
    if entry["outcome"] != "failed" or entry.get("error_message") is None:
        return None
    texts = {key: str(entry.get(key) or "") for key in ("secret", "token", "step")}
    return FailedStep(
        **texts,
        code=str(entry.get("error_code") or ""),
        message=str(entry["error_message"]),
        retryable=entry.get("retryable") is True,
    )
