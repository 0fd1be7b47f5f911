"""redis-py: every connection of a client logs in with what works now.

    provider = RedisCredentials(credentials)
    client = redis.Redis(**provider.options())

redis-py asks a credential provider for user and password, and does not tell it what came of them. Its
``redis_connect_func`` does the login instead, so that a rejected one is made again, on the same socket.

The server is the one in the secret when the client is made; a client for a new address is a new client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import redis

from rotators.client.drivers import REDIS, redis_target
from rotators.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.client.credentials import Attempt, Credentials

C = TypeVar("C")


class RedisCredentials(redis.CredentialProvider):
    """A credential provider for `redis.Redis`.

    Args:
        credentials: whose user and password are given.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def options(self) -> dict[str, Any]:
        """The arguments of `redis.Redis`: server, TLS, and who logs in. No password is among them.

        Raises:
            StoreError: the secret cannot be read, and is not in memory.
        """
        return {
            **redis_target(Secret(self._credentials.secret())),
            "credential_provider": self,
            "redis_connect_func": self.log_in,
        }

    def get_credentials(self) -> tuple[str, str]:
        """User and password that would be tried first now. Clear text.

        Raises:
            StoreError: the secret cannot be read, and is not in memory.
        """
        return _pair(Secret(self._credentials.secret()))

    def log_in(self, connection: Any) -> None:
        """What redis-py calls with each new connection of its own: log in, and set it up.

        Raises:
            redis.AuthenticationError: no stored version was accepted.
            CredentialsRejected, StoreError: as ``Credentials.login``.
        """

        def attempt(given: Attempt) -> None:
            connection.credential_provider = redis.UsernamePasswordCredentialProvider(*_pair(given.secret))
            connection.on_connect()

        self._credentials.login(attempt, REDIS)
        connection.credential_provider = self


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
    client: Any = make(*args, **{**RedisCredentials(credentials).options(), **kwargs})
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    made: C = client
    return made


def _pair(secret: Secret) -> tuple[str, str]:
    return secret.text("username", "default"), secret.text("password")
