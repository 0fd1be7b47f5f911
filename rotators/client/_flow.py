"""Which stored version an application logs in with: all decisions, as a generator without I/O.

``LoginFlow.run`` yields requests (``Fetch``, ``Attempt``, ``Pause``, ``Close``) and is sent their results.
``_credentials.py`` performs them in a thread, ``_aio.py`` in an asyncio task. The order::

    last accepted version, or AWSCURRENT ──rejected──▶ AWSCURRENT read again ──▶ AWSPENDING ──▶ AWSPREVIOUS
              ▲                                                                                   │
              └────────────────── pause with exponential backoff, until the deadline ◀────────────┘

Reasons for each:

- AWSCURRENT read again: the rotation is complete, and the cached value is old.
- AWSPENDING: a ``single`` rotation has changed the password on the target and not yet moved AWSCURRENT.
- AWSPREVIOUS: a read replica does not have the new password yet, or the target was restored.
- Another round: a stage moved between two reads.

The version that was accepted is tried first until AWSCURRENT moves. So a rotation costs each process one
rejected login for each login in progress at that time, not one for every later connection. Servers lock
accounts after too many failed logins. Therefore only one caller at a time tries a version that is not known
to work, and the others wait; a rejected version is held for a time that doubles; and the number of rejected
logins in one call is limited. Only a *rejection* leads to another version.

After any other failure that an old AWSCURRENT may explain, AWSCURRENT is read again, once in two seconds for
all callers of the process. A new version is tried at once:

====================  =====================================================  ===============================
verdict               the new AWSCURRENT is tried if it names                otherwise
====================  =====================================================  ===============================
UNAVAILABLE           any target                                             the same version, after a pause
DATABASE, SERVER      any target                                             the driver's error
BLOCKED, CLOSED       another account                                        the driver's error
====================  =====================================================  ===============================

A version for another target than AWSCURRENT's is never used (``call.Destination``), because everyone who may
write AWSPENDING could redirect applications.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from rotators.aws.secrets import SecretVersion
from rotators.cache.backoff import backoff_seconds, is_transient
from rotators.client._call import Destination
from rotators.client._drivers import check_owner, completed
from rotators.client._login_results import Admission, LoginResults
from rotators.core.errors import AccessDenied, ConfigurationError, CredentialsRejected, RotatorsError
from rotators.core.redaction import redacted, without_frames
from rotators.core.secret import Secret
from rotators.core.states import Stage
from rotators.logins.causes import failure
from rotators.logins.driver import Driver, Verdict

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_BUSY_SECONDS = 0.02
_FIRST_TRY_SECONDS = 5.0  # as long as a login of a rotation may take
_REREAD_SECONDS = 1.0  # for reading AWSCURRENT while the same login could be repeated instead
_COUNTED = frozenset({Verdict.REJECTED, Verdict.UNAVAILABLE, Verdict.BLOCKED, Verdict.CLOSED})
_LEAST_SECONDS = 0.05  # enough to start a read whose result the next call finds in memory


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read a version of the secret through the cache; the result is the `SecretVersion` or a `RotatorsError`.

    Attributes:
        stage: stage of the version; AWSCURRENT if None.
        since: a ``mark`` of the cache, to read past it; None to accept the cached value.
        timeout: seconds to wait at most; the cache's own if None.
    """

    stage: str | None = None
    since: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Log in once; the result is `Connected`, the exception raised, or a `FailedLogin`.

    Attributes:
        secret: user, credential and server, with the defaults of its engine. Its repr shows no value.
        version: the version's id.
        seconds: time limit of this login.
    """

    secret: Secret
    version: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a number of seconds; there is no result."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; there is no result."""

    connection: Any


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that an attempt made."""

    connection: Any


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """An attempt that made no connection.

    Attributes:
        verdict: classification of the error.
        error: the driver's. It shows no value of the secret.
    """

    verdict: Verdict
    error: Exception


T = TypeVar("T")
Request = Fetch | Attempt | Pause | Close
Flow = Generator[Request, Any, T]
"""Yields requests, is sent the result that each request's docstring names, and returns T."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call.

    Attributes:
        deadline: seconds for the whole call.
        logins: number of logins that may be rejected.
        pending: True if AWSPENDING may be tried.
    """

    deadline: float = 10.0
    logins: int = 8
    pending: bool = True

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the stages of a round, in order."""
        return (Stage.CURRENT, *((Stage.PENDING,) if self.pending else ()), Stage.PREVIOUS)


