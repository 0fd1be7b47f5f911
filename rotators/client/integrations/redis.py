"""redis-py: every connection of a client logs in with a version that works now.

    provider = RedisCredentials(credentials)
    client = redis.Redis(**provider.options())

redis-py requests user and password from a credential provider, and does not report the result of the login to
it. Therefore ``redis_connect_func`` logs in, so that a rejected login is repeated. This needs a new socket,
because redis-py closes the socket after a rejection.

A client stays with the server that the secret named when the client was created. A version for another server
is not sent there: after AWSCURRENT's address has changed, create a new client.

``Credentials.connect(redis.RedisCluster)`` creates a client of a cluster. It logs into every node that the
cluster names, with the versions that fit the address in the secret.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from rotators.client._call import Destination
from rotators.client._credentials import Credentials
from rotators.client._flow import Attempt
from rotators.client.integrations import place_of, require_kind, require_same
from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret
from rotators.engines.redis.driver import REDIS, server_parameters, user_and_password
from rotators.logins.connecting import wants_tls
from rotators.logins.target import port_of

__all__ = ["RedisCredentials"]

C = TypeVar("C")

# Those of redis-py 8.
_RETRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 10, 0.01, 1.0


class RedisCredentials(redis.CredentialProvider):
    """A credential provider for `redis.Redis`.

    Args:
        credentials: log in.

    Raises:
        InvalidInput: the credentials are not `Credentials`.
    """

    def __init__(self, credentials: Credentials) -> None:
        require_kind(credentials, Credentials)
        self._credentials = credentials

    def options(self, **given: Any) -> dict[str, Any]:
        """Return the arguments of `redis.Redis`: server, TLS and credential provider, but no password.

        Args:
            **given: your own arguments; they override the secret.

        Returns:
            Arguments by name, including ``given``.

        Raises:
            StoreError: the secret cannot be read and is not in memory.
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
        """
        return client_options(self, Secret(self._credentials.secret()), given, _Retry)

    def get_credentials(self) -> tuple[str, str]:
        """Return user and password of the version that the next login would try first. Clear text.

        Returns:
            The user, ``default`` if the secret names none, and the password.

        Raises:
            StoreError: the secret cannot be read and is not in memory.
        """
        return user_and_password(Secret(self._credentials.secret()))

    def log_in(self, connection: Any, place: Secret, given: Iterable[str] | None = None) -> None:
        """Log in on a new connection and set it up; called by redis-py.

        Args:
            connection: to the server that the client was created for, or to a node of its cluster.
            place: keys of the secret that named this server at that time.
            given: names of the client's arguments that override the secret; None to compare the connection.

        Raises:
            redis.AuthenticationError: no stored version was accepted.
            Final: the same, past redis-py's own retries, which return the error that it carries.
            ConfigurationError: AWSCURRENT is now for another server; no part of it was sent.
            CredentialsRejected, TargetRefused, StoreError: as ``Credentials.login``.
        """
        login = ConnectionLogin(connection, place, given)

        def attempt(version: Attempt) -> None:
            if login.begins(version):
                _limit(connection)
                connection.on_connect()
            else:
                connection.disconnect()
                connection.connect()

        with login.prepared(Retry(NoBackoff(), 0)):
            try:
                self._credentials.login(attempt, REDIS, login.given)
            except BaseException as error:
                # redis-py disconnects after its own errors only, and would use the socket as if it were
                # logged in.
                connection.disconnect()
                if isinstance(login.retry, _Retry) and isinstance(error, redis.RedisError):
                    raise Final(error) from None
                raise
        _limit(connection)


def client_options(
    provider: Any, secret: Secret, given: dict[str, Any], retry: Callable[..., object]
) -> dict[str, Any]:
    """Return the arguments of a client of one server.

    Args:
        provider: a credential provider with a method ``log_in``.
        secret: names the server.
        given: the caller's own arguments; they override the secret.
        retry: class of the client's retries.

    Returns:
        Arguments by name, including ``given``.

    Raises:
        SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
    """
    return {
        **server_parameters(secret, given),
        "credential_provider": provider,
        "redis_connect_func": functools.partial(provider.log_in, place=place_of(secret)),
        "retry": retry(ExponentialWithJitterBackoff(base=_FIRST_PAUSE, cap=_LONGEST_PAUSE), _RETRIES),
        **given,
    }


class ConnectionLogin:
    """The login of one connection of redis-py's, with any number of attempts.

    Args:
        connection: its socket is open.
        place: keys of the secret that named the server when the client was created.
        given: as for ``RedisCredentials.log_in``.

    Attributes:
        given: names of the parts of the target that the caller decided.
        retry: the connection's own.
    """

    def __init__(self, connection: Any, place: Secret, given: Iterable[str] | None) -> None:
        self._connection, self._place, self._begun = connection, place, False
        self.given = _chosen_by_caller(connection, place) if given is None else frozenset(given)
        self.retry = connection.retry
        self._limits = connection.socket_timeout, connection.socket_connect_timeout

    @contextmanager
    def prepared(self, once: object) -> Iterator[None]:
        """Let redis-py log in without another call of this login; the settings are restored at the end.

        Args:
            once: a retry that repeats nothing. Otherwise redis-py would repeat a rejected login.
        """
        connection = self._connection
        func, provider = connection.redis_connect_func, connection.credential_provider
        connection.redis_connect_func, connection.retry = None, once
        try:
            yield
        finally:
            connection.credential_provider = provider
            connection.redis_connect_func, connection.retry = func, self.retry
            connection.socket_timeout, connection.socket_connect_timeout = self._limits

    def begins(self, attempt: Attempt) -> bool:
        """Give the credential and the time of an attempt to the connection.

        Args:
            attempt: the version to log in with.

        Returns:
            True for the first attempt; any other needs a new socket.

        Raises:
            ConfigurationError: the version is for another server.
        """
        connection, first = self._connection, not self._begun
        require_same(Destination(self.given, REDIS), attempt.secret, self._place)
        connection.credential_provider = redis.UsernamePasswordCredentialProvider(
            *user_and_password(attempt.secret)
        )
        connection.socket_timeout, connection.socket_connect_timeout = (
            min(limit or attempt.seconds, attempt.seconds) for limit in self._limits
        )
        self._begun = True
        return first


class LoggedIn:
    """A connection as a cluster's client sees it: ``on_connect`` logs in, the rest is the connection's.

    Args:
        connection: redis-py's.
        on_connect: logs in on it.
    """

    def __init__(self, connection: Any, on_connect: Callable[[], Any]) -> None:
        self._connection, self.on_connect = connection, on_connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _chosen_by_caller(connection: Any, place: Secret) -> frozenset[str]:
    """Names of the options that were changed before the client was created."""
    chosen = set()
    if getattr(connection, "host", None) != place.get("host"):
        chosen.add("host")
    if getattr(connection, "port", None) != port_of(place, REDIS.port or 0):
        chosen.add("port")
    if isinstance(connection, redis.SSLConnection | redis.asyncio.SSLConnection) != wants_tls(place):
        chosen.add("ssl")
    return frozenset(chosen)


def _limit(connection: Any) -> None:
    """Set the connection's timeout on its open socket; redis-py only does this when it connects."""
    connection._sock.settimeout(connection.socket_timeout)  # noqa: SLF001 - there is no public way


