"""The first screen of the report, as a custom widget of a CloudWatch dashboard.

CloudWatch shows the HTML that a function returns. It removes scripts, ``iframe`` and ``use``; SVG and
``style`` are allowed. It styles tables and headings itself, so the widget has few rules, each limited to the
widget's own element. Source: CloudWatch User Guide, add_custom_widget_dashboard_about and …_security.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from typing import TypeVar

from rotators.aws.views import UNTOLD, FailedRotation
from rotators.core.errors import RotatorsError, ServiceUnavailable
from rotators.manage.details import Details
from rotators.manage.failures import failures, newest
from rotators.manage.inventory import Entry, entries
from rotators.manage.page import rendered
from rotators.manage.report import InventoryReport, collect

T = TypeVar("T")

_DETAILS = Details()
"""No details, because they need calls for single secrets."""

_LOOK_SECONDS = 0.1
"""The time between two checks of the remaining time."""

_STYLE = resources.files("rotators.manage").joinpath("pages", "widget.css").read_text(encoding="utf-8")


class _Reading(threading.Thread):
    """Reads the data of the widget in a thread, because a call without an answer takes a minute.

    Args:
        seconds_left: the time that is left, in seconds.

    Attributes:
        secrets: the secrets that were listed so far.
        listed: True if these are all.
        failures: the failed rotations that were found so far, see `failures`.
        known: True if these are all.
        error: the reason why they could not be read.
    """

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        super().__init__(name="widget", daemon=True)
        self._seconds_left = seconds_left
        self.secrets: list[Entry] = []
        self.failures: list[Sequence[tuple[str, FailedRotation]]] = []
        self.listed = self.known = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Read until the end, or until the time is over."""
        try:
            self.listed = self._reads(entries(), self.secrets)
            if self.listed:
                with suppress(*UNTOLD):
                    self.known = self._reads(failures(), self.failures)
        except Exception as error:  # noqa: BLE001 - the thread that waits raises it
            self.error = error

    def wait(self) -> None:
        """Wait until everything is read, or the time is over."""
        while self.is_alive() and self._seconds_left() > 0:
            self.join(_LOOK_SECONDS)

    def _reads(self, items: Iterable[T], into: list[T]) -> bool:
        """Return True if there was time for all items."""
        for item in items:
            if self._seconds_left() <= 0:
                return False
            into.append(item)
        return True


def widget(seconds_left: Callable[[], float], *, dark: bool) -> str:
    """List the secrets of the account and Region, and return the widget about them.

    Args:
        seconds_left: the time that is left to read, in seconds. If it is over before all secrets are listed,
            the widget says so, and shows those that were; also if AWS does not answer.
        dark: True for the console's dark theme.

    Returns:
        A part of an HTML document, without scripts and without values.

    Raises:
        AccessDenied: the caller may not list secrets.
        ServiceUnavailable: no answer came in time.
        StoreError: the secrets could not be listed.
    """
    now = dt.datetime.now(dt.UTC)
    reading = _Reading(seconds_left)
    reading.start()
    reading.wait()
    # The thread may continue. The flags are read first, so that they are never true for incomplete data.
    listed, known = reading.listed, reading.known
    secrets, failed = list(reading.secrets), newest(list(reading.failures))
    if reading.error is not None:
        raise reading.error
    if not listed and not secrets:
        raise ServiceUnavailable("ListSecrets got no answer in time", reason="timeout")
    report = collect(secrets, failed, now)
    return shown(replace(report, complete=listed, failures_known=known), dark=dark)


def shown(report: InventoryReport, *, dark: bool) -> str:
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
