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

What worked is remembered until AWSCURRENT moves, so a rotation costs one process one rejected login for each
that is under way when it happens, not one for every connection. Servers lock accounts that fail too often, so
a version that is not known to work is tried by one caller at a time, for whom the others wait; what was
rejected is left alone for a while, longer each time, by all of them; and a call may be rejected so many times
only. Only a *rejection* goes on to another version. A server that is not there is asked again with the same.

A version that leads to another target than AWSCURRENT is never used: whoever may write AWSPENDING could
lead applications elsewhere.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from rotators.aws.reading import SecretVersion
from rotators.client.memory import Admission, Memory
from rotators.core.errors import AccessDenied, CredentialsRejected, RotatorsError, SecretFormatError
from rotators.core.loading import may_pass, pause_after
from rotators.core.secret import Secret
from rotators.core.states import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_TARGET_KEYS = ("engine", "host", "port", "dbname", "ssl", "sslrootcert")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_BUSY_SECONDS = 0.02


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
        verdict: what the error says.
        error: the driver's.
    """

    verdict: Verdict
    error: Exception

    def or_raise(self) -> Refusal:
        """Itself, if it is a rejection or an absence.

        Raises:
            Exception: the error, if it is neither.
        """
        if self.verdict is Verdict.OTHER:
            raise self.error
        return self


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
        # A login that is begun later could end after the deadline; a short one still has its two halves.
        self._margin = min(shortest, limits.deadline / 2)
        self._shortest, self._clock = shortest, clock
        self._end = clock() + limits.deadline
        self._rejections = 0
        self._error: Exception | None = None
        self._unread: RotatorsError | None = None

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
        while (admission := self._memory.enter(version, self._clock())) is Admission.BUSY:
            self.check(0.0)
            yield Pause(_BUSY_SECONDS)
        if admission is Admission.HELD:
            self._note("held", version.version)
            return False
        try:
            return (yield from self._log_in(version))
        finally:
            self._memory.leave(version)

    def _log_in(self, version: SecretVersion) -> Steps[bool]:
        secret = secret_of(version)
        if self._error:
            self.check(self._margin)
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
            self._memory.leave(version)
            pause = pause_after(times, shortest=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
            self.check(pause + self._margin)
            yield Pause(pause)
        raise AssertionError  # count() has no end

    def check(self, seconds: float) -> None:
        """End the call if so much time is not left, or too many logins were rejected."""
        if self.left > seconds and self._rejections < self._limits.logins:
            return
        self._note("gave-up", None)
        if self._error and self._unread and self._error is not self._unread:
            self._error.add_note(f"rotators: other versions could not be read: {self._unread}")
        raise self._error or CredentialsRejected(
            "every stored version was rejected a moment ago, so none was tried, for the account's sake",
            reason="held-back",
        )

    def _unreadable(self, stage: str, error: RotatorsError) -> None:
        if isinstance(error, AccessDenied) and stage != Stage.CURRENT and not may_pass(error):
            self._note("denied", None)
            self._memory.deny(stage, self._clock())
        elif stage == Stage.CURRENT or may_pass(error):
            self._note("unreadable", None)
            self._unread = error
        # Our own deadline explains nothing, and AWSPENDING need not exist.
        if error.reason != "deadline" and (stage == Stage.CURRENT or may_pass(error)):
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
