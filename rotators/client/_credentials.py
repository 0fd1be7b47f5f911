"""Database logins that survive rotation, for threads, and what they share with asyncio.

``_flow.py`` decides what to read and which version to try. The classes here and in ``_aio.py`` perform it.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from rotators.aws.secrets import SecretVersion
from rotators.cache import forks
from rotators.client._call import ConnectCall, Destination
from rotators.client._drivers import driver_named
from rotators.client._flow import Attempt, Close, Connected, Fetch, Flow, Limits, LoginFlow, Pause, Request
from rotators.client._login_results import LoginResults
from rotators.client._secret_cache import SecretCache, require_number
from rotators.core.errors import ConfigurationError, InvalidInput, RotatorsError
from rotators.core.secret import Secret
from rotators.logins.connecting import wants_tls
from rotators.logins.driver import Driver
from rotators.logins.target import port_of

C = TypeVar("C")
T = TypeVar("T")

_log = logging.getLogger("rotators.client")

_RETIRED_TIMEOUT_SECONDS = 1.0  # for checking whether a pooled connection uses retired credentials

# All others at INFO: a rotation is worth a line, a login is not.
_LEVELS = {
    **dict.fromkeys(("held", "refreshed", "remembered"), logging.DEBUG),
    **dict.fromkeys(
        ("blocked", "closed", "denied", "gave-up", "other-target", "unreadable"), logging.WARNING
    ),
}


class CredentialsBase:
    """The part of `Credentials` and `AsyncCredentials` that performs no I/O. See `Credentials`."""

    def __init__(
        self,
        secret_id: str,
        *,
        cache: SecretCache | None = None,
        pending: bool = True,
        deadline: float = 10.0,
        logins: int = 8,
    ) -> None:
        cache = cache or SecretCache()
        if not isinstance(cache, SecretCache):
            raise InvalidInput("cache must be a SecretCache", remedy="For asyncio, use AsyncCredentials.")
        if not isinstance(secret_id, str) or not secret_id:
            raise InvalidInput("a secret's name or ARN must be a string", remedy="Correct the argument.")
        require_number(0.1, deadline=deadline)
        require_number(1, logins=logins)
        self.secret_id, self.cache = secret_id, cache
        self._limits = Limits(deadline, logins, pending)
        self._results = LoginResults()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        forks.register(self)

    def renew_after_fork(self) -> None:
        """See ``forks.Forkable``: no thread of the child would release the parent's lock."""
        self._lock = threading.Lock()

    def counts(self) -> dict[str, int]:
        """Return the number of decisions so far, by name.

        Returns:
            ``logins`` (accepted), ``rejected``, ``refreshed`` (reads past the cache), ``current``,
            ``pending``, ``previous`` (accepted after a rejection), ``remembered`` (tried before AWSCURRENT),
            ``retired`` (replaced in a pool), ``held`` (not tried, because it was rejected recently or the
            account is blocked), ``blocked`` (the server blocked the account after too many rejected logins),
            ``closed`` (the account is locked, expired or may not log in), ``moved`` (AWSCURRENT had changed
            and was tried), ``denied`` (a stage that may not be read), ``other-target`` (a version for another
            server), ``unavailable``, ``gave-up``, ``unreadable`` (a stage that could not be read).
        """
        with self._lock:
            return dict(self._counts)

    def note(self, decision: str, version: str | None) -> None:
        """Count and log a decision.

        Args:
            decision: its name, see ``counts``.
            version: the version's id, which is not secret; None if no version is concerned.
        """
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

    def _login_flow(self, driver: Driver | str, given: Iterable[str]) -> Flow[Any]:
        known = driver_named(driver)
        if not self.cache.remembers(self.secret_id):
            # The flow begins by reading AWSCURRENT, so another read at once would return the same.
            self._results.may_reread(time.monotonic())
        flow = LoginFlow(self._results, self._limits, self.note, known, given, mark=self.cache.mark)
        connection = yield from flow.run()
        with self._lock:
            self._counts["logins"] += 1
        return connection

    def _retired_flow(self, version: str | None) -> Flow[bool]:
        current = yield Fetch(timeout=_RETIRED_TIMEOUT_SECONDS)
        if isinstance(current, SecretVersion):
            return version != self._results.preferred(current).version
        self.note("unreadable", version)
        return False

    def _secret_flow(self) -> Flow[dict[str, Any]]:
        current: SecretVersion | RotatorsError = yield Fetch()
        if isinstance(current, RotatorsError):
            raise current
        preferred = self._results.preferred(current)
        first = preferred if Destination().same_for(preferred, current) else current
        return copy.deepcopy(dict(first.secret))

    def __repr__(self) -> str:
        return f"<credentials of {self.secret_id!r}>"


