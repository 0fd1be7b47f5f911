"""The project's one cache: bounded, expiring, refreshed before expiry, with one load for all waiting callers.

The life of a value, on a clock that starts when its load begins::

    0 ................. due ................. expires ................. dropped
    returned at once  | returned, and       | callers wait for a new  | deleted from memory,
                      | reloaded in the     | value; if the load      | because values may be
                      | background          | fails with a transient  | clear text
                      |                     | error, they get this one|

Rules:

- A hit takes no lock. ``_look`` makes all other decisions in one place, without waiting. ``steps`` yields
  each wait, so threads and asyncio tasks share the rules.
- At most one load per key runs, for any number of callers (single flight). It runs in a separate thread, so
  that each caller can stop waiting at its own deadline.
- After a transient error no caller starts a load until a pause has passed that doubles with each failure. A
  service that fails gets one call per key and pause, not one per caller.
- Any other error is remembered for ``negative`` seconds. It replaces the expired value, so that deleting a
  secret or withdrawing a permission takes effect.
- ``since`` requests a value whose load began for such a request after that ``mark``. Callers that found a
  value wrong at the same time share one new load. A mark is a number, not a time, because clocks can be set
  back. The request does not wait for an earlier load, which may hang.
"""

from __future__ import annotations

import contextlib
import copy
import random
import threading
import time
import weakref
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from rotators.cache import forks
from rotators.cache.backoff import backoff_seconds, is_transient
from rotators.core.errors import RotatorsError, ServiceUnavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_DUE = 0.8  # part of an entry's life before it is reloaded in the background
_STALE_AFTER_SECONDS = 1.0  # longest wait for a load; then an expired value is returned
_HUNG_SECONDS = 30.0  # after this time, new callers do not join a load
_FORGOTTEN_SECONDS = 60.0  # after the pause that follows a failure, the next failure counts as the first
_COUNTERS = ("hits", "loads", "background", "failures", "stale", "negative", "evicted")
# A timer that fires slightly before the entry's end would find nothing to delete, and then wait a whole
# lifetime.
_SLACK_SECONDS = 0.05

_random = random.SystemRandom()


class Flight(Future[V]):
    """A load in progress.

    Attributes:
        number: number of the load; later loads have larger numbers, whatever the clocks do.
        began: start time on the cache's clock.
        started: start time on the monotonic clock.
        forced: True if a caller requested a value newer than the one in memory.
    """

    def __init__(self, number: int, began: float, *, forced: bool) -> None:
        super().__init__()
        self.number, self.began, self.started, self.forced = number, began, time.monotonic(), forced
        # No caller can cancel a running future, and others wait for the same load.
        self.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class Wait(Generic[V]):
    """A wait of one caller, after which it looks again.

    Attributes:
        seconds: longest time to wait.
        flight: the load; None for a pause of exactly ``seconds``.
    """

    seconds: float
    flight: Flight[V] | None = None


@dataclass(slots=True)
class _Entry(Generic[V]):
    """A value in memory, with times on the cache's clock."""

    value: V
    number: int
    began: float
    forced: bool
    due: float
    expires: float
    dropped: float
    used: float


class _FailedLoad(NamedTuple):
    """A failed load, reported to every caller until ``until``; ``times`` counts consecutive failures."""

    error: RotatorsError
    number: int
    began: float
    forced: bool
    until: float
    times: int


