"""Database logins that survive rotation, whatever its strategy.

``walk.py`` decides what to try and ``flow.py`` what is to be done for it; this module does it, in a thread.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from rotators.client.calls import checked
from rotators.client.drivers import driver_named
from rotators.client.flow import Shared
from rotators.client.integrations import connected
from rotators.client.messages import Attempt, Close, Fetch, Limits, Made, Pause
from rotators.client.secret_cache import SecretCache
from rotators.core.errors import ConfigurationError, InvalidInput, RotatorsError
from rotators.core.secret import Secret
from rotators.logins.connecting import wants_tls
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rotators.client.messages import Do, Doing, Outcome
    from rotators.logins.driver import Driver

C = TypeVar("C")
T = TypeVar("T")


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
        if call.driver.reconnects:
            client: C = connected(self, call)
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
        made: C = self._run(self.shared.login(driver_named(driver), given), login)
        return made

    def retired(self, version: str | None) -> bool:
        """Whether a connection that was made with this version should be replaced when it is next idle.

        False when the secret cannot be read: a connection that works is not given up for that.
        """
        return self._run(self.shared.retired(version))

    def secret(self) -> dict[str, Any]:
        """The secret that would be tried first now, as a dictionary of its own. Clear text.

        Raises:
            StoreError: it cannot be read, and is not in memory.
            SecretFormatError: it is no JSON object.
        """
        return self._run(self.shared.secret())

    def parameters(self, driver: Driver | str = "psycopg", **places: str | int) -> dict[str, Any]:
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

    def counts(self) -> dict[str, int]:
        """See ``Shared.counts``."""
        return self.shared.counts()

    def _placed(self, places: dict[str, str | int]) -> Secret:
        if unknown := sorted(places.keys() - {"host", "port", "dbname"}):
            raise InvalidInput(f"no place is called {unknown[0]}", remedy="Pass host, port and dbname only.")
        return Secret(self.secret()).replace(**places)

    def _run(self, doing: Doing[T], login: Callable[[Attempt], Any] | None = None) -> T:
        """Do in this thread what is yielded, and give what is returned."""
        outcome: Outcome = None
        with contextlib.closing(doing):
            while True:
                try:
                    ask = doing.send(outcome)
                except StopIteration as done:
                    result: T = done.value
                    return result
                outcome = self._done(ask, login)

    def _done(self, ask: Do, login: Callable[[Attempt], Any] | None) -> Outcome:
        if isinstance(ask, Pause):
            time.sleep(ask.seconds)
        elif isinstance(ask, Close):
            ask.connection.close()
        elif isinstance(ask, Fetch):
            cache = self.shared.cache
            try:
                return cache.read(ask.secret_id, stage=ask.stage, since=ask.since, timeout=ask.timeout)
            except RotatorsError as error:
                return error
        elif login:
            return _attempted(ask, login)
        return None

    def __repr__(self) -> str:
        return repr(self.shared)


def _attempted(attempt: Attempt, login: Callable[[Attempt], Any]) -> Outcome:
    try:
        connection = login(attempt)
    except Exception as error:  # noqa: BLE001 - the flow judges it
        return error
    if not inspect.isawaitable(connection):
        return Made(connection)
    if inspect.iscoroutine(connection):
        connection.close()
    raise ConfigurationError("the login is a coroutine", remedy="Use AsyncCredentials.")
