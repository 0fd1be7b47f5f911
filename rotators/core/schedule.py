"""Rotation schedules: the ``rate()`` and ``cron()`` expressions of Secrets Manager.

The rules are those of the User Guide's page rotate-secrets_schedule. Times are UTC. The service checks the
contents of cron fields; `rotators.local.secretsmanager.schedules` calculates with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_LEAST = timedelta(hours=4)
_MOST = timedelta(days=999)


@dataclass(frozen=True)
class Cron:
    """``cron(0 H D M W *)``: rotations at full hours. Each field is text in AWS's notation.

    Attributes:
        hours: 0-23.
        days: days of the month, 1-31, or ``?``.
        months: 1-12 or JAN-DEC.
        weekdays: 1-7 or SUN-SAT, or ``?``; exactly one of `days` and `weekdays` is ``?``.
    """

    hours: str
    days: str
    months: str
    weekdays: str


def parse_schedule(expression: str) -> timedelta | Cron:
    """Parse the ScheduleExpression of a rotation.

    Args:
        expression: as in the API.

    Returns:
        For ``rate()`` the interval, from 4 hours to 999 days; for ``cron()`` its fields.

    Raises:
        ValueError: the expression breaks a rule. The message states the rule and does not quote the
            expression.
    """
    if rate := re.fullmatch(r"rate\(([1-9][0-9]{0,4}) (hour|day)s?\)", expression):
        interval = timedelta(**{f"{rate[2]}s": int(rate[1])})
        if not _LEAST <= interval <= _MOST:
            raise ValueError("a rate is from 4 hours to 999 days")
        return interval
    cron = re.fullmatch(r"cron\(0 (\S+) (\S+) (\S+) (\S+) \*\)", expression)
    if cron is None or (cron[2] == "?") == (cron[4] == "?"):
        raise ValueError("must be rate(N hours), rate(N days), or cron(0 H D M W *) with ? for D or W")
    return Cron(*cron.groups())
