"""Which stored version an application logs in with: the decisions, and nothing that waits.

``walk`` is a generator. It yields what it wants done (``Read``, ``Login``, ``Pause``), is sent what came of
it, and returns the version that the server accepted; ``credentials.py`` does the deeds, in a thread or in a
task. The order::

    remembered or AWSCURRENT, from memory ──rejected──▶ AWSCURRENT anew ──▶ AWSPENDING ──▶ AWSPREVIOUS
              ▲                                                                              │
              └───────────────── pause, longer each time, until the deadline ◀───────────────┘

Why each is there:

- AWSCURRENT anew: the rotation is over, and memory does not know it yet.
- AWSPENDING: ``single`` is between the target's commit and the promotion; the new password works already.
- AWSPREVIOUS: a reading replica has not heard of the new password yet, or the target was set back.
- Another round: the label moved between our reads.

What worked is remembered until AWSCURRENT moves, so a rotation costs one process one rejected login, not one
for every connection. What was rejected is left alone for a while, longer each time, by all threads together,
and a call may be rejected so many times only: servers lock accounts that fail too often. Only a *rejection*
goes on to another version. A server that is not there is asked again with the same one.

A version that leads to another target than AWSCURRENT is never used: whoever may write AWSPENDING could
lead applications elsewhere.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from rotators.aws.reading import SecretVersion
from rotators.core.errors import AccessDenied, CredentialsRejected, RotatorsError, SecretFormatError
from rotators.core.loading import pause_after
from rotators.core.secret import Secret
from rotators.core.states import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_TARGET_KEYS = ("engine", "host", "port", "dbname", "ssl", "sslrootcert")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_FIRST_HOLD, _LONGEST_HOLD = 2.0, 60.0
_MOST_HELD = 32
_DENIED_SECONDS = 300.0


class Verdict(Enum):
    """What a driver's error says about a login."""

    REJECTED = "rejected"  # this user with this password
    UNAVAILABLE = "unavailable"  # nobody judged the credential; the same login may work in a moment
    OTHER = "other"  # neither; the application's to see


@dataclass(frozen=True, slots=True)
class Read:
    """Read the version with a label; answered by the version or the error."""

    stage: str
    anew: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Login:
    """Log in with a version; answered by None, or by what was refused."""

    version: SecretVersion
    secret: Secret
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; answered by None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that did not come about.

    Attributes:
        verdict: REJECTED or UNAVAILABLE.
        error: the driver's.
    """

    verdict: Verdict
    error: Exception


if TYPE_CHECKING:
    Ask = Read | Login | Pause
    Answer = SecretVersion | RotatorsError | Refusal | None
    Note = Callable[[str, str | None], None]
    T = TypeVar("T")
    Steps = Generator[Ask, Answer, T]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a call may go.

    Attributes:
        deadline: seconds for all of it.
        logins: how many logins may be rejected in it.
        pending: whether AWSPENDING may be tried.
    """

    deadline: float = 10.0
    logins: int = 8
    pending: bool = True

    @property
    def stages(self) -> tuple[str, ...]:
        """The labels of a round, in order."""
        return (Stage.CURRENT, *((Stage.PENDING,) if self.pending else ()), Stage.PREVIOUS)


@dataclass(slots=True)
class _Hold:
    until: float
    times: int = 1


@dataclass(slots=True)
class Memory:
    """What the threads of a process know together about the versions of one secret."""

    _worked: SecretVersion | None = None
    _label: str | None = None  # AWSCURRENT's version when that one worked
    _held: dict[str, _Hold] = field(default_factory=dict)
    _denied: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
            self._worked = None if version.version == current.version else version
            self._label = current.version

    def rejected(self, version: SecretVersion, now: float) -> None:
        """Note that the server refused a version; nobody tries it for a while."""
        with self._lock:
            hold = self._held.get(version.version)
            if hold is None:
                self._held[version.version] = _Hold(now + _FIRST_HOLD)
                if len(self._held) > _MOST_HELD:
                    del self._held[min(self._held, key=lambda other: self._held[other].until)]
            if self._worked and self._worked.version == version.version:
                self._worked = None

    def admits(self, version: SecretVersion, now: float) -> bool:
        """Whether the caller may try a version now; if it was held, others then wait for the outcome."""
        with self._lock:
            hold = self._held.get(version.version)
            if hold is None:
                return True
            if now < hold.until:
                return False
            hold.times += 1
            hold.until = now + min(_FIRST_HOLD * 2.0 ** (hold.times - 1), _LONGEST_HOLD)
            return True

    def deny(self, stage: str, now: float) -> None:
        """Note that a label's version may not be read; it is not asked for in the next minutes."""
        with self._lock:
            self._denied[stage] = now + _DENIED_SECONDS

    def denied(self, stage: str, now: float) -> bool:
        """Whether a label's version was found unreadable lately."""
        return now < self._denied.get(stage, 0.0)


