"""What the caller of a local AWS may change while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotators.local.records import StepRecord

ACCOUNT = "123456789012"
"""The account of a local AWS."""


@dataclass(eq=False)
class Options:
    """Read by the services each time they need it, so that a change takes effect at once.

    Attributes:
        on_step: called with a StepRecord after each step of any rotation, in that rotation's thread.
        pending_in_test: the value of the AWSPENDING version that RotateImmediately=false tests, which AWS
            does not document: ``empty``, or a copy of ``current``.
        database: called with the parameters of each RDS cluster that is created, by moto's names; gives host
            and port of the real server that takes its place. None: clusters have an address where nobody
            listens.
        event_deliveries: how often EventBridge delivers each event to a function; it promises at least once.
    """

    on_step: Callable[[StepRecord], object] | None = None
    pending_in_test: Literal["empty", "current"] = "empty"
    database: Callable[[Mapping[str, Any]], tuple[str, int]] | None = None
    event_deliveries: int = 1