class LoginFlow:
    """One call of ``connect``.

    Args:
        results: results of earlier logins with this secret; read and changed.
        limits: limits of this call.
        note: called with the name of each decision, and the version's id or None.
        driver: driver of the logins.
        given: names of the arguments that the caller passes to the driver.
        mark: the cache's ``mark``.
        clock: returns seconds.
    """

    _current: SecretVersion
    _connection: Any

    def __init__(  # noqa: PLR0913 - the parts of a call
        self,
        results: LoginResults,
        limits: Limits,
        note: Callable[[str, str | None], None],
        driver: Driver,
        given: Iterable[str],
        *,
        mark: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._results, self._limits, self._note, self._driver = results, limits, note, driver
        self._destination = Destination(frozenset(given), driver)
        self._mark, self._clock = mark, clock
        self._since = mark()
        # A login started later could end after the deadline; a short call can still use half of its time.
        self._margin = min(driver.shortest, limits.deadline / 2)
        self._end = clock() + limits.deadline
        self._rejections = 0
        self._moved = False
        self._asked = False
        self._error: Exception | None = None
        self._unread: RotatorsError | None = None

    def run(self) -> Flow[Any]:
        """Log in with a version that the server accepts.

        Yields:
            Requests.

        Returns:
            The connection.

        Raises:
            TargetRefused: reason ``blocked``: the server blocked the account recently, so no login was tried.
            CredentialsRejected: reason ``held-back``: every version was rejected recently, so none was tried.
            ConfigurationError: the connection or error belongs to another driver.
            Exception: the driver's last error, or Secrets Manager's, when time or logins are used up.
        """
        current: SecretVersion | RotatorsError = yield Fetch(Stage.CURRENT, None, self._left)
        if isinstance(current, RotatorsError):
            raise current
        self._current = current
        if (yield from self._accepted(self._first())):
            return self._connection
        for times in itertools.count(1):
            for stage in self._limits.stages:
                found = yield from self._read(stage)
                if found is not None and (accepted := (yield from self._accepted(found))):
                    if accepted is found:
                        self._note(stage.removeprefix("AWS").lower(), found.version)
                    return self._connection
            yield from self._back_off(times)
        raise AssertionError  # count() has no end

    @property
    def _left(self) -> float:
        return max(0.0, self._end - self._clock())

    def _first(self) -> SecretVersion:
        """Return the last version that was accepted if it has AWSCURRENT's target, else AWSCURRENT."""
        preferred = self._results.preferred(self._current)
        if preferred is self._current or not self._has_current_target(preferred):
            return self._current
        self._note("remembered", preferred.version)
        return preferred

    def _read(self, stage: str) -> Flow[SecretVersion | None]:
        """Read a stage's version from Secrets Manager; None if it must not be tried."""
        self._check(0.0)
        if self._results.denied(stage, self._clock()):
            return None
        found = yield from self._read_again(stage, self._left)
        if found is None or stage == Stage.CURRENT or self._has_current_target(found):
            return found
        return None

    def _accepted(self, version: SecretVersion) -> Flow[SecretVersion | None]:
        """Return the version that the server accepts: this one, or AWSCURRENT if it moves; else None."""
        while not (yield from self._accepts(version)):
            if not self._moved:
                return None
            self._moved, version = False, self._current
        return version

    def _accepts(self, version: SecretVersion) -> Flow[bool]:
        """Log in with a version, repeatedly while the server is unavailable."""
        account = self._destination.account(version.secret)
        if self._results.blocked(account, self._clock()):
            self._note("held", version.version)
            if (yield from self._follows(Verdict.BLOCKED, version)):
                return False
            raise failure("blocked", "no login was tried")
        while (admission := self._results.enter(version, self._clock())) is Admission.BUSY:
            self._check(0.0)
            yield from self._pause(_BUSY_SECONDS)
        if admission is Admission.HELD:
            self._note("held", version.version)
            return False
        try:
            if not (yield from self._log_in(version)):
                return False
        finally:
            self._results.leave(version)
        self._results.unblock(account)
        return True

    def _log_in(self, version: SecretVersion) -> Flow[bool]:
        if self._error:
            self._check(self._margin)
        for times in itertools.count(1):
            failed = yield from self._attempt(version)
            if failed is None:
                self._results.accepted(version, self._current)
                return True
            self._error = failed.error
            if failed.verdict in _COUNTED:
                self._note(failed.verdict.value, version.version)
            if failed.verdict is Verdict.REJECTED:
                self._results.rejected(version, self._clock())
                self._rejections += 1
                self._check(0.0)
                return False
            if failed.verdict is Verdict.BLOCKED:
                self._results.block(self._destination.account(version.secret), self._clock())
            self._results.leave(version)
            if (yield from self._follows(failed.verdict, version)):
                return False
            if failed.verdict is not Verdict.UNAVAILABLE:
                raise failed.error
            yield from self._back_off(times, self._margin)
        raise AssertionError  # count() has no end

    def _attempt(self, version: SecretVersion) -> Flow[FailedLogin | None]:
        """Try to log in once; None if there is a connection now."""
        result: Connected | FailedLogin | Exception = yield Attempt(
            completed(version.secret, self._driver), version.version, self._seconds
        )
        self._since = self._mark()
        if isinstance(result, Connected):
            try:
                check_owner(self._driver, result.connection)
            except ConfigurationError:
                yield Close(result.connection)
                raise
            self._connection = result.connection
            return None
        failed = (
            result if isinstance(result, FailedLogin) else _classified(result, version.secret, self._driver)
        )
        check_owner(self._driver, failed.error)
        if failed.verdict is Verdict.OTHER:
            raise failed.error
        return failed

    @property
    def _seconds(self) -> float:
        """Time limit of one login. The first leaves time for another, in case the address has changed."""
        seconds = self._left
        if not (self._asked or self._destination.names_address):
            seconds = min(seconds, max(seconds / 2, _FIRST_TRY_SECONDS))
        return max(seconds, self._driver.shortest)

    def _follows(self, verdict: Verdict, version: SecretVersion) -> Flow[bool]:
        """Read AWSCURRENT again; True if it has moved to a version that may help."""
        self._asked = True
        if self._is_decided_by_caller(verdict):
            return False
        before = self._current
        seconds = min(self._left, _REREAD_SECONDS)
        if self._results.may_reread(self._clock()):
            yield from self._read_again(Stage.CURRENT, seconds)
        elif self._results.latest not in {None, before.version}:
            # Another caller has read it, so it is in the cache.
            found = yield Fetch(Stage.CURRENT, None, seconds)
            self._current = found if isinstance(found, SecretVersion) else before
        if self._current.version == before.version:
            return False
        account = self._destination.account
        if verdict in {Verdict.BLOCKED, Verdict.CLOSED} and account(self._current.secret) == account(
            version.secret
        ):
            return False
        self._note("moved", self._current.version)
        self._moved = True
        return True

    def _is_decided_by_caller(self, verdict: Verdict) -> bool:
        """Return True if the caller passed what the server objects to, so that no version changes it."""
        return {
            Verdict.UNAVAILABLE: self._destination.names_address,
            Verdict.DATABASE: self._destination.names_database,
            Verdict.SERVER: self._destination.names_host,
        }.get(verdict, False)

    def _has_current_target(self, found: SecretVersion) -> bool:
        if self._destination.same_for(found, self._current):
            return True
        self._note("other-target", found.version)
        return False

    def _read_again(self, stage: str, seconds: float) -> Flow[SecretVersion | None]:
        """Read a stage's version past the cache; None if it cannot be read."""
        self._note("refreshed", None)
        found: SecretVersion | RotatorsError = yield Fetch(stage, self._since, max(seconds, _LEAST_SECONDS))
        if isinstance(found, RotatorsError):
            self._unreadable(stage, found)
            return None
        if stage == Stage.CURRENT:
            self._current = found
            self._results.reread(found)
        return found

    def _back_off(self, times: int, margin: float = 0.0) -> Flow[None]:
        """Pause, unless the deadline leaves no ``margin`` after it."""
        seconds = backoff_seconds(times, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        self._check(seconds + margin)
        yield from self._pause(seconds)

    def _pause(self, seconds: float) -> Flow[None]:
        # A read that another caller starts during the pause is new enough for this caller too.
        self._since = self._mark()
        yield Pause(seconds)

    def _check(self, seconds: float) -> None:
        """End the call if less than this time is left, or too many logins were rejected."""
        if self._left > seconds and self._rejections < self._limits.logins:
            return
        self._note("gave-up", None)
        if self._error and self._unread and self._error is not self._unread:
            self._error.add_note(f"rotators: other versions could not be read: {self._unread}")
        raise self._error or CredentialsRejected(
            "every stored version was rejected a moment ago, so none was tried, because servers "
            "lock accounts",
            reason="held-back",
        )

    def _unreadable(self, stage: str, error: RotatorsError) -> None:
        if isinstance(error, AccessDenied) and stage != Stage.CURRENT and not is_transient(error):
            self._note("denied", None)
            self._results.deny(stage, self._clock())
        elif stage == Stage.CURRENT or is_transient(error):
            self._note("unreadable", None)
            self._unread = error
            # An expired deadline explains nothing.
            if error.reason != "deadline":
                self._error = self._error or error


def _classified(error: Exception, secret: Secret, driver: Driver) -> FailedLogin:
    """Classify a login's error. The error shows no value of the secret any more, nor do its frames."""
    verdict = driver.judge(error, secret)
    if isinstance(error, OSError) or type(error).__module__ != "builtins":
        # An error of a library. One that an application raises itself keeps its traceback.
        error = without_frames(error)
    return FailedLogin(verdict, redacted(error, secret.sensitive(credential=driver.credential)))