class Final(Exception):
    """Carries an error past redis-py's retries, because the deadline has passed."""

    def __init__(self, error: redis.RedisError) -> None:
        self.error = error


class _Retry(Retry):
    """redis-py's, but a login that `Credentials` gave up is not repeated."""

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call_with_retry(do, *args, **kwargs)
        except Final as final:
            raise final.error from None


def is_asyncio(make: Callable[..., Any]) -> bool:
    """Return True for a client class of redis.asyncio, or a method of one.

    Args:
        make: callable that creates the client.
    """
    kind = getattr(make, "__self__", make)
    return isinstance(kind, type) and issubclass(kind, redis.asyncio.Redis | redis.asyncio.RedisCluster)


def connected(credentials: Credentials, make: Callable[..., C], *args: Any, **kwargs: Any) -> C:
    """Create a client and log in once, for ``Credentials.connect(redis.Redis)``.

    Args:
        credentials: log in.
        make: ``redis.Redis``, ``redis.RedisCluster``, or a subclass of one of them.
        *args: passed to it.
        **kwargs: passed to it; they override the secret.

    Returns:
        The client. It logs in with the credentials whenever it reconnects.

    Raises:
        redis.RedisError: as from a client's first command.
        ConfigurationError: the client is for asyncio.
    """
    if is_asyncio(make):
        raise ConfigurationError(
            "redis.asyncio needs AsyncCredentials", remedy="Use AsyncCredentials.connect."
        )
    provider = RedisCredentials(credentials)
    client: Any
    if isinstance(make, type) and issubclass(make, redis.RedisCluster):
        secret = Secret(credentials.secret())
        log_in = functools.partial(provider.log_in, place=place_of(secret), given=frozenset(kwargs))
        options = {**server_parameters(secret, kwargs), "credential_provider": provider, **kwargs}
        client = _clustered(make, log_in)(*args, **options)
    else:
        client = make(*args, **provider.options(**kwargs))
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    made: C = client
    return made


def _clustered(make: Any, log_in: Callable[[Any], None]) -> Any:
    """Return a subclass of redis-py's client for clusters that logs in by a function."""

    class Cluster(make):  # type: ignore[misc] # of any class
        def on_connect(self, connection: Any) -> None:
            super().on_connect(LoggedIn(connection, lambda: log_in(connection)))

    return Cluster
