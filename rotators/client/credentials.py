"""Database logins that survive rotation, whatever its strategy.

``walk.py`` decides what to try; this module does it, in a thread, and counts and logs each decision.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from rotators.cache import forks
from rotators.client.arguments import number_between, secret_named
from rotators.client.calls import checked
from rotators.client.drivers import LIBPQ, REDIS, Driver, driver_named
from rotators.client.judging import judged
from rotators.client.memory import Memory
from rotators.client.messages import Limits, Login, Pause, Read, Refusal
from rotators.client.secret_cache import SecretCache
from rotators.client.target import Destination
from rotators.client.walk import secret_of, walk
from rotators.core.errors import ConfigurationError, InvalidInput, RotatorsError, SecretFormatError
from rotators.core.secret import Secret
from rotators.logins.connecting import wants_tls
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rotators.aws.reading import SecretVersion
    from rotators.client.messages import Answer, Steps

C = TypeVar("C")

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login to be made.

    Attributes:
        secret: whom and where. Its repr shows no value.
        version: the version's id.
        seconds: what is left of the deadline.
    """

    secret: Secret
    version: str
    seconds: float

    @classmethod
    def of(cls, ask: Login) -> Attempt:
        """What a login gets to know."""
        return cls(ask.secret, ask.version.version, ask.seconds)


