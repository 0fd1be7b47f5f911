"""Which stored version an application logs in with: the decisions, and nothing that waits.

``walk`` is a generator. It yields what it wants done (``Read``, ``Login``, ``Pause``), is sent the result,
and returns the version that the server accepted. ``credentials.py`` and ``aio.py`` do the work, in a thread
or in a task. The order::

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
only. Only a *rejection* goes on to another version.

Every other failure that AWSCURRENT may explain leads to one question: has AWSCURRENT moved? It is read again,
by all callers of the process together once in two seconds, and a version that is new is tried at once:

====================  =====================================================  ===============================
verdict               the new AWSCURRENT is tried if it leads to             else
====================  =====================================================  ===============================
UNAVAILABLE           any target                                             the same again, after a pause
DATABASE, SERVER      any target                                             the driver's error
BLOCKED, CLOSED       another account                                        the driver's error
====================  =====================================================  ===============================

A version that leads to another target than AWSCURRENT is never used (``target.py``): anyone who may write
AWSPENDING could lead applications elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from rotators.aws.reading import SecretVersion
from rotators.cache.loading import may_pass, pause_after
from rotators.client.memory import Admission, Memory
from rotators.client.messages import Limits, Login, Pause, Read, Refusal
from rotators.client.target import Destination
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorsError,
    SecretFormatError,
)
from rotators.core.states import Stage
from rotators.logins.causes import failure
from rotators.logins.driver import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.client.messages import Answer, Note, Steps

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_BUSY_SECONDS = 0.02
_FIRST_TRY_SECONDS = 5.0  # as long as a login of a rotation may take
_REREAD_SECONDS = 1.0  # for reading AWSCURRENT while the same login could be tried again instead
_COUNTED = frozenset({Verdict.REJECTED, Verdict.UNAVAILABLE, Verdict.BLOCKED, Verdict.CLOSED})
_LEAST_SECONDS = 0.05  # enough to start a read whose result the next call finds in memory


def walk(  # noqa: PLR0913 - what a call consists of
    memory: Memory,
    limits: Limits,
    note: Note,
    destination: Destination = Destination(),  # noqa: B008 - frozen
    *,
    shortest: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[SecretVersion]:
    """Find a version that logs in.

    Args:
        memory: of the secret; read and written.
        limits: of this call.
        note: told each decision by name, with the version's id.
        destination: what the caller decides about the target.
        shortest: seconds below which the driver cannot be told to give up.
        clock: gives seconds.

    Yields:
        What is to be done.

    Returns:
        The version that the server accepted.

    Raises:
        TargetRefused: reason ``blocked``: the server blocked the account a moment ago, so nothing was tried.
        Exception: the driver's last refusal, or Secrets Manager's error, when time or logins are used up.
    """
    call = _Call(memory, limits, note, destination, shortest=shortest, clock=clock)
    current = yield Read(Stage.CURRENT, anew=False, seconds=call.left)
    if not isinstance(current, SecretVersion):
        raise _error(current)
    call.current = current
    if accepted := (yield from call.accepted(call.first())):
        return accepted
    for times in itertools.count(1):
        for stage in limits.stages:
            found = yield from call.read(stage)
            if found is not None and (accepted := (yield from call.accepted(found))):
                if accepted is found:
                    note(stage.removeprefix("AWS").lower(), found.version)
                return accepted
        pause = pause_after(times, shortest=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        call.check(pause)
        yield Pause(pause)
    raise AssertionError  # count() has no end


class _Call:
    """One call's state."""

    current: SecretVersion

    def __init__(  # noqa: PLR0913 - as walk
        self,
        memory: Memory,
        limits: Limits,
        note: Note,
        destination: Destination,
        *,
        shortest: float,
        clock: Callable[[], float],
    ) -> None:
        self._memory, self._limits, self._note, self._destination = memory, limits, note, destination
        # A login that is begun later could end after the deadline; a short one still has its two halves.
        self._margin = min(shortest, limits.deadline / 2)
        self._shortest, self._clock = shortest, clock
        self._end = clock() + limits.deadline
        self._rejections = 0
        self._moved = False
        self._asked = False
        self._error: Exception | None = None
        self._unread: RotatorsError | None = None

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock())

    def first(self) -> SecretVersion:
        """What to try first: the version that worked last, if it still leads where AWSCURRENT leads."""
        remembered = self._memory.preferred(self.current)
        if remembered is self.current:
            return remembered
        if not self._leads_to_current(remembered):
            return self.current
        self._note("remembered", remembered.version)
        return remembered

    def read(self, stage: str) -> Steps[SecretVersion | None]:
        """The version with a label as Secrets Manager has it now, if it may be tried; else None."""
        self.check(0.0)
        if self._memory.denied(stage, self._clock()):
            return None
        found = yield from self._read_anew(stage, self.left)
        if found is None or stage == Stage.CURRENT:
            return found
        return found if self._leads_to_current(found) else None

    def accepted(self, version: SecretVersion) -> Steps[SecretVersion | None]:
        """The version that the server accepts: this one, or AWSCURRENT if that moves meanwhile; else None."""
        while not (yield from self._accepts(version)):
            if not self._moved:
                return None
            self._moved, version = False, self.current
        return version

    def _accepts(self, version: SecretVersion) -> Steps[bool]:
        """Whether the server lets a version in; asked again and again while it is not there."""
        account = self._destination.account(version.secret)
        if self._memory.blocked(account, self._clock()):
            self._note("held", version.version)
            if (yield from self._follows(Verdict.BLOCKED, version)):
                return False
            raise failure("blocked", "no login was tried")
        while (admission := self._memory.enter(version, self._clock())) is Admission.BUSY:
            self.check(0.0)
            yield Pause(_BUSY_SECONDS)
        if admission is Admission.HELD:
            self._note("held", version.version)
            return False
        try:
            if not (yield from self._log_in(version)):
                return False
        finally:
            self._memory.leave(version)
        self._memory.unblock(account)
        return True

    def _log_in(self, version: SecretVersion) -> Steps[bool]:
        secret = version.secret
        if self._error:
            self.check(self._margin)
        for times in itertools.count(1):
            refusal = yield Login(version, secret, self._seconds)
            if not isinstance(refusal, Refusal):
                self._memory.accepted(version, self.current)
                return True
            self._error = refusal.error
            if refusal.verdict in _COUNTED:
                self._note(refusal.verdict.value, version.version)
            if refusal.verdict is Verdict.REJECTED:
                self._memory.rejected(version, self._clock())
                self._rejections += 1
                self.check(0.0)
                return False
            if refusal.verdict is Verdict.BLOCKED:
                self._memory.block(self._destination.account(secret), self._clock())
            self._memory.leave(version)
            if (yield from self._follows(refusal.verdict, version)):
                return False
            if refusal.verdict is not Verdict.UNAVAILABLE:
                raise refusal.error
            pause = pause_after(times, shortest=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
            self.check(pause + self._margin)
            yield Pause(pause)
        raise AssertionError  # count() has no end

    @property
    def _seconds(self) -> float:
        """Seconds for one login. The first leaves time for another, in case the address has changed."""
        if self._asked or self._destination.names_address:
            return max(self.left, self._shortest)
        return max(min(self.left, max(self.left / 2, _FIRST_TRY_SECONDS)), self._shortest)

    def _follows(self, verdict: Verdict, version: SecretVersion) -> Steps[bool]:
        """Whether AWSCURRENT has moved to a version that may help; then it is ``current``."""
        self._asked = True
        if self._is_the_callers(verdict):
            return False
        before = self.current
        if self._memory.may_reread(self._clock()):
            yield from self._read_anew(Stage.CURRENT, min(self.left, _REREAD_SECONDS))
        elif self._memory.latest not in {None, before.version}:
            # Another caller has read it; it is in the cache by now.
            found = yield Read(Stage.CURRENT, anew=False, seconds=min(self.left, _REREAD_SECONDS))
            self.current = found if isinstance(found, SecretVersion) else before
        if self.current.version == before.version:
            return False
        if verdict in {Verdict.BLOCKED, Verdict.CLOSED} and self._is_account_of(version):
            return False
        self._note("moved", self.current.version)
        self._moved = True
        return True

    def _is_the_callers(self, verdict: Verdict) -> bool:
        """Whether what the server objects to was passed by the caller, so that no version changes it."""
        return {
            Verdict.UNAVAILABLE: self._destination.names_address,
            Verdict.DATABASE: self._destination.names_database,
            Verdict.SERVER: self._destination.names_host,
        }.get(verdict, False)

    def _is_account_of(self, version: SecretVersion) -> bool:
        """Whether AWSCURRENT is for the same account."""
        ours, theirs = self.current.secret, version.secret
        return self._destination.account(ours) == self._destination.account(theirs)

    def _leads_to_current(self, found: SecretVersion) -> bool:
        """Whether both lead to the same server; an unreadable value leads nowhere."""
        with contextlib.suppress(SecretFormatError):
            if self._destination.same(found.secret, self.current.secret):
                return True
        self._note("other-target", found.version)
        return False

    def _read_anew(self, stage: str, seconds: float) -> Steps[SecretVersion | None]:
        """The version with a label as Secrets Manager has it now; None if it cannot be read."""
        self._note("refreshed", None)
        found = yield Read(stage, anew=True, seconds=max(seconds, _LEAST_SECONDS))
        if not isinstance(found, SecretVersion):
            self._unreadable(stage, _error(found))
            return None
        if stage == Stage.CURRENT:
            self.current = found
            self._memory.reread(found)
        return found

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


def _error(answer: Answer) -> RotatorsError:
    if isinstance(answer, RotatorsError):
        return answer
    raise TypeError(f"a read was answered with {type(answer).__name__}")
