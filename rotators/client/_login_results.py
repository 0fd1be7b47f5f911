"""Results of earlier logins with the versions of one secret, shared by the threads of a process."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from rotators.cache import forks
from rotators.cache.backoff import doubled_seconds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from rotators.aws.secrets import SecretVersion

K = TypeVar("K", bound="Hashable")

_FIRST_HOLD, _LONGEST_HOLD = 2.0, 60.0
_MOST_KNOWN = 32
_DENIED_SECONDS = 300.0
_REREAD_SECONDS = 2.0
_BUSY_SECONDS = 2.0  # a rejection is faster, so other callers do not wait longer for a login in progress


@dataclass(frozen=True, slots=True)
class _Hold:
    """No login before ``until``; ``times`` counts the failures so far."""

    until: float
    times: int


class Admission(Enum):
    """Answer to a caller that wants to try a version."""

    OPEN = "open"
    BUSY = "busy"  # another caller is trying this version, which is not yet known to work
    HELD = "held"  # it was rejected recently


class LoginResults:
    """Results of earlier logins with the versions of one secret; safe for threads and after a fork.

    Each ``now`` is in seconds on any one clock that does not go back. A method that takes a version or an
    account records or reads the result for it.

    Attributes:
        latest: version id that ``reread`` recorded last; None if none.
    """

    def __init__(self) -> None:
        self._worked: SecretVersion | None = None
        self._current: str | None = None  # AWSCURRENT's version id at that time
        self._proven: dict[str, None] = {}  # a set in order of insertion
        self._trying: dict[str, float] = {}  # start times
        self._held: dict[str, _Hold] = {}
        self._blocked: dict[Hashable, _Hold] = {}  # by account
        self.latest: str | None = None
        self._read_at = -math.inf
        self._denied: dict[str, float] = {}
        self._lock = threading.Lock()
        forks.register(self)

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``: the threads that held the lock or tried a version are not in the child."""
        self._lock = threading.Lock()
        self._trying = {}

    def preferred(self, current: SecretVersion) -> SecretVersion:
        """Return the version to try first: the last one that worked, unless AWSCURRENT has moved since.

        Args:
            current: the AWSCURRENT version as the caller knows it.
        """
        with self._lock:
            if self._current != current.version:
                self._worked, self._current = None, current.version
            return self._worked or current

    def accepted(self, version: SecretVersion, current: SecretVersion) -> None:
        """Record that the server accepted a version.

        Args:
            version: accepted.
            current: the AWSCURRENT version at that time.
        """
        with self._lock:
            self._held.pop(version.version, None)
            self._proven[version.version] = None
            if len(self._proven) > _MOST_KNOWN:
                del self._proven[next(iter(self._proven))]
            self._worked = None if version.version == current.version else version
            self._current = current.version

    def rejected(self, version: SecretVersion, now: float) -> None:
        """Record that the server rejected a version; the result is kept for some time.

        Args:
            version: rejected version.
            now: time of the monotonic clock, in seconds.
        """
        with self._lock:
            self._proven.pop(version.version, None)
            if version.version not in self._held:
                _hold(self._held, version.version, now)
            if self._worked and self._worked.version == version.version:
                self._worked = None

    def enter(self, version: SecretVersion, now: float) -> Admission:
        """Ask to try a version now. After OPEN, call ``leave`` when the attempt has ended.

        Args:
            version: version to try.
            now: time of the monotonic clock, in seconds.

        Returns:
            OPEN if the caller may try it; BUSY or HELD if not now.
        """
        with self._lock:
            hold = self._held.get(version.version)
            if hold is not None and now < hold.until:
                return Admission.HELD
            if version.version not in self._proven:
                if now < self._trying.get(version.version, -math.inf) + _BUSY_SECONDS:
                    return Admission.BUSY
                self._trying[version.version] = now
            if hold is not None:
                _hold(self._held, version.version, now)
            return Admission.OPEN

    def leave(self, version: SecretVersion) -> None:
        """Let other callers try a version: it was accepted or rejected, or the server is unavailable.

        Args:
            version: version that was tried.
        """
        with self._lock:
            self._trying.pop(version.version, None)

    def block(self, account: Hashable, now: float) -> None:
        """Record that the server blocked an account after too many rejected logins; kept for some time.

        Args:
            account: account of the login.
            now: time of the monotonic clock, in seconds.
        """
        with self._lock:
            _hold(self._blocked, account, now)

    def unblock(self, account: Hashable) -> None:
        """Record that the server accepted a login of an account.

        Args:
            account: account of the login.
        """
        with self._lock:
            self._blocked.pop(account, None)

    def blocked(self, account: Hashable, now: float) -> bool:
        """Return True if an account was blocked recently.

        Args:
            account: account of the login.
            now: time of the monotonic clock, in seconds.
        """
        with self._lock:
            hold = self._blocked.get(account)
            return hold is not None and now < hold.until

    def may_reread(self, now: float) -> bool:
        """Return True at most once in two seconds: then the caller may read AWSCURRENT again.

        Other callers use the result of that caller (``latest``), so while a database is down, one process
        calls Secrets Manager once in two seconds.

        Args:
            now: time of the monotonic clock, in seconds.
        """
        with self._lock:
            if now < self._read_at + _REREAD_SECONDS:
                return False
            self._read_at = now
            return True

    def reread(self, current: SecretVersion) -> None:
        """Record the AWSCURRENT version that was just read from Secrets Manager.

        Args:
            current: the version as read.
        """
        with self._lock:
            self.latest = current.version

    def deny(self, stage: str, now: float) -> None:
        """Record that a stage's version may not be read; it is not requested for five minutes.

        Args:
            stage: stage of the version.
            now: time of the monotonic clock, in seconds.
        """
        with self._lock:
            self._denied[stage] = now + _DENIED_SECONDS

    def denied(self, stage: str, now: float) -> bool:
        """Return True if a stage's version could not be read recently for lack of permission.

        Args:
            stage: stage of the version.
            now: time of the monotonic clock, in seconds.
        """
        return now < self._denied.get(stage, 0.0)


def _hold(holds: dict[K, _Hold], key: K, now: float) -> None:
    """Hold a key, twice as long as last time."""
    earlier = holds.get(key)
    times = earlier.times + 1 if earlier else 1
    holds[key] = _Hold(now + doubled_seconds(times, _FIRST_HOLD, _LONGEST_HOLD), times)
    if len(holds) > _MOST_KNOWN:
        del holds[min(holds, key=lambda other: holds[other].until)]
