"""redis-py: every connection of a client logs in with what works now.

    provider = RedisCredentials(credentials)
    client = redis.Redis(**provider.options())

redis-py asks a credential provider for user and password, and does not tell it what came of them. Its
``redis_connect_func`` does the login instead, so that a rejected one is made again: on a new socket, for
redis-py hangs up when it is rejected.

The server is the one in the secret when the client is made. A version that was stored for another server is
not sent there: after AWSCURRENT has changed its address, make a new client.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from rotators.client.arguments import require_kind
from rotators.client.credentials import Credentials
from rotators.client.target import Destination
from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret
from rotators.engines.redis.driver import REDIS, server_parameters, user_and_password
from rotators.logins.connecting import wants_tls
from rotators.logins.target import TARGET_KEYS, port_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.client.messages import Attempt

C = TypeVar("C")

# Those of redis-py 8.
_RETRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 10, 0.01, 1.0


class RedisCredentials(redis.CredentialProvider):
    """A credential provider for `redis.Redis`.

    Args:
        credentials: whose user and password are given.

    Raises:
        InvalidInput: the credentials are not `Credentials`.
    """

    def __init__(self, credentials: Credentials) -> None:
        require_kind(credentials, Credentials)
        self._credentials = credentials

    def options(self, **given: Any) -> dict[str, Any]:
        """The arguments of `redis.Redis`: server, TLS, and who logs in. No password is among them.

        Args:
            **given: arguments of your own; they win over what the secret says.

        Raises:
            StoreError: the secret cannot be read, and is not in memory.
            SecretFormatError: the secret has no host, and none was passed; or a key is wrong.
        """
        secret = Secret(self._credentials.secret())
        place = Secret({key: secret[key] for key in TARGET_KEYS if key in secret})
        return {
            **server_parameters(secret, given),
            "credential_provider": self,
            "redis_connect_func": functools.partial(self.log_in, place=place),
            "retry": _Retry(ExponentialWithJitterBackoff(base=_FIRST_PAUSE, cap=_LONGEST_PAUSE), _RETRIES),
            **given,
        }

    def get_credentials(self) -> tuple[str, str]:
        """User and password that would be tried first now. Clear text.

        Raises:
            StoreError: the secret cannot be read, and is not in memory.
        """
        return user_and_password(Secret(self._credentials.secret()))

    def log_in(self, connection: Any, place: Secret) -> None:
        """What redis-py calls with each new connection of its own: log in, and set it up.

        Args:
            connection: to the server that the client was made for.
            place: what the secret said of the server then.

        Raises:
            redis.AuthenticationError: no stored version was accepted.
            ConfigurationError: AWSCURRENT is for another server by now; nothing of it was sent.
            CredentialsRejected, TargetRefused, StoreError: as ``Credentials.login``.
        """
        callers = _chosen_by_caller(connection, place)
        destination = Destination.of(REDIS, callers)
        func, retry = connection.redis_connect_func, connection.retry
        limits = connection.socket_timeout, connection.socket_connect_timeout
        # Else the second attempt, which has to connect, would call us again, and be made again by redis-py.
        connection.redis_connect_func, connection.retry = None, Retry(NoBackoff(), 0)
        begun = False

        def attempt(given: Attempt) -> None:
            nonlocal begun
            _require_same(destination, given.secret, place)
            connection.credential_provider = redis.UsernamePasswordCredentialProvider(
                *user_and_password(given.secret)
            )
            connection.socket_timeout, connection.socket_connect_timeout = (
                min(limit or given.seconds, given.seconds) for limit in limits
            )
            if begun:
                connection.disconnect()
                connection.connect()
            else:
                begun = True
                _limit(connection)
                connection.on_connect()

        try:
            self._credentials.login(attempt, REDIS, callers)
        except BaseException as error:
            # redis-py does so for its own errors only, and would use what is open as if it had logged in.
            connection.disconnect()
            if isinstance(retry, _Retry) and isinstance(error, redis.RedisError):
                raise _Final(error) from None
            raise
        finally:
            connection.credential_provider = self
            connection.redis_connect_func, connection.retry = func, retry
            connection.socket_timeout, connection.socket_connect_timeout = limits
        _limit(connection)


def _require_same(destination: Destination, secret: Secret, place: Secret) -> None:
    if not destination.same(secret, place):
        raise ConfigurationError(
            "the secret is for another server than the client",
            remedy="Make a new client with RedisCredentials(…).options(), which has the new address.",
        )


def _chosen_by_caller(connection: Any, place: Secret) -> frozenset[str]:
    """The names of what was changed in the options before the client was made."""
    chosen = set()
    if getattr(connection, "host", None) != place.get("host"):
        chosen.add("host")
    if getattr(connection, "port", None) != port_of(place, REDIS.port or 0):
        chosen.add("port")
    if isinstance(connection, redis.SSLConnection) != wants_tls(place):
        chosen.add("ssl")
    return frozenset(chosen)


def _limit(connection: Any) -> None:
    """Give the open socket the connection's time-out; redis-py does so when it connects only."""
    connection._sock.settimeout(connection.socket_timeout)  # noqa: SLF001 - there is no public way


class _Final(Exception):
    """Carries an error past redis-py's retries: all was tried, and the deadline is over."""

    def __init__(self, error: redis.RedisError) -> None:
        self.error = error


class _Retry(Retry):
    """redis-py's, except that a login that `Credentials` has given up is not begun anew."""

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call_with_retry(do, *args, **kwargs)
        except _Final as final:
            raise final.error from None


def connected(credentials: Credentials, make: Callable[..., C], *args: Any, **kwargs: Any) -> C:
    """A client that has logged in once; what ``Credentials.connect(redis.Redis)`` does.

    Args:
        credentials: whose.
        make: ``redis.Redis`` or a kind of it.
        *args: handed on.
        **kwargs: handed on; they win over what the secret says.

    Raises:
        redis.RedisError: as the first command of a client.
    """
    client: Any = make(*args, **RedisCredentials(credentials).options(**kwargs))
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    made: C = client
    return made
