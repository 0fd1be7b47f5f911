"""What the threads of a process know together of a secret's versions: which worked, which did not."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from rotators.cache import forks

if TYPE_CHECKING:
    from collections.abc import Hashable

    from rotators.aws.reading import SecretVersion

_FIRST_HOLD, _LONGEST_HOLD = 2.0, 60.0
_MOST_KNOWN = 32
_DENIED_SECONDS = 300.0
_REREAD_SECONDS = 2.0
_BUSY_SECONDS = 2.0  # a login that takes longer is not about to be rejected, so nobody waits for it


@dataclass(slots=True)
class _Hold:
    until: float
    times: int = 1


class Admission(Enum):
    """Whether a caller may try a version."""

    OPEN = "open"
    BUSY = "busy"  # another caller tries it just now, and nobody knows yet whether it works
    HELD = "held"  # it was rejected lately


@dataclass(eq=False)
class Memory:
    """What the threads of a process know together about the versions of one secret."""

    _worked: SecretVersion | None = None
    _label: str | None = None  # AWSCURRENT's version when that one worked
    _proven: dict[str, None] = field(default_factory=dict)  # a set in order of insertion
    _trying: dict[str, float] = field(default_factory=dict)  # since when
    _held: dict[str, _Hold] = field(default_factory=dict)
    _blocked: dict[Hashable, _Hold] = field(default_factory=dict)  # by account
    _latest: str | None = None  # the id of what AWSCURRENT was when it was last read anew
    _read_at: float = -math.inf
    _denied: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        forks.remember(self)

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``: who held the lock, or was trying a version, is not in the child."""
        self._lock = threading.Lock()
        self._trying = {}

    def preferred(self, current: SecretVersion) -> SecretVersion:
        """What to log in with first: what worked last, unless AWSCURRENT has moved since."""
        with self._lock:
            if self._label != current.version:
                self._worked, self._label = None, current.version
            return self._worked or current

    def accepted(self, version: SecretVersion, current: SecretVersion) -> None:
        """Note that the server took a version while AWSCURRENT was on another, or on the same."""
        with self._lock:
            self._held.pop(version.version, None)
            self._proven[version.version] = None
            if len(self._proven) > _MOST_KNOWN:
                del self._proven[next(iter(self._proven))]
            self._worked = None if version.version == current.version else version
            self._label = current.version

    def rejected(self, version: SecretVersion, now: float) -> None:
        """Note that the server refused a version; nobody tries it for a while."""
        with self._lock:
            self._proven.pop(version.version, None)
            hold = self._held.get(version.version)
            if hold is None:
                self._held[version.version] = _Hold(now + _FIRST_HOLD)
                if len(self._held) > _MOST_KNOWN:
                    del self._held[min(self._held, key=lambda other: self._held[other].until)]
            if self._worked and self._worked.version == version.version:
                self._worked = None

    def enter(self, version: SecretVersion, now: float) -> Admission:
        """Whether the caller may try a version now; if OPEN, it has to ``leave`` afterwards."""
        with self._lock:
            hold = self._held.get(version.version)
            if hold is not None and now < hold.until:
                return Admission.HELD
            if version.version not in self._proven:
                if now < self._trying.get(version.version, -math.inf) + _BUSY_SECONDS:
                    return Admission.BUSY
                self._trying[version.version] = now
            if hold is not None:
                hold.times += 1
                hold.until = now + min(_FIRST_HOLD * 2.0 ** (hold.times - 1), _LONGEST_HOLD)
            return Admission.OPEN

    def leave(self, version: SecretVersion) -> None:
        """Let others try a version: it was judged, or the server is not there to judge it."""
        with self._lock:
            self._trying.pop(version.version, None)

    def block(self, account: Hashable, now: float) -> None:
        """Note that an account is blocked after too many rejected logins; nobody tries it for a while."""
        with self._lock:
            earlier = self._blocked.get(account)
            times = earlier.times + 1 if earlier else 1
            seconds = min(_FIRST_HOLD * 2.0 ** (times - 1), _LONGEST_HOLD)
            self._blocked[account] = _Hold(now + seconds, times)
            if len(self._blocked) > _MOST_KNOWN:
                del self._blocked[min(self._blocked, key=lambda other: self._blocked[other].until)]

    def unblock(self, account: Hashable) -> None:
        """Note that the server let an account in."""
        with self._lock:
            self._blocked.pop(account, None)

    def blocked(self, account: Hashable, now: float) -> bool:
        """Whether an account was found blocked lately."""
        with self._lock:
            hold = self._blocked.get(account)
            return hold is not None and now < hold.until

    def may_reread(self, now: float) -> bool:
        """Whether AWSCURRENT may be read for a server that gives trouble; True once in two seconds.

        All callers of the process share what one of them reads (``latest``), so an outage of the database
        costs Secrets Manager one call in two seconds.
        """
        with self._lock:
            if now < self._read_at + _REREAD_SECONDS:
                return False
            self._read_at = now
            return True

    def reread(self, current: SecretVersion) -> None:
        """Note what AWSCURRENT is now, as just read from Secrets Manager."""
        with self._lock:
            self._latest = current.version

    @property
    def latest(self) -> str | None:
        """The id of what ``reread`` was last told; None if it never was."""
        return self._latest

    def deny(self, stage: str, now: float) -> None:
        """Note that a label's version may not be read; it is not asked for in the next minutes."""
        with self._lock:
            self._denied[stage] = now + _DENIED_SECONDS

    def denied(self, stage: str, now: float) -> bool:
        """Whether a label's version was found unreadable lately."""
        return now < self._denied.get(stage, 0.0)
