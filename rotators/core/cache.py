"""A small cache whose entries expire and are then dropped, read again or not: they may be clear text."""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A timer that fires a hair before the entry's end would find nothing to drop and wait a whole ttl more.
_SLACK_SECONDS = 0.05


class TtlCache(Generic[K, V]):
    """Keeps values for ``ttl`` seconds, ``max_entries`` at most; safe to use from several threads.

    An entry that nobody asks for again is dropped by a daemon timer, so that clear text does not outlive
    its time in an idle process. (Lambda freezes a container between invocations; there the timer acts, or
    ``get`` refuses the entry, as soon as it thaws.)

    Args:
        ttl: seconds from ``put`` to expiry; 0 or less keeps nothing.
        max_entries: above it the entry that was put first is dropped.
        clock: gives seconds; read at every call.
    """

    def __init__(self, *, ttl: float, max_entries: int, clock: Callable[[], float] = time.time) -> None:
        self._ttl = ttl
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def get(self, key: K) -> V | None:
        """The value put under ``key`` less than ``ttl`` seconds ago, else None."""
        with self._lock:
            self._drop_expired()
            entry = self._entries.get(key)
            return entry[1] if entry else None

    def put(self, key: K, value: V) -> None:
        """Keep ``value`` under ``key`` for ``ttl`` seconds from now, in place of an older one."""
        with self._lock:
            self._drop_expired()
            self._entries.pop(key, None)
            if self._ttl <= 0:
                return
            self._entries[key] = (self._clock(), value)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
            self._watch()

    def discard(self, key: K) -> None:
        """Forget ``key``, if it is there."""
        with self._lock:
            self._entries.pop(key, None)

    def purge(self) -> None:
        """Drop all expired entries."""
        with self._lock:
            self._drop_expired()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        """How many entries are held, expired ones that were not dropped yet included."""
        return len(self._entries)

    def __repr__(self) -> str:
        """Sizes only, because keys and values may be sensitive."""
        return f"<TtlCache of {len(self)}/{self._max_entries} entries, ttl {self._ttl:g} s>"

    def _drop_expired(self) -> None:
        now = self._clock()
        # A clock that was set back must not lengthen a life, hence the lower bound.
        expired = [key for key, (put, _) in self._entries.items() if not put <= now < put + self._ttl]
        for key in expired:
            del self._entries[key]

    def _watch(self) -> None:
        if self._timer is not None or not self._entries:
            return
        # Weak, so that a waiting timer does not keep a forgotten cache and its clear text alive.
        self._timer = threading.Timer(self._ttl + _SLACK_SECONDS, _sweep, [weakref.ref(self)])
        self._timer.daemon = True
        self._timer.start()

    def _sweep(self) -> None:
        with self._lock:
            self._timer = None
            self._drop_expired()
            self._watch()


def _sweep(cache: weakref.ref[TtlCache[K, V]]) -> None:
    alive = cache()
    if alive is not None:
        alive._sweep()  # noqa: SLF001 - the timer's half of the class above
