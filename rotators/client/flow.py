"""What `Credentials` and `AsyncCredentials` share: everything but the waiting.

Each method that would have to wait is a generator. It yields what is to be done (`Fetch`, `Pause`, `Attempt`,
`Close`), is sent the outcome, and returns the result, so one source serves threads and tasks.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.aws.reading import SecretVersion
from rotators.cache import forks
from rotators.client.arguments import number_between, secret_named
from rotators.client.drivers import check_connection, check_error
from rotators.client.judging import judged
from rotators.client.memory import Memory
from rotators.client.messages import Attempt, Close, Fetch, Limits, Login, Made, Pause, Read, Refusal
from rotators.client.secret_cache import SecretCache
from rotators.client.target import Destination
from rotators.client.walk import walk
from rotators.core.errors import ConfigurationError, InvalidInput, RotatorsError, SecretFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.client.messages import Answer, Doing, Outcome, Steps
    from rotators.logins.driver import Driver

_log = logging.getLogger("rotators.client")

PATIENCE_SECONDS = 1.0
"""Timeout in seconds for checking whether a pooled connection uses retired credentials."""

# All others at INFO: a rotation is worth a line, a login is not.
_LEVELS = {
    **dict.fromkeys(("held", "refreshed", "remembered"), logging.DEBUG),
    **dict.fromkeys(
        ("blocked", "closed", "denied", "gave-up", "other-target", "unreadable"), logging.WARNING
    ),
}


@dataclass(eq=False)
class Shared:
    """The common part of `Credentials` and `AsyncCredentials`.

    Args:
        secret_id: name or ARN.
        cache: where versions are read.
        limits: of a call.

    Raises:
        InvalidInput: one of them cannot be meant.
    """

    secret_id: str
    cache: SecretCache
    limits: Limits
    _memory: Memory = field(default_factory=Memory)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not isinstance(self.cache, SecretCache):
            raise InvalidInput("cache must be a SecretCache", remedy="For asyncio there is AsyncCredentials.")
        forks.remember(self)
        secret_named(self.secret_id)
        number_between(0.1, deadline=self.limits.deadline)
        number_between(1, logins=self.limits.logins)

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``: nobody would release the parent's lock."""
        self._lock = threading.Lock()

    def counts(self) -> dict[str, int]:
        """What was decided so far.

        Returns:
            How often, by name: ``logins`` (accepted), ``rejected``, ``refreshed`` (reads past the memory),
            ``current``, ``pending``, ``previous`` (accepted after a rejection), ``remembered`` (used first in
            AWSCURRENT's stead), ``retired`` (replaced in a pool), ``held`` (not tried, for it was rejected
            lately, or the account blocked), ``blocked`` (the server blocked the account after too many
            rejected logins), ``closed`` (the account is locked, expired or may not log in), ``moved``
            (AWSCURRENT led elsewhere by now, and was followed), ``denied`` (a label that may not be read),
            ``other-target`` (a version that was stored for another server), ``unavailable``, ``gave-up``,
            ``unreadable`` (a label that could not be read; a connection that was kept for that).
        """
        with self._lock:
            return dict(self._counts)

    def note(self, decision: str, version: str | None) -> None:
        """Count and log a decision; a version's id is no secret."""
        with self._lock:
            self._counts[decision] += 1
        _log.log(
            _LEVELS.get(decision, logging.INFO),
            "%s of %s: %s",
            f"version {version}" if version else "a login",
            self.secret_id,
            decision,
            extra={"secret": self.secret_id, "version": version, "decision": decision},
        )

    def login(self, driver: Driver, given: Iterable[str]) -> Doing[Any]:
        """Make a connection.

        Args:
            driver: of the logins.
            given: the names of the arguments that the caller passes to it.

        Yields:
            What is to be done; an `Attempt` is answered by `Made`, or by what was raised or refused.

        Returns:
            The connection.

        Raises:
            Exception: as ``Credentials.connect``.
        """
        connection: Any = None
        answer: Answer = None
        since = self.cache.mark()
        with contextlib.closing(self._walk(driver, given)) as steps:
            while True:
                try:
                    ask = steps.send(answer)
                except StopIteration:
                    break
                if isinstance(ask, Read):
                    answer = _read(
                        (yield Fetch(self.secret_id, ask.stage, since if ask.anew else None, ask.seconds))
                    )
                    continue
                if isinstance(ask, Pause):
                    since = self.cache.mark()
                    yield ask
                    answer = None
                    continue
                outcome = yield Attempt(ask.secret, ask.version.version, ask.seconds)
                if isinstance(outcome, Made):
                    connection, answer = outcome.connection, None
                    yield from _accepted(driver, connection)
                else:
                    answer = _refusal(outcome, ask, driver)
                since = self.cache.mark()
        with self._lock:
            self._counts["logins"] += 1
        return connection

    def _walk(self, driver: Driver, given: Iterable[str]) -> Steps[SecretVersion]:
        if not self.cache.remembers(self.secret_id):
            # The walk begins with reading AWSCURRENT, so reading it again at once would tell nothing.
            self._memory.may_reread(time.monotonic())
        destination = Destination.of(driver, given)
        return walk(self._memory, self.limits, self.note, destination, shortest=driver.shortest)

    def retired(self, version: str | None) -> Doing[bool]:
        """Tell whether a connection that was made with this version should be replaced.

        Returns:
            False also when the secret cannot be read: a connection that works is not given up for that.
        """
        current = yield Fetch(self.secret_id, None, None, PATIENCE_SECONDS)
        if isinstance(current, SecretVersion):
            return version != self._memory.preferred(current).version
        self.note("unreadable", version)
        return False

    def secret(self) -> Doing[dict[str, Any]]:
        """Read the secret that would be tried first now.

        Returns:
            A dictionary of the caller's own. Clear text.

        Raises:
            StoreError, SecretFormatError: as ``Credentials.secret``.
        """
        current = yield Fetch(self.secret_id, None, None, None)
        if isinstance(current, SecretVersion):
            return copy.deepcopy(dict(self._preferred(current).secret))
        raise _error(current)

    def _preferred(self, current: SecretVersion) -> SecretVersion:
        """What to log in with, when AWSCURRENT is this and the caller passes nothing else."""
        remembered = self._memory.preferred(current)
        with contextlib.suppress(SecretFormatError):
            if Destination().same(remembered.secret, current.secret):
                return remembered
        return current

    def __repr__(self) -> str:
        return f"<credentials of {self.secret_id!r}>"


def _accepted(driver: Driver, connection: Any) -> Doing[None]:
    """Check whose connection it is; one of another driver is closed."""
    try:
        check_connection(driver, connection)
    except ConfigurationError as error:
        mistake = error
    else:
        return
    yield Close(connection)
    raise mistake


def _refusal(outcome: Outcome, ask: Login, driver: Driver) -> Refusal:
    """What an attempt that failed means.

    Raises:
        Exception: the driver's error, if no version of the secret helps.
    """
    if not isinstance(outcome, Refusal):
        outcome = judged(_error(outcome), ask, driver)
    check_error(driver, outcome.error)
    return outcome.or_raise()


def _read(outcome: Outcome) -> Answer:
    return outcome if isinstance(outcome, SecretVersion | RotatorsError) else None


def _error(outcome: Outcome) -> Exception:
    if isinstance(outcome, Exception):
        return outcome
    raise TypeError(f"answered with {type(outcome).__name__}")
