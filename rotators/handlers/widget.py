"""The widget function: CloudWatch calls it for the stack's dashboard, and shows the HTML that it returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rotators.core.errors import InvalidEvent, RotatorsError
from rotators.handlers.telemetry import observed
from rotators.manage.widget import notice, widget

_RESERVE_SECONDS = 5.0
"""For the HTML. A request that has no answer by then is not waited for."""

_DOCUMENTATION = """\
## Secrets that need attention

The first screen of `rotators report` about all secrets of the account and Region: secrets that need
attention, failed rotations, and the next actions; the age of the values, and the rotations that are due. The
widget has no parameters. It contains no value of a secret.
"""


@dataclass(frozen=True)
class WidgetRequest:
    """The event of a custom widget of a CloudWatch dashboard. Parameters of the widget are ignored.

    Attributes:
        describe: True to return the documentation in place of the widget.
        dark: True for the console's dark theme.
    """

    describe: bool
    dark: bool

    @classmethod
    def from_event(cls, event: object) -> Self:
        """Return the request of an event.

        Args:
            event: event that CloudWatch sends.

        Raises:
            InvalidEvent: it is not a JSON object.
        """
        if not isinstance(event, dict):
            raise InvalidEvent("the widget event: must be a JSON object")
        context = event.get("widgetContext")
        theme = context.get("theme") if isinstance(context, dict) else None
        return cls(describe=bool(event.get("describe")), dark=theme == "dark")


def handler(event: object, context: object = None) -> str:
    """Return the widget, or its documentation.

    A person looks at the answer, so an error is logged, and explained in the widget.

    Args:
        event: ``describe``, or ``widgetContext`` with the console's ``theme``.
        context: Lambda's context, which knows the time that is left; None sets no limit.

    Returns:
        HTML without scripts, or the documentation in Markdown. It never holds a value of a secret.
    """
    dark = False
    try:
        with observed("widget") as observation:
            request = WidgetRequest.from_event(event)
            if request.describe:
                observation.add(outcome="described")
                return _DOCUMENTATION
            dark = request.dark
            return widget(_seconds_left(context), dark=dark)
    except RotatorsError as error:
        return notice(error, dark=dark)


def _seconds_left(context: object) -> Callable[[], float]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: math.inf
    return lambda: float(remaining()) / 1000 - _RESERVE_SECONDS