class Cache(Generic[K, V]):
    """Values by key, kept for a limited time; safe for threads and after a fork.

    Args:
        ttl: seconds from the start of a load to expiry; 0 or less stores nothing.
        max_entries: entries kept; the least recently used one is deleted first.
        jitter: part of ``ttl``, 0 to 1, by which each life is shortened at random, so that processes that
            started together do not load together.
        stale: seconds after expiry during which a value is returned while loads fail with transient errors.
        negative: seconds for which any other error is remembered.
        clock: returns seconds; read at every call. Not the monotonic clock, which may stop while a container
            is frozen.
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
        self._entries: dict[K, _Entry[V]] = {}
        self._failures: dict[K, _FailedLoad] = {}
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._timer: threading.Timer | None = None
        self._sweeps_at = 0.0
        self._last_number = 0
        self._flights: dict[K, Flight[V]] = {}
        self._lock = threading.RLock()
        forks.register(self)

    def get(self, key: K, load: Callable[[K], V], *, since: int | None = None, timeout: float = 10.0) -> V:
        """Return a value from memory, or load it.

        Args:
            key: key of the value.
            load: returns the value of a key; called in another thread.
            since: a ``mark``: only a value whose load began for such a request after it is returned.
            timeout: seconds to wait at most.

        Returns:
            The value.

        Raises:
            ServiceUnavailable: reason ``deadline``: no answer within ``timeout``.
            Exception: raised by ``load``. A transient error persisted until the timeout.
        """
        entry = self._entries.get(key)
        if entry is not None and since is None:
            now = self._clock()
            if entry.began <= now < entry.due:
                entry.used = now
                self._counts["hits"] += 1
                return entry.value
        steps = self.steps(key, load, since=since, timeout=timeout)
        try:
            while True:
                wait = next(steps)
                if wait.flight is None:
                    time.sleep(wait.seconds)
                else:
                    with contextlib.suppress(TimeoutError):
                        wait.flight.exception(wait.seconds)
        except StopIteration as done:
            value: V = done.value
            return value

    def steps(
        self, key: K, load: Callable[[K], V], *, since: int | None = None, timeout: float = 10.0
    ) -> Generator[Wait[V], None, V]:
        """Return the result of ``get``, as a generator without I/O.

        Args:
            key: as for ``get``.
            load: as for ``get``.
            since: as for ``get``.
            timeout: as for ``get``.

        Yields:
            Each wait, which the caller performs in a thread or a task.

        Returns:
            The value.

        Raises:
            Exception: as ``get``.
        """
        end = time.monotonic() + timeout
        while True:
            found = self._look(key, load, since, end - time.monotonic())
            if not isinstance(found, Wait):
                return found
            yield found
            flight = found.flight
            if flight is not None and flight.done() and self._settles(flight, since):
                return flight.result()

    def _look(self, key: K, load: Callable[[K], V], since: int | None, left: float) -> V | Wait[V]:
        """Return the value, or the next wait of a caller with ``left`` seconds remaining.

        May start a load.
        """
        with self._lock:
            now = self._clock()
            entry = self._alive(key, now)
            failure = self._recent_failure(key, now)
            if entry and now < entry.expires and _answers(entry, since):
                self._counts["hits"] += 1
                entry.used = now
                if now < entry.due or failure or key in self._flights:
                    return entry.value
                self._counts["background"] += 1
                flight = self._new_flight(key, now, forced=False)
                found: V | Wait[V] = entry.value
            else:
                stale = entry if since is None else None
                if failure and (is_transient(failure.error) or _answers(failure, since)):
                    return self._after(failure, stale, now, left)
                if stale is None and left <= 0:
                    raise ServiceUnavailable("no answer in time", reason="deadline")
                running = self._flights.get(key)
                if running and self._can_be_joined(running, since):
                    return self._wait(running, stale, now, left)
                flight = self._new_flight(key, now, forced=since is not None)
                found = self._wait(flight, stale, now, left)
        self._launch(key, load, flight)
        return found

    @staticmethod
    def _settles(flight: Flight[V], since: int | None) -> bool:
        """Return True if a finished load has the caller's value; False if the caller has to look again."""
        error = flight.exception()
        if error is None:
            return _answers(flight, since)
        if not isinstance(error, RotatorsError):
            raise error
        if not is_transient(error) and (since is None or flight.number > since):
            raise copy.copy(error)
        return False

    def mark(self) -> int:
        """Return a number for ``since``: only loads that begin after this call exceed it.

        Returns:
            The number of the newest load.
        """
        return self._last_number

    def peek(self, key: K) -> V | None:
        """Return the value if it is in memory and not expired, else None. Never loads.

        Args:
            key: key of the value.
        """
        with self._lock:
            now = self._clock()
            entry = self._alive(key, now)
            if entry is None or now >= entry.expires:
                return None
            entry.used = now
            return entry.value

    def put(self, key: K, value: V) -> None:
        """Store a value for ``ttl`` seconds from now; it replaces an older one.

        Args:
            key: key of the value.
            value: value to store.
        """
        with self._lock:
            self._last_number += 1
            self._keep(key, value, self._last_number, self._clock(), forced=False)

    def clear(self) -> None:
        """Delete everything, and discard the results of loads in progress."""
        with self._lock:
            for memory in (self._entries, self._failures, self._flights):
                memory.clear()

    def counts(self) -> dict[str, int]:
        """Return the counters by name.

        Hits are counted without a lock, so two simultaneous hits may count as one.

        Returns:
            ``hits`` (values returned from memory), ``loads`` (started), ``background`` (loads started before
            expiry, while the value was still returned), ``failures`` (loads that failed), ``stale`` (expired
            values returned because loading failed or was slow), ``negative`` (errors raised from memory) and
            ``evicted`` (entries deleted to make room).
        """
        return dict(self._counts)

    def __len__(self) -> int:
        """Number of entries in memory, including expired ones that are not deleted yet."""
        return len(self._entries)

    def __repr__(self) -> str:
        """Show only sizes, because keys and values may be sensitive."""
        return f"<Cache of {len(self)}/{self._max_entries} entries, ttl {self._ttl:g} s>"

    def _alive(self, key: K, now: float) -> _Entry[V] | None:
        entry = self._entries.get(key)
        # The lower bound: a clock that is set back must not lengthen a life.
        return entry if entry and entry.began <= now < entry.dropped else None

    def _recent_failure(self, key: K, now: float) -> _FailedLoad | None:
        failure = self._failures.get(key)
        return failure if failure and failure.began <= now < failure.until else None

    def _after(self, failure: _FailedLoad, stale: _Entry[V] | None, now: float, left: float) -> V | Wait[V]:
        """Return the expired value or a pause while a failure is recent, or raise its error."""
        if is_transient(failure.error):
            if stale:
                return self._return_stale(stale, now)
            if left > failure.until - now:
                return Wait(failure.until - now)
        self._counts["negative"] += 1
        # A copy, because an error that is raised repeatedly would keep the frames of every caller in memory.
        raise copy.copy(failure.error)

    @staticmethod
    def _can_be_joined(flight: Flight[V], since: int | None) -> bool:
        return time.monotonic() - flight.started < _HUNG_SECONDS and (since is None or flight.forced)

    def _wait(self, flight: Flight[V], stale: _Entry[V] | None, now: float, left: float) -> V | Wait[V]:
        if stale:
            left = min(left, flight.began + _STALE_AFTER_SECONDS - now)
            if left <= 0:
                return self._return_stale(stale, now)
        return Wait(left, flight)

    def _return_stale(self, entry: _Entry[V], now: float) -> V:
        self._counts["stale"] += 1
        entry.used = now
        return entry.value

    def _new_flight(self, key: K, now: float, *, forced: bool) -> Flight[V]:
        self._counts["loads"] += 1
        self._last_number += 1
        flight: Flight[V] = Flight(self._last_number, now, forced=forced)
        self._flights[key] = flight
        return flight

    def _launch(self, key: K, load: Callable[[K], V], flight: Flight[V]) -> None:
        try:
            threading.Thread(target=self._fly, args=(key, load, flight), daemon=True).start()
        except RuntimeError:
            # No thread can be started, for instance while the interpreter exits: the caller loads itself.
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
            self._counts["failures"] += 1
            if self._flights.get(key) is not flight:
                return
            del self._flights[key]
            if not isinstance(error, RotatorsError):
                return
            earlier = self._failures.get(key)
            times = earlier.times + 1 if earlier and is_transient(earlier.error) else 1
            if is_transient(error):
                pause = backoff_seconds(times)
            else:
                pause = self._negative
                if entry := self._entries.get(key):
                    entry.dropped = entry.expires
                    self._schedule_sweep()
            if len(self._failures) >= self._max_entries:
                self._failures.clear()
            until = self._clock() + pause
            self._failures[key] = _FailedLoad(
                copy.copy(error), flight.number, flight.began, flight.forced, until, times
            )

    def _keep(self, key: K, value: V, number: int, began: float, *, forced: bool) -> None:
        now = self._clock()
        self._drop(now)
        known = self._entries.get(key)
        if self._ttl <= 0 or (known and known.number > number):
            return
        life = self._ttl * (1 - self._jitter * _random.random())
        expires = began + life
        self._entries[key] = _Entry(
            value, number, began, forced, began + _DUE * life, expires, expires + self._stale, now
        )
        while len(self._entries) > self._max_entries:
            # Hits change `used` without the lock, but never the dictionary.
            del self._entries[min(self._entries, key=lambda other: self._entries[other].used)]
            self._counts["evicted"] += 1
        self._schedule_sweep()

    def _drop(self, now: float) -> None:
        for key in [key for key in self._entries if self._alive(key, now) is None]:
            del self._entries[key]
        for key in [
            key for key, failure in self._failures.items() if failure.until < now - _FORGOTTEN_SECONDS
        ]:
            del self._failures[key]

    def _schedule_sweep(self) -> None:
        """Start a timer that deletes the entry that ends first, even if nothing is read again."""
        if not self._entries:
            return
        first = min(entry.dropped for entry in self._entries.values())
        if self._timer is not None:
            if self._sweeps_at <= first:
                return
            self._timer.cancel()
        # A weak reference, so that a waiting timer does not keep an unused cache and its clear text alive.
        seconds = max(0.0, first - self._clock()) + _SLACK_SECONDS
        timer = threading.Timer(seconds, _sweep, [weakref.ref(self)])
        timer.daemon = True
        # If no thread can be started, the next call deletes the entry.
        with contextlib.suppress(RuntimeError):
            timer.start()
            self._timer, self._sweeps_at = timer, first

    def _sweep(self) -> None:
        with self._lock:
            self._timer = None
            self._drop(self._clock())
            self._schedule_sweep()

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``.

        The child has neither the loading threads nor the thread that holds the lock.
        """
        self._lock = threading.RLock()
        self._flights = {}
        self._timer = None
        self._schedule_sweep()


def _answers(load: Flight[V] | _Entry[V] | _FailedLoad, since: int | None) -> bool:
    """Return True if a load was made for the caller's ``since``."""
    return since is None or (load.forced and load.number > since)


def _sweep(cache: weakref.ref[Cache[K, V]]) -> None:
    alive = cache()
    if alive is not None:
        alive._sweep()  # noqa: SLF001 - the timer's half of the class above