def walk(
    memory: Memory,
    limits: Limits,
    note: Note,
    *,
    shortest: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[SecretVersion]:
    """Find a version that logs in.

    Args:
        memory: of the secret; read and written.
        limits: of this call.
        note: told each decision by name, with the version's id.
        shortest: seconds below which the driver cannot be told to give up.
        clock: gives seconds.

    Yields:
        What is to be done.

    Returns:
        The version that the server accepted.

    Raises:
        Exception: the driver's last refusal, or Secrets Manager's error, when time or logins are used up.
    """
    call = _Call(memory, limits, note, shortest, clock)
    current = yield Read(Stage.CURRENT, anew=False, seconds=call.left)
    if not isinstance(current, SecretVersion):
        raise _error(current)
    call.current = current
    if (first := memory.preferred(current)) is not current:
        note("remembered", first.version)
    if (yield from call.accepts(first)):
        return first
    for times in itertools.count(1):
        for stage in limits.stages:
            found = yield from call.read(stage)
            if found is not None and (yield from call.accepts(found)):
                note(stage.removeprefix("AWS").lower(), found.version)
                return found
        pause = pause_after(times, shortest=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        call.check(pause)
        yield Pause(pause)
    raise AssertionError  # count() has no end


class _Call:
    """One call's state."""

    current: SecretVersion

    def __init__(
        self,
        memory: Memory,
        limits: Limits,
        note: Note,
        shortest: float,
        clock: Callable[[], float],
    ) -> None:
        self._memory, self._limits, self._note = memory, limits, note
        self._shortest, self._clock = shortest, clock
        self._end = clock() + limits.deadline
        self._rejections = 0
        self._error: Exception | None = None

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock())

    def read(self, stage: str) -> Steps[SecretVersion | None]:
        """The version with a label as Secrets Manager has it now, if it may be tried; else None."""
        self.check(0.0)
        if self._memory.denied(stage, self._clock()):
            return None
        self._note("refreshed", None)
        found = yield Read(stage, anew=True, seconds=self.left)
        if not isinstance(found, SecretVersion):
            self._unreadable(stage, _error(found))
            return None
        if stage == Stage.CURRENT:
            self.current = found
            return found
        if not _same_target(found, self.current):
            self._note("other-target", found.version)
            return None
        return found

    def accepts(self, version: SecretVersion) -> Steps[bool]:
        """Whether the server lets a version in; asked again and again while it is not there."""
        if not self._memory.admits(version, self._clock()):
            self._note("held", version.version)
            return False
        secret = secret_of(version)
        for times in itertools.count(1):
            refusal = yield Login(version, secret, max(self.left, self._shortest))
            if not isinstance(refusal, Refusal):
                self._memory.accepted(version, self.current)
                return True
            self._error = refusal.error
            self._note(refusal.verdict.value, version.version)
            if refusal.verdict is Verdict.REJECTED:
                self._memory.rejected(version, self._clock())
                self._rejections += 1
                self.check(0.0)
                return False
            pause = pause_after(times, shortest=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
            self.check(pause + self._shortest)
            yield Pause(pause)
        raise AssertionError  # count() has no end

    def check(self, seconds: float) -> None:
        """End the call if so much time is not left, or too many logins were rejected."""
        if self.left > seconds and self._rejections < self._limits.logins:
            return
        self._note("gave-up", None)
        raise self._error or CredentialsRejected(
            "every stored version was rejected a moment ago, so none was tried, for the account's sake",
            reason="held-back",
        )

    def _unreadable(self, stage: str, error: RotatorsError) -> None:
        if isinstance(error, AccessDenied):
            self._note("denied", None)
            self._memory.deny(stage, self._clock())
        # Our own deadline explains nothing, and AWSPENDING need not exist.
        if error.reason != "deadline" and (stage == Stage.CURRENT or error.retryable):
            self._error = self._error or error


def secret_of(version: SecretVersion) -> Secret:
    """The JSON object in a version.

    Raises:
        SecretFormatError: it holds something else.
    """
    if isinstance(version.content, bytes):
        raise SecretFormatError("the secret is binary; a login needs a SecretString with a JSON object")
    return Secret.from_string(version.content)


def _error(answer: Answer) -> RotatorsError:
    if isinstance(answer, RotatorsError):
        return answer
    raise TypeError(f"a read was answered with {type(answer).__name__}")


def _same_target(found: SecretVersion, current: SecretVersion) -> bool:
    """Whether both lead to the same place; an unreadable value leads nowhere."""
    try:
        ours, theirs = secret_of(current), secret_of(found)
    except SecretFormatError:
        return False
    return all(ours.get(key) == theirs.get(key) for key in _TARGET_KEYS)
