"""redis-py's clients for asyncio: every connection logs in with a version that works now.

    provider = AsyncRedisCredentials(credentials)
    client = redis.asyncio.Redis(**await provider.options())

``AsyncCredentials.connect`` creates such a client, or one of a cluster, and logs in at once. See
``rotators.client.integrations.redis``, which has the rules.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rotators.client._aio import AsyncCredentials
from rotators.client._flow import Attempt
from rotators.client.integrations import place_of, require_kind
from rotators.client.integrations.redis import (
    ConnectionLogin,
    Final,
    LoggedIn,
    client_options,
    is_asyncio,
)
from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret
from rotators.engines.redis.driver import REDIS, server_parameters, user_and_password

__all__ = ["AsyncRedisCredentials"]


class AsyncRedisCredentials(redis.CredentialProvider):
    """A credential provider for `redis.asyncio.Redis`.

    Args:
        credentials: log in.

    Raises:
        InvalidInput: the credentials are not `AsyncCredentials`.
    """

    def __init__(self, credentials: AsyncCredentials) -> None:
        require_kind(credentials, AsyncCredentials)
        self._credentials = credentials

    async def options(self, **given: Any) -> dict[str, Any]:
        """See `RedisCredentials.options`."""
        return client_options(self, Secret(await self._credentials.secret()), given, _Retry)

    async def get_credentials_async(self) -> tuple[str, str]:
        """See `RedisCredentials.get_credentials`."""
        return user_and_password(Secret(await self._credentials.secret()))

    async def log_in(self, connection: Any, place: Secret, given: Iterable[str] | None = None) -> None:
        """See `RedisCredentials.log_in`."""
        login = ConnectionLogin(connection, place, given)

        async def attempt(version: Attempt) -> None:
            if login.begins(version):
                await connection.on_connect()
            else:
                await _drop(connection)
                await connection.connect()

        with login.prepared(Retry(NoBackoff(), 0)):
            try:
                await self._credentials.login(attempt, REDIS, login.given)
            except BaseException as error:
                await _drop(connection)
                if isinstance(login.retry, _Retry) and isinstance(error, redis.RedisError):
                    raise Final(error) from None
                raise


async def _drop(connection: Any) -> None:
    """Close a connection without a login, whether its server answers or not.

    redis-py either waits for the server's part of the end of TLS, or leaves the socket open until it comes.
    """
    if connection.is_connected:
        connection._writer.transport.abort()  # noqa: SLF001 - there is no public way
    await connection.disconnect(nowait=True)


class _Retry(Retry):
    """redis-py's, but a login that `AsyncCredentials` gave up is not repeated."""

    async def call_with_retry(self, do: Callable[[], Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().call_with_retry(do, *args, **kwargs)
        except Final as final:
            raise final.error from None


async def connected(
    credentials: AsyncCredentials, make: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Create a client and log in once, for ``AsyncCredentials.connect(redis.asyncio.Redis)``.

    Args:
        credentials: log in.
        make: ``redis.asyncio.Redis``, ``redis.asyncio.RedisCluster``, or a subclass of one of them.
        *args: passed to it.
        **kwargs: passed to it; they override the secret.

    Returns:
        The client. It logs in with the credentials whenever it reconnects.

    Raises:
        redis.RedisError: as from a client's first command.
        ConfigurationError: the client is for threads.
    """
    if not is_asyncio(make):
        raise ConfigurationError(
            "this client of redis-py is for threads",
            remedy="Use redis.asyncio.Redis, or Credentials in a thread.",
        )
    provider = AsyncRedisCredentials(credentials)
    if isinstance(make, type) and issubclass(make, redis.asyncio.RedisCluster):
        secret = Secret(await credentials.secret())
        log_in = functools.partial(provider.log_in, place=place_of(secret), given=frozenset(kwargs))
        options = {**server_parameters(secret, kwargs), "credential_provider": provider, **kwargs}
        client = _clustered(make, log_in)(*args, **options)
    else:
        client = make(*args, **await provider.options(**kwargs))
    try:
        await client.ping()
    except BaseException:
        await client.aclose()
        raise
    return client


def _clustered(make: Any, log_in: Callable[[Any], Awaitable[None]]) -> Any:
    """Return a subclass of redis-py's client for clusters that logs in by a coroutine function."""

    class Cluster(make):  # type: ignore[misc] # of any class
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            # The class has no argument for it. With reads from replicas, it sets its own on_connect.
            for node in (self, *self.startup_nodes):
                node.connection_kwargs.setdefault("redis_connect_func", log_in)

        async def on_connect(self, connection: Any) -> None:
            await super().on_connect(LoggedIn(connection, lambda: log_in(connection)))

    return Cluster
