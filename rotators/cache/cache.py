"""The project's one cache: bounded, expiring, refreshed ahead of time, and one load for all who wait.

What a value goes through, on a clock that starts when its load began::

    0 ........... due ......... expires ................. dropped
    given at once | given, and   | callers wait for a new  | gone, also from memory:
                  | loaded anew  | one; if loading fails   | values may be clear text
                  | in the back- | for a passing reason,   |
                  | ground       | the old one is given    |

Rules:

- A hit takes no lock. Everything else is decided in ``look``, in one place and without waiting; who waits,
  and how (a thread, a task), is the caller's business.
- One load at a time for a key, however many wait; it runs in a thread of its own, so that every waiter can
  give up at its own deadline.
- A failure that may pass (``loading.may_pass``) is followed by a pause, the same one for everybody,
  that doubles with each failure: a service in trouble gets one call per key and pause, not one per caller.
- Any other failure is remembered for ``negative`` seconds; an expired value is not given in its stead, for
  a secret that was deleted, or a right that was taken away, must have an effect.
- ``since`` asks for a value whose load was begun for such a request after that ``mark``: callers who found
  the value wrong get a new one, and those who found it wrong at the same time share it. It is a number, not
  a time: clocks are set back. It does not wait for a load of before, which may hang.
"""

from __future__ import annotations

import contextlib
import copy
import random
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict
from typing import Generic, TypeVar

from rotators.cache import forks
from rotators.cache.loading import Counts, Entry, Failure, Flight, V, Wait, may_pass, pause_after
from rotators.core.errors import RotatorsError, ServiceUnavailable

K = TypeVar("K", bound=Hashable)

_DUE = 0.8  # of an entry's life: the rest is for the background
_PATIENCE_SECONDS = 1.0  # for a load, before an expired value is given
_HUNG_SECONDS = 30.0  # a load that takes longer is left to those who wait for it already
_FORGOTTEN_SECONDS = 60.0  # after the pause that follows a failure, a new one counts as the first
# A timer that fires a hair before the entry's end would find nothing to drop and wait a whole life more.
_SLACK_SECONDS = 0.05

_random = random.SystemRandom()


