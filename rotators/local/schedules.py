"""Rotation rules: what the service accepts, and when the next rotation is due (UG:rotate-secrets_schedule).

Times are UTC. ``NextRotationDate`` is the start of the next window for cron() and the end of the interval,
counted from the last change of the value, for rate() and AutomaticallyAfterDays.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from rotators.local.refusals import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

_RATE = re.compile(r"rate\((\d+) (hours?|days?)\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_MIN_HOURS, _MAX_DAYS, _MAX_DURATION_HOURS = 4, 999, 24
_HORIZON_DAYS = 4 * 366


def check_rules(rules: Mapping[str, Any]) -> None:
    """Refuse what the service refuses.

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
    """The rules after a call: a new schedule replaces the old one of either kind.

    Args:
        old: what is stored.
        new: checked rules of the call; may be empty.

    Returns:
        What to store.
    """
    kept = dict(old)
    if new.keys() & {"AutomaticallyAfterDays", "ScheduleExpression"}:
        kept = {}
    return {**kept, **{key: value for key, value in new.items() if value is not None}}


def next_rotation(rules: Mapping[str, Any], last: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """When the next rotation is due.

    Args:
        rules: stored rules.
        last: when the value was last changed.
        now: the present.

    Returns:
        The time in UTC; None without a schedule, or for a cron() that never comes within four years.
    """
    expression = rules.get("ScheduleExpression")
    if expression is None:
        days = rules.get("AutomaticallyAfterDays")
        return None if days is None else last + dt.timedelta(days=days)
    if rate := _RATE.fullmatch(expression):
        return last + dt.timedelta(**{rate[2].rstrip("s") + "s": int(rate[1])})
    cron = _CRON.fullmatch(expression)
    return None if cron is None else _next_cron(cron.groups(), now)


def _check_expression(expression: str) -> None:
    rate, cron = _RATE.fullmatch(expression), _CRON.fullmatch(expression)
    if len(expression) > 256 or not (rate or cron):  # noqa: PLR2004 - the API's own number
        raise invalid_parameter("RotationRules.ScheduleExpression must be a rate() or cron() expression.")
    if rate:
        number, hours = int(rate[1]), rate[2].startswith("hour")
        if not (number >= _MIN_HOURS if hours else 1 <= number <= _MAX_DAYS):
            raise invalid_parameter("A rate() must be 4 hours or more, and 999 days or less.")
    if cron:
        _check_cron(cron.groups())


def _check_cron(fields: tuple[str | Any, ...]) -> None:
    minutes, hours, days, months, weekdays, year = fields
    if minutes != "0" or year != "*":
        raise invalid_parameter("A cron() of rotation has 0 as its minutes and * as its year.")
    if (days == "?") == (weekdays == "?"):
        raise invalid_parameter("A cron() of rotation has ? as either the day of month or the day of week.")
    try:
        _hours(hours)
        _in_field(1, months, _MONTHS, 12)
        _day_matches(dt.date(2024, 2, 29), days, weekdays)
    except ValueError:
        raise invalid_parameter("The cron() expression holds a field that is not valid.") from None


def _next_cron(fields: tuple[str | Any, ...], now: dt.datetime) -> dt.datetime | None:
    _, hours, days, months, weekdays, _ = fields
    for offset in range(_HORIZON_DAYS):
        day = now.date() + dt.timedelta(days=offset)
        if not _in_field(day.month, months, _MONTHS, 12) or not _day_matches(day, days, weekdays):
            continue
        for hour in _hours(hours):
            moment = dt.datetime.combine(day, dt.time(hour), dt.UTC)
            if moment > now:
                return moment
    return None


def _hours(field: str) -> list[int]:
    return [hour for hour in range(24) if _in_field(hour, field, {}, 23, first=0)]


def _day_matches(day: dt.date, days: str, weekdays: str) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if weekdays == "?":
        return day.day == last if days == "L" else _in_field(day.day, days, {}, 31)
    weekday = day.isoweekday() % 7 + 1
    if "#" in weekdays:
        name, number = weekdays.split("#")
        return weekday == _number(name, _DAYS) and (day.day - 1) // 7 + 1 == int(number)
    if weekdays.endswith("L") and len(weekdays) > 1:
        return weekday == _number(weekdays[:-1], _DAYS) and day.day + 7 > last
    return _in_field(weekday, weekdays.replace("L", "7"), _DAYS, 7)


def _in_field(value: int, field: str, names: Mapping[str, int], largest: int, *, first: int = 1) -> bool:
    """Whether a value is in a list of numbers, ranges and steps; reads the whole field, so errors show."""
    return any([_in_part(value, part, names, first, largest) for part in field.split(",")])  # noqa: C419 - see above


def _in_part(value: int, part: str, names: Mapping[str, int], first: int, largest: int) -> bool:
    span, _, step = part.partition("/")
    if span == "*":
        low, high = first, largest
    else:
        begin, _, end = span.partition("-")
        low = _number(begin, names)
        high = _number(end, names) if end else (largest if step else low)
    every = int(step or 1)
    if not (first <= low <= high <= largest) or every < 1:
        raise ValueError(part)
    return low <= value <= high and (value - low) % every == 0


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text.upper()] if text.upper() in names else int(text)
