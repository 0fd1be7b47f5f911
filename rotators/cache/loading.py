"""Loads under way, and what is known after one that failed; see cache.py, which uses them."""

from __future__ import annotations

import random
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from rotators.core.errors import RotatorsError

V = TypeVar("V")

_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_DOUBLINGS = 16

_random = random.SystemRandom()


@dataclass(slots=True)
class Counts:
    """What a cache did so far.

    Attributes:
        hits: values given from memory.
        loads: loads begun.
        background: of these, the ones that nobody waited for.
        failures: loads that failed.
        stale: expired values given because loading failed or was slow.
        negative: errors given from memory.
        evicted: entries that made room.
    """

    hits: int = 0
    loads: int = 0
    background: int = 0
    failures: int = 0
    stale: int = 0
    negative: int = 0
    evicted: int = 0


class Flight(Future[V]):
    """A load under way.

    Attributes:
        number: of the load; later ones have larger ones, whatever clocks do.
        began: when, on the cache's clock.
        started: the same on the monotonic clock.
        forced: whether somebody asked for a value that is newer than the remembered one.
    """

    def __init__(self, number: int, began: float, started: float, *, forced: bool) -> None:
        super().__init__()
        self.number, self.began, self.started, self.forced = number, began, started, forced
        # From here on nobody can cancel it: other callers wait for the same load.
        self.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class Wait(Generic[V]):
    """What a caller waits for before it looks again.

    Attributes:
        seconds: at most.
        flight: the load; None for a pause.
    """

    seconds: float
    flight: Flight[V] | None = None


@dataclass(slots=True)
class Entry(Generic[V]):
    """A value in memory, and the times of its life on the cache's clock.

    Attributes:
        value: what was loaded or put.
        number: of its load.
        began: when its load began.
        forced: as for its flight.
        due: from here on it is loaded anew in the background.
        expires: from here on callers wait for a new one.
        dropped: from here on it is not given at all.
        used: when it was last given.
    """

    value: V
    number: int
    began: float
    forced: bool
    due: float
    expires: float
    dropped: float
    used: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A load that failed, and until when it speaks for others.

    Attributes:
        error: a copy of what it raised.
        number: as for its flight.
        began: as for its flight.
        forced: as for its flight.
        until: when the next load may begin.
        times: how many in a row.
    """

    error: RotatorsError
    number: int
    began: float
    forced: bool
    until: float
    times: int


def may_pass(error: RotatorsError) -> bool:
    """Whether another attempt is worth it; also without usable credentials, which a host renews by itself."""
    return error.retryable or error.reason == "credentials"


def pause_after(times: int, *, shortest: float = _SHORTEST_PAUSE, longest: float = _LONGEST_PAUSE) -> float:
    """Seconds to leave something alone after so many failures in a row: doubling, and never in step.

    Args:
        times: 1 or more.
        shortest: the first pause at most.
        longest: any pause at most.

    Returns:
        Half of the doubled pause at least, all of it at most.
    """
    pause = min(shortest * 2.0 ** min(times - 1, _DOUBLINGS), longest)
    return pause * _random.uniform(0.5, 1)
