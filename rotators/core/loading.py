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
        began: when, on the cache's clock.
        forced: whether somebody asked for a value that is newer than the remembered one.
    """

    def __init__(self, began: float, *, forced: bool) -> None:
        super().__init__()
        self.began = began
        self.forced = forced
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


@dataclass(frozen=True, slots=True)
class Failure:
    """A load that failed, and until when it speaks for others.

    Attributes:
        error: a copy of what it raised.
        began: when the load began, on the cache's clock.
        forced: as for its flight.
        until: when the next load may begin.
        times: how many in a row.
    """

    error: RotatorsError
    began: float
    forced: bool
    until: float
    times: int


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