class Cache(Generic[K, V]):
    """Values by key, for a while; safe to use from several threads, and after a fork.

    Args:
        ttl: seconds from the beginning of a load to expiry; 0 or less keeps nothing.
        max_entries: above it the entry that was used longest ago is dropped.
        jitter: the part of ``ttl``, 0 to 1, by which each life is shortened at random, so that a fleet that
            started together does not ask together.
        stale: seconds beyond expiry for which a value is given while loading fails for a passing reason.
        negative: seconds for which a failure that does not pass is remembered.
        clock: gives seconds; read at every call. Not the monotonic clock, which may stand still while a
            container is frozen.
    """

    def __init__(  # noqa: PLR0913 - options, by keyword only
        self,
        *,
        ttl: float,
        max_entries: int,
        jitter: float = 0.0,
        stale: float = 0.0,
        negative: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ttl, self._jitter, self._stale, self._negative = ttl, jitter, stale, negative
        self._max_entries = max_entries
        self._clock = clock
        self._entries: dict[K, Entry[V]] = {}
        self._failures: dict[K, Failure] = {}
        self._counts = Counts()
        self._timer: threading.Timer | None = None
        self._sweeps_at = 0.0
        self._last_number = 0
        self._flights: dict[K, Flight[V]] = {}
        self._lock = threading.RLock()
        forks.remember(self)

    def get(self, key: K, load: Callable[[K], V], *, since: int | None = None, timeout: float = 10.0) -> V:
        """The value of ``key``, from memory or by ``load``.

        Args:
            key: of the value.
            load: gives the value of a key; called in another thread.
            since: only a value whose load was begun for such a request after this ``mark``.
            timeout: seconds to wait at most.

        Returns:
            The value.

        Raises:
            ServiceUnavailable: reason ``deadline``, nothing came in time.
            Exception: what ``load`` raised. A retryable error has outlasted the time.
        """
        entry = self._entries.get(key)
        if entry is not None and since is None:
            now = self._clock()
            if entry.began <= now < entry.due:
                entry.used = now
                self._counts.hits += 1
                return entry.value
        end = time.monotonic() + timeout
        while True:
            found = self.look(key, load, since=since, left=end - time.monotonic())
            if not isinstance(found, Wait):
                return found
            if found.flight is None:
                time.sleep(found.seconds)
                continue
            try:
                found.flight.exception(found.seconds)
            except FutureTimeoutError:
                continue
            if self.settles(found.flight, since):
                return found.flight.result()

    def look(
        self, key: K, load: Callable[[K], V], *, since: int | None = None, left: float = 0.0
    ) -> V | Wait[V]:
        """Decide at once: the value, or what to wait for before looking again. Starts a load if need be.

        Args:
            key: as for ``get``.
            load: as for ``get``.
            since: as for ``get``.
            left: the seconds that the caller still has.

        Returns:
            The value or a ``Wait``; after a flight in it has ended, ask ``settles`` first.

        Raises:
            Exception: as ``get``.
        """
        with self._lock:
            now = self._clock()
            entry = self._alive(key, now)
            failure = self._recent_failure(key, now)
            if entry and self._fresh(entry, now, since):
                self._counts.hits += 1
                entry.used = now
                if now < entry.due or failure or key in self._flights:
                    return entry.value
                self._counts.background += 1
                flight = self._new_flight(key, now, forced=False)
                given: V | Wait[V] = entry.value
            else:
                if failure and (may_pass(failure.error) or self._answers(failure, since)):
                    return self._after(failure, entry if since is None else None, now, left)
                stale = entry if since is None else None
                if stale is None and left <= 0:
                    raise ServiceUnavailable("no answer in time", reason="deadline")
                running = self._flights.get(key)
                if running and self._is_worth_waiting_for(running, since):
                    return self._wait(running, stale, now, left)
                flight = self._new_flight(key, now, forced=since is not None)
                given = self._wait(flight, stale, now, left)
        self._launch(key, load, flight)
        return given

    def settles(self, flight: Flight[V], since: int | None) -> bool:
        """Whether a flight that has ended gives the caller its value; else it looks again.

        Raises:
            Exception: what the load raised, if another attempt is of no use.
        """
        error = flight.exception()
        if error is None:
            return since is None or (flight.forced and flight.number > since)
        if isinstance(error, RotatorsError):
            if not may_pass(error) and (since is None or flight.number > since):
                raise copy.copy(error)
            return False
        raise error

    def mark(self) -> int:
        """Now, for ``since``: a number that only loads begun from here on exceed."""
        return self._last_number

    def peek(self, key: K) -> V | None:
        """The value if it has not expired, else None; never loads."""
        with self._lock:
            now = self._clock()
            entry = self._alive(key, now)
            if entry is None or now >= entry.expires:
                return None
            entry.used = now
            return entry.value

    def put(self, key: K, value: V) -> None:
        """Keep ``value`` under ``key`` for ``ttl`` seconds from now, in place of an older one."""
        with self._lock:
            self._last_number += 1
            self._keep(key, value, self._last_number, self._clock(), forced=False)

    def discard(self, key: K) -> None:
        """Forget ``key``, and what a load under way brings for it."""
        with self._lock:
            for memory in (self._entries, self._failures, self._flights):
                memory.pop(key, None)

    def purge(self) -> None:
        """Drop all entries that may not be given any more."""
        with self._lock:
            self._drop(self._clock())

    def clear(self) -> None:
        """Forget everything, and what loads under way bring."""
        with self._lock:
            for memory in (self._entries, self._failures, self._flights):
                memory.clear()

    def counts(self) -> dict[str, int]:
        """The counters so far; see ``Counts``. Hits are counted without a lock: two at once may be one."""
        return asdict(self._counts)

    def __len__(self) -> int:
        """How many entries are held, expired ones that were not dropped yet included."""
        return len(self._entries)

    def __repr__(self) -> str:
        """Sizes only, because keys and values may be sensitive."""
        return f"<Cache of {len(self)}/{self._max_entries} entries, ttl {self._ttl:g} s>"

    def _alive(self, key: K, now: float) -> Entry[V] | None:
        entry = self._entries.get(key)
        # A clock that was set back must not lengthen a life, hence the lower bound.
        return entry if entry and entry.began <= now < entry.dropped else None

    @staticmethod
    def _fresh(entry: Entry[V], now: float, since: int | None) -> bool:
        return now < entry.expires and (since is None or (entry.forced and entry.number > since))

    @staticmethod
    def _answers(failure: Failure, since: int | None) -> bool:
        return since is None or (failure.forced and failure.number > since)

    def _recent_failure(self, key: K, now: float) -> Failure | None:
        failure = self._failures.get(key)
        return failure if failure and failure.began <= now < failure.until else None

    def _after(self, failure: Failure, entry: Entry[V] | None, now: float, left: float) -> V | Wait[V]:
        """What a caller gets while a failure is recent: the old value, a pause, or the error."""
        if may_pass(failure.error):
            if entry:
                return self._given_stale(entry, now)
            if left > failure.until - now:
                return Wait(failure.until - now)
        self._counts.negative += 1
        # A copy: an error that is raised again and again would keep every caller's frames alive.
        raise copy.copy(failure.error)

    @staticmethod
    def _is_worth_waiting_for(flight: Flight[V], since: int | None) -> bool:
        young = time.monotonic() - flight.started < _HUNG_SECONDS
        return young and (since is None or flight.forced)

    def _wait(self, flight: Flight[V], entry: Entry[V] | None, now: float, left: float) -> V | Wait[V]:
        patience = left
        if entry:
            patience = min(left, flight.began + _PATIENCE_SECONDS - now)
            if patience <= 0:
                return self._given_stale(entry, now)
        return Wait(patience, flight)

    def _given_stale(self, entry: Entry[V], now: float) -> V:
        self._counts.stale += 1
        entry.used = now
        return entry.value

    def _new_flight(self, key: K, now: float, *, forced: bool) -> Flight[V]:
        self._counts.loads += 1
        self._last_number += 1
        flight: Flight[V] = Flight(self._last_number, now, time.monotonic(), forced=forced)
        self._flights[key] = flight
        return flight

    def _launch(self, key: K, load: Callable[[K], V], flight: Flight[V]) -> None:
        thread = threading.Thread(target=self._fly, args=(key, load, flight), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No thread can be had, for instance while the interpreter ends: then the caller loads.
            self._fly(key, load, flight)

    def _fly(self, key: K, load: Callable[[K], V], flight: Flight[V]) -> None:
        try:
            value = load(key)
        except BaseException as error:
            self._note_failure(key, flight, error)
            flight.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
                self._failures.pop(key, None)
                self._keep(key, value, flight.number, flight.began, forced=flight.forced)
        flight.set_result(value)

    def _note_failure(self, key: K, flight: Flight[V], error: BaseException) -> None:
        with self._lock:
            self._counts.failures += 1
            if self._flights.get(key) is not flight:
                return
            del self._flights[key]
            if not isinstance(error, RotatorsError):
                return
            earlier = self._failures.get(key)
            times = earlier.times + 1 if earlier and may_pass(earlier.error) else 1
            now = self._clock()
            if may_pass(error):
                pause = pause_after(times)
            else:
                pause = self._negative
                if entry := self._entries.get(key):
                    entry.dropped = entry.expires
                    self._watch()
            if len(self._failures) >= self._max_entries:
                self._failures.clear()
            self._failures[key] = Failure(
                copy.copy(error), flight.number, flight.began, flight.forced, now + pause, times
            )

    def _keep(self, key: K, value: V, number: int, began: float, *, forced: bool) -> None:
        now = self._clock()
        self._drop(now)
        known = self._entries.get(key)
        if self._ttl <= 0 or (known and known.number > number):
            return
        life = self._ttl * (1 - self._jitter * _random.random())
        expires = began + life
        self._entries[key] = Entry(
            value, number, began, forced, began + _DUE * life, expires, expires + self._stale, now
        )
        while len(self._entries) > self._max_entries:
            # min over a snapshot: hits change `used` without the lock, but never the dictionary.
            del self._entries[min(self._entries, key=lambda other: self._entries[other].used)]
            self._counts.evicted += 1
        self._watch()

    def _drop(self, now: float) -> None:
        for key in [key for key in self._entries if self._alive(key, now) is None]:
            del self._entries[key]
        for key in [
            key for key, failure in self._failures.items() if failure.until < now - _FORGOTTEN_SECONDS
        ]:
            del self._failures[key]

    def _watch(self) -> None:
        """See that the entry that ends first is dropped in time, whether anybody asks again or not."""
        if not self._entries:
            return
        first = min(entry.dropped for entry in self._entries.values())
        if self._timer is not None:
            if self._sweeps_at <= first:
                return
            self._timer.cancel()
        # Weak, so that a waiting timer does not keep a forgotten cache and its clear text alive.
        seconds = max(0.0, first - self._clock()) + _SLACK_SECONDS
        timer = threading.Timer(seconds, _sweep, [weakref.ref(self)])
        timer.daemon = True
        # No thread can be had: then the next call does it.
        with contextlib.suppress(RuntimeError):
            timer.start()
            self._timer, self._sweeps_at = timer, first

    def _sweep(self) -> None:
        with self._lock:
            self._timer = None
            self._drop(self._clock())
            self._watch()

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``: the child has neither the threads nor, perhaps, the lock's owner."""
        self._lock = threading.RLock()
        self._flights = {}
        self._timer = None
        self._watch()


def _sweep(cache: weakref.ref[Cache[K, V]]) -> None:
    alive = cache()
    if alive is not None:
        alive._sweep()  # noqa: SLF001 - the timer's half of the class above
