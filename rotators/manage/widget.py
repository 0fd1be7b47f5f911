"""The first screen of the report, as a custom widget of a CloudWatch dashboard.

CloudWatch shows the HTML that a function returns. It removes scripts, ``iframe`` and ``use``; SVG and
``style`` are allowed. It styles tables and headings itself, so the widget has few rules, each limited to the
widget's own element. Source: CloudWatch User Guide, add_custom_widget_dashboard_about and …_security.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

from rotators.aws.views import UNTOLD
from rotators.manage.details import Details
from rotators.manage.failures import failures, newest
from rotators.manage.inventory import entries
from rotators.manage.page import rendered
from rotators.manage.report import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.errors import RotatorsError
    from rotators.manage.failures import FailedRotations
    from rotators.manage.report import Report

T = TypeVar("T")

_DETAILS = Details()
"""None: they need calls for single secrets."""

_STYLE = resources.files("rotators.manage").joinpath("pages", "widget.css").read_text(encoding="utf-8")


class _InTime:
    """Iterates for as long as there is time.

    Args:
        seconds_left: the time that is left, in seconds.

    Attributes:
        over: True if the time was over before an item, which is then missing.
    """

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        self._seconds_left = seconds_left
        self.over = False

    def __call__(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._seconds_left() <= 0:
                self.over = True
                return
            yield item


def widget(seconds_left: Callable[[], float], *, dark: bool) -> str:
    """List the secrets of the account and Region, and return the widget about them.

    Args:
        seconds_left: the time that is left to read, in seconds. If it is over before all secrets are listed,
            the widget says so, and shows those that were.
        dark: True for the console's dark theme.

    Returns:
        A part of an HTML document, without scripts and without values.

    Raises:
        AccessDenied: the caller may not list secrets.
        StoreError: the secrets could not be listed.
    """
    now = dt.datetime.now(dt.UTC)
    listing = _InTime(seconds_left)
    secrets = list(listing(entries()))
    failed, known = (None, False) if listing.over else _failed_rotations(_InTime(seconds_left))
    report = replace(collect(secrets, failed, now), complete=not listing.over, failures_known=known)
    return shown(report, dark=dark)


def shown(report: Report, *, dark: bool) -> str:
    """Return the widget about a report.

    Args:
        report: its contents.
        dark: True for the console's dark theme.
    """
    return rendered("widget.html", report=report, details=_DETAILS, error=None, dark=dark, style=_STYLE)


def notice(error: RotatorsError, *, dark: bool) -> str:
    """Return the widget that explains an error.

    Args:
        error: the reason why the secrets cannot be shown.
        dark: True for the console's dark theme.
    """
    return rendered("widget.html", report=None, details=_DETAILS, error=str(error), dark=dark, style=_STYLE)


def _failed_rotations(reading: _InTime) -> tuple[FailedRotations | None, bool]:
    """Return the failed rotations, and True if all are known."""
    try:
        found = newest(reading(failures()))
    except UNTOLD:
        return None, False
    return found, not reading.over