class Credentials(CredentialsBase):
    """Credentials of a secret, for the lifetime of a process; thread-safe.

    When the server rejects a login, it is repeated with the version that Secrets Manager has now, then with
    AWSPENDING, then with AWSPREVIOUS. While the server is unavailable, the login is repeated until the
    deadline. No other error leads to another attempt.

    Args:
        secret_id: name or ARN of a secret with AWS's keys (``host``, ``username``, ``password`` …).
        cache: reads versions; a separate `SecretCache` if None.
        pending: True if AWSPENDING may be tried. This needs secretsmanager:GetSecretValue on that version; if
            it is denied, the denial is counted and no login fails because of it.
        deadline: seconds for one call of ``connect`` or ``login``. The driver's own timeout is set to the
            rest, unless you pass it.
        logins: number of logins of one call that may be rejected.

    Raises:
        InvalidInput: an argument is invalid.

    Attributes:
        secret_id: as passed.
        cache: the cache that reads versions.
    """

    def connect(
        self, connect: Callable[..., C], *args: Any, driver: Driver | str | None = None, **kwargs: Any
    ) -> C:
        """Connect with a driver's function.

        Args:
            connect: ``psycopg.connect``, ``pymysql.connect``, ``redis.Redis`` …
            *args: passed to it.
            driver: the driver, or its package's name, if ``connect`` is your own function; found by the
                module of ``connect`` if None.
            **kwargs: passed to it; they override the secret (``host`` of a proxy, ``dbname`` …). With
                ``host``, you decide which server gets the stored passwords.

        Returns:
            The result of ``connect``.

        Raises:
            Exception: the driver's, if it is no rejection, or if no stored version was accepted.
            CredentialsRejected: reason ``held-back``: all versions were rejected recently. Try again later.
            TargetRefused: reason ``blocked``: the server blocked the account. Try again later.
            StoreError: the secret cannot be read and is not in memory.
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
            InvalidInput: ``user`` or ``password`` was passed, or ``driver`` names no driver.
            ConfigurationError: ``connect`` belongs to another driver than ``driver``.
        """
        call = ConnectCall.of(driver, connect, args, kwargs)
        if call.driver.reconnects:
            integration = import_module(f"rotators.client.integrations.{call.driver.name}")
            client: C = integration.connected(self, call.connect, *call.args, **call.given)
            return client

        def login(attempt: Attempt) -> C:
            connection: C = call.made(attempt.secret, attempt.seconds)
            call.driver.settle(connection, call.given)
            return connection

        return self.login(login, call.driver, call.given)

    def login(self, login: Callable[[Attempt], C], driver: Driver | str, given: Iterable[str] = ()) -> C:
        """Log in with your own function.

        Args:
            login: makes the connection of an attempt, or raises the driver's error.
            driver: the driver or its package's name, to classify errors.
            given: names of what ``login`` takes from another source than the attempt's secret, such as
                ``host``; they are not compared between versions.

        Returns:
            The result of ``login``.

        Raises:
            Exception: as ``connect``.
            ConfigurationError: ``login`` returns an awaitable; or its connection or error is another
                driver's.
        """
        made: C = self._run(self._login_flow(driver, given), login)
        return made

    def retired(self, version: str | None) -> bool:
        """Return True if a connection should be replaced when it is next idle.

        Args:
            version: id of the version that the connection was made with.

        Returns:
            False also if the secret cannot be read, because the connection still works.
        """
        return self._run(self._retired_flow(version))

    def secret(self) -> dict[str, Any]:
        """Return a new dictionary with the secret that the next login would try first. Clear text.

        Returns:
            The members by key; a copy that the caller may change.

        Raises:
            StoreError: the secret cannot be read and is not in memory.
            SecretFormatError: the secret is not a JSON object.
        """
        return self._run(self._secret_flow())

    def parameters(self, driver: Driver | str = "psycopg", **places: str | int) -> dict[str, Any]:
        """Return the same secret as a driver's keyword arguments. Clear text.

        Args:
            driver: the driver or its package's name.
            **places: ``host``, ``port`` and ``dbname``; they override the secret.

        Returns:
            Arguments by the driver's names, such as ``host``, ``user`` and ``password``.

        Raises:
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
            InvalidInput: there is no such driver or place.
            StoreError: as ``secret``.
        """
        return driver_named(driver).parameters(self._placed(places), {})

    def url(self, scheme: str = "postgresql", **places: str | int) -> str:
        """Return the same secret as a URL in libpq's form, percent-encoded. Clear text.

        Args:
            scheme: ``postgresql``, ``postgresql+psycopg`` … as the reader expects it.
            **places: as for ``parameters``.

        Raises:
            SecretFormatError, InvalidInput, StoreError: as ``parameters``.
            ConfigurationError: the secret asks for TLS and the scheme is not PostgreSQL's, so the notation
                for TLS is unknown.
        """
        secret = self._placed(places)
        query: dict[str, Any] = {}
        if scheme.startswith("postgres"):
            parameters = driver_named("psycopg").parameters(secret, {})
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

    def _placed(self, places: dict[str, str | int]) -> Secret:
        if unknown := sorted(places.keys() - {"host", "port", "dbname"}):
            raise InvalidInput(f"no place is called {unknown[0]}", remedy="Pass host, port and dbname only.")
        return Secret(self.secret()).replace(**places)

    def _run(self, flow: Flow[T], login: Callable[[Attempt], Any] | None = None) -> T:
        """Perform a flow's requests in this thread, and return its result."""
        result: Any = None
        with contextlib.closing(flow):
            try:
                while True:
                    result = self._perform(flow.send(result), login)
            except StopIteration as done:
                returned: T = done.value
                return returned

    def _perform(self, request: Request, login: Callable[[Attempt], Any] | None) -> Any:
        if isinstance(request, Pause):
            time.sleep(request.seconds)
        elif isinstance(request, Close):
            request.connection.close()
        elif isinstance(request, Fetch):
            try:
                return self.cache.read(
                    self.secret_id, stage=request.stage, since=request.since, timeout=request.timeout
                )
            except RotatorsError as error:
                return error
        elif login:
            try:
                connection = login(request)
            except Exception as error:  # noqa: BLE001 - the flow classifies it
                return error
            return Connected(_require_finished(connection))
        return None


def _require_finished(connection: C) -> C:
    if inspect.isawaitable(connection):
        if inspect.iscoroutine(connection):
            connection.close()
        raise ConfigurationError("the login is a coroutine", remedy="Use AsyncCredentials.")
    return connection