@dataclass(eq=False)
class Shared:
    """What `Credentials` and its asyncio clone have in common.

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

    def start(self, driver: Driver, given: Iterable[str]) -> Steps[SecretVersion]:
        """A new walk.

        Args:
            driver: of the logins.
            given: the names of the arguments that the caller passes to it.
        """
        if not self.cache.remembers(self.secret_id):
            # The walk begins with reading AWSCURRENT, so reading it again at once would tell nothing.
            self._memory.may_reread(time.monotonic())
        destination = driver.destination(given)
        return walk(self._memory, self.limits, self.note, destination, shortest=driver.shortest)

    def succeeded(self) -> None:
        """Count a login."""
        with self._lock:
            self._counts["logins"] += 1

    def is_retired(self, version: str | None, current: SecretVersion) -> bool:
        """Whether a version is not what to log in with, when AWSCURRENT is this."""
        return version != self._memory.preferred(current).version

    def preferred(self, current: SecretVersion) -> SecretVersion:
        """What to log in with, when AWSCURRENT is this and the caller passes nothing else."""
        remembered = self._memory.preferred(current)
        with contextlib.suppress(SecretFormatError):
            if Destination().same(secret_of(remembered), secret_of(current)):
                return remembered
        return current

    def __repr__(self) -> str:
        return f"<credentials of {self.secret_id!r}>"


class Credentials:
    """The credentials in a secret, for as long as the process runs; shared by its threads.

    A rotation does not show: a login that the server rejects is made again with what Secrets Manager says
    now, then with AWSPENDING, then with AWSPREVIOUS. Nothing is tried again for any other error, except that
    a server which is not there, or not ready, is asked again until the deadline.

    Args:
        secret_id: name or ARN of a secret with AWS's keys (``host``, ``username``, ``password`` …).
        cache: where versions are read; a `SecretCache` of its own when left out.
        pending: whether AWSPENDING may be tried. It needs secretsmanager:GetSecretValue on that version; a
            denial is counted, and nothing fails for it.
        deadline: seconds for a login in all. The driver's own time-out is set to what is left, unless given.
        logins: how many logins of one call may be rejected.

    Raises:
        InvalidInput: an argument cannot be meant.
    """

    def __init__(
        self,
        secret_id: str,
        *,
        cache: SecretCache | None = None,
        pending: bool = True,
        deadline: float = 10.0,
        logins: int = 8,
    ) -> None:
        self.shared = Shared(secret_id, cache or SecretCache(), Limits(deadline, logins, pending))

    def connect(
        self, connect: Callable[..., C], *args: Any, driver: Driver | str | None = None, **kwargs: Any
    ) -> C:
        """Connect, with a driver's own function.

        Args:
            connect: ``psycopg.connect``, ``pymysql.connect``, ``redis.Redis`` …
            *args: handed on.
            driver: whose names and errors are meant, or its package's name, when ``connect`` is a function of
                your own; else found by the module of ``connect``.
            **kwargs: handed on; they win over what the secret says (``host`` of a proxy, ``dbname`` …). With
                ``host`` it is the caller who decides which server gets the stored passwords.

        Returns:
            What ``connect`` returned.

        Raises:
            Exception: the driver's own, when it is no rejection, or when no stored version was accepted.
            CredentialsRejected: reason ``held-back``: all were rejected a moment ago.
            TargetRefused: reason ``blocked``: the server blocked the account.
            StoreError: the secret cannot be read, and is not in memory.
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
            InvalidInput: ``user`` or ``password`` was given, or ``driver`` names no driver.
            ConfigurationError: ``driver`` is not the driver that ``connect`` belongs to.
        """
        call = checked(driver, connect, args, kwargs)
        if call.driver is REDIS:
            from rotators.client.redis import connected  # noqa: PLC0415 - needs redis-py

            client: C = connected(self, call.connect, *call.args, **call.given)
            return client

        def login(attempt: Attempt) -> C:
            connection: C = call.made(attempt)
            call.driver.settle(connection, call.given)
            return connection

        return self.login(login, call.driver, call.given)

    def login(self, login: Callable[[Attempt], C], driver: Driver | str, given: Iterable[str] = ()) -> C:
        """Log in by a function of your own.

        Args:
            login: makes the connection of an attempt, or raises the driver's error.
            driver: by whose errors a rejection is recognised.
            given: the names of what ``login`` takes from elsewhere than the attempt's secret, such as
                ``host``: it is not compared between versions.

        Returns:
            What ``login`` returned when it first did not raise.

        Raises:
            Exception: as ``connect``.
        """
        known = driver_named(driver)
        answer: Answer = None
        made: list[C] = []
        since = self.shared.cache.mark()
        with contextlib.closing(self.shared.start(known, given)) as steps:
            while True:
                try:
                    ask = steps.send(answer)
                except StopIteration:
                    self.shared.succeeded()
                    return made[0]
                if isinstance(ask, Read):
                    answer = self._read(ask, since)
                elif isinstance(ask, Pause):
                    since = self.shared.cache.mark()
                    time.sleep(ask.seconds)
                    answer = None
                else:
                    answer = _attempted(login, ask, known, made)
                    since = self.shared.cache.mark()

    def _read(self, ask: Read, since: int) -> SecretVersion | RotatorsError:
        cache = self.shared.cache
        try:
            return cache.read(
                self.shared.secret_id,
                stage=ask.stage,
                since=since if ask.anew else None,
                timeout=ask.seconds,
            )
        except RotatorsError as error:
            return error

    def retired(self, version: str | None) -> bool:
        """Whether a connection that was made with this version should be replaced when it is next idle.

        False when the secret cannot be read: a connection that works is not given up for that.
        """
        try:
            cache, secret_id = self.shared.cache, self.shared.secret_id
            return self.shared.is_retired(version, cache.read(secret_id, timeout=PATIENCE_SECONDS))
        except RotatorsError:
            self.shared.note("unreadable", version)
            return False

    def secret(self) -> dict[str, Any]:
        """The secret that would be tried first now, as a dictionary of its own. Clear text.

        Raises:
            StoreError: it cannot be read, and is not in memory.
            SecretFormatError: it is no JSON object.
        """
        current = self.shared.cache.read(self.shared.secret_id)
        return dict(secret_of(self.shared.preferred(current)))

    def parameters(self, driver: Driver | str = LIBPQ, **places: str | int) -> dict[str, Any]:
        """The same in a driver's words; libpq's, for example, also as a connection string's. Clear text.

        Args:
            driver: whose words.
            **places: ``host``, ``port`` and ``dbname``, where they are not in the secret, or to win over it.

        Raises:
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
            InvalidInput: there is no such driver or place.
        """
        return driver_named(driver).parameters(self._placed(places), {})

    def url(self, scheme: str = "postgresql", **places: str | int) -> str:
        """The same as a URL of libpq's form, all parts percent-encoded. Clear text.

        Args:
            scheme: ``postgresql``, ``postgresql+psycopg`` … whatever the reader understands.
            **places: as for ``parameters``.

        Raises:
            SecretFormatError, InvalidInput: as ``parameters``.
            ConfigurationError: the secret asks for TLS, and the scheme is none of PostgreSQL's: how TLS is
                written in such a URL differs from reader to reader.
        """
        secret = self._placed(places)
        query: dict[str, Any] = {}
        if scheme.startswith("postgres"):
            parameters = LIBPQ.parameters(secret, {})
            query = {name: value for name, value in parameters.items() if name.startswith("ssl")}
        elif wants_tls(secret):
            raise ConfigurationError(
                f"how TLS is written in a {scheme} URL is not known", remedy="Use parameters() instead."
            )
        host = secret.text("host")
        where = f"[{host}]" if ":" in host else quote(host, safe="")
        where += f":{port_of(secret, 0)}" if secret.get("port") else ""
        user, password = (quote(secret.text(key), safe="") for key in ("username", "password"))
        name = quote(secret.text("dbname"), safe="") if secret.get("dbname") else ""
        return f"{scheme}://{user}:{password}@{where}/{name}" + (f"?{urlencode(query)}" if query else "")

    def counts(self) -> dict[str, int]:
        """See ``Shared.counts``."""
        return self.shared.counts()

    def _placed(self, places: dict[str, str | int]) -> Secret:
        if unknown := sorted(places.keys() - {"host", "port", "dbname"}):
            raise InvalidInput(f"no place is called {unknown[0]}", remedy="Pass host, port and dbname only.")
        return Secret(self.secret()).replace(**places)

    def __repr__(self) -> str:
        return repr(self.shared)


def _attempted(login: Callable[[Attempt], C], ask: Login, driver: Driver, made: list[C]) -> Refusal | None:
    try:
        connection = login(Attempt.of(ask))
    except Exception as error:  # noqa: BLE001 - what is no refusal is raised on
        refusal = judged(error, ask, driver)
    else:
        if not inspect.isawaitable(connection):
            _close_if_refused(connection, driver)
            made.append(connection)
            return None
        if inspect.iscoroutine(connection):
            connection.close()
        raise ConfigurationError("the login is a coroutine", remedy="Use AsyncCredentials.")
    driver.check_error(refusal.error)
    return refusal.or_raise()


def _close_if_refused(connection: Any, driver: Driver) -> None:
    try:
        driver.check_connection(connection)
    except ConfigurationError:
        connection.close()
        raise
