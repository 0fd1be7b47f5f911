"""A service from which values are loaded, and a clock that a test sets."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from rotators.cache.cache import Cache
from rotators.core.errors import AccessDenied, ServiceThrottled

TTL, STALE, NEGATIVE = 100.0, 1000.0, 10.0

HOUR = 3600.0
"""Longer than every test waits on the busiest machine."""


class Time:
    """The clock of the cache. A test or a call of `sleep` advances it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Service:
    """The source of the values. It raises ``trouble`` while it is set; a list contains one error per call."""

    def __init__(self) -> None:
        self.trouble: list[Exception] | Exception | None = None
        self.calls: Counter[str] = Counter()
        self._counting = threading.Lock()
        self.open = threading.Event()
        self.open.set()

    def load(self, key: str) -> str:
        with self._counting:
            self.calls[key] += 1
            number = self.calls[key]
        self.open.wait()
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble:
            raise self.trouble.pop(0)
        return f"{key}{number}"


def cache(clock: Callable[[], float], **options: float) -> Cache[str, str]:
    given = {"ttl": TTL, "stale": STALE, "negative": NEGATIVE, **options}
    return Cache(max_entries=8, clock=clock, **given)


THROTTLED = ServiceThrottled("slow down")
DENIED = AccessDenied("no")
