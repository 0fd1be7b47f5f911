"""Rotation rules: their validation, and the time of the next rotation (UG:rotate-secrets_schedule).

Times are UTC. ``NextRotationDate`` is the last second of the next window, in whole seconds
(API:DescribeSecret, the latest date, and its sample answer). A window of days begins at midnight and ends
with the day; one of hours lasts one hour (API:RotationRulesType). The beginning of the window of rate() in
hours is not documented: here, it is the hour in which the interval ends.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from cronsim import CronSim, CronSimError

from rotators.core.schedule import Cron, parse_schedule
from rotators.local.secretsmanager.refusals import invalid_parameter

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_EXPRESSION, _MAX_DURATION_HOURS = 256, 24


def check_rules(rules: Mapping[str, Any]) -> None:
    """Refuse rules that the service refuses.

    Args:
        rules: RotationRules of a RotateSecret call.

    Raises:
        SecretsManagerClientError: InvalidParameterException, naming the field.
    """
    days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    duration = rules.get("Duration")
    if days is not None and expression is not None:
        message = "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules."
        raise invalid_parameter(message)
    if days is not None and not 1 <= days <= 1000:  # noqa: PLR2004 - the API's own numbers
        raise invalid_parameter("RotationRules.AutomaticallyAfterDays must be within 1-1000.")
    if expression is not None:
        _check_expression(expression)
    if duration is not None and (
        not re.fullmatch(r"[0-9]+h", duration) or not 1 <= int(duration[:-1]) <= _MAX_DURATION_HOURS
    ):
        raise invalid_parameter("RotationRules.Duration must be a number of hours such as 3h, within a day.")


def merge_rules(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the rules of a call into the stored ones: a new schedule replaces the old one of either kind.

    Args:
        old: The stored rules.
        new: Validated rules of the call; may be empty.

    Returns:
        The rules to store.
    """
    kept = dict(old)
    if new.keys() & {"AutomaticallyAfterDays", "ScheduleExpression"}:
        kept = {}
    return {**kept, **{key: value for key, value in new.items() if value is not None}}


def next_rotation(rules: Mapping[str, Any], last: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """Calculate the time of the next rotation.

    Args:
        rules: The stored rules.
        last: Time at which the value was last changed.
        now: The current time.

    Returns:
        The last second of its window in UTC; None without a schedule.
    """
    expression, days = str(rules.get("ScheduleExpression") or ""), rules.get("AutomaticallyAfterDays") or 0
    if not expression and not days:
        return None
    schedule = parse_schedule(expression) if expression else dt.timedelta(days=days)
    if isinstance(schedule, Cron):
        hourly, begin = not schedule.hours.isdigit(), next(_occurrences(schedule, now))
    else:
        hourly, due = "hour" in expression, last + schedule
        begin = due.replace(hour=due.hour if hourly else 0, minute=0, second=0, microsecond=0)
    return begin + _length(begin, rules.get("Duration"), hourly=hourly) - dt.timedelta(seconds=1)


def _length(begin: dt.datetime, duration: str | None, *, hourly: bool) -> dt.timedelta:
    """Return the length of a window."""
    if duration:
        return dt.timedelta(hours=int(duration.removesuffix("h")))
    return dt.timedelta(hours=1 if hourly else 24 - begin.hour)


def _check_expression(expression: str) -> None:
    if len(expression) > _LONGEST_EXPRESSION:
        raise invalid_parameter("RotationRules.ScheduleExpression is too long.")
    try:
        schedule = parse_schedule(expression)
        if isinstance(schedule, Cron):
            _occurrences(schedule, dt.datetime.now(dt.UTC))
    except ValueError as error:
        raise invalid_parameter(f"RotationRules.ScheduleExpression: {error}.") from None
    except CronSimError:
        raise invalid_parameter("The cron() expression holds a field that is not valid.") from None


def _occurrences(cron: Cron, now: dt.datetime) -> CronSim:
    """Return the times after `now`.

    Raises:
        CronSimError: a field is not valid, or the day never comes.
    """
    days, weekdays = cron.days.replace("?", "*"), _weekdays(cron.weekdays)
    return CronSim(f"0 {cron.hours} {days} {cron.months} {weekdays}", now)


def _weekdays(field: str) -> str:
    """AWS's days of the week in cron's notation: AWS counts from SUN = 1, cron from 0."""
    if field == "?":
        return "*"
    parts = ["SAT" if part == "L" else part for part in field.upper().split(",")]
    numbered = re.sub(r"(?<![#/0-9])(?:[0-9]+|SUN|MON|TUE|WED|THU|FRI|SAT)", _weekday, ",".join(parts))
    # cron has SUN as 0 and 7, so a step from a first day must end at SAT = 6.
    return re.sub(r"(?<![-#/0-9])([0-6])/", r"\1-6/", numbered)


def _weekday(found: re.Match[str]) -> str:
    number = _DAYS.index(found[0]) if found[0] in _DAYS else int(found[0]) - 1
    return str(number) if number in range(7) else "?"  # which no field of cron allows
