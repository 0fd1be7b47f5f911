"""psycopg and psycopg_pool: connections with the id of the version that they logged in with.

    pool = psycopg_pool.ConnectionPool(**pool_options(credentials), min_size=4)

`Credentials` makes each new connection. When the pool is about to return a connection whose version is
retired, that connection and all idle ones are closed and replaced. A connection in a transaction is never
interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import psycopg

from rotators.client._aio import AsyncCredentials
from rotators.client._call import ConnectCall
from rotators.client._credentials import Credentials, CredentialsBase
from rotators.client._flow import Attempt
from rotators.client.integrations import require_kind
from rotators.engines.postgres.driver import PSYCOPG

__all__ = ["async_pool_options", "pool_options"]


def pool_options(
    credentials: Credentials, base: type[psycopg.Connection[Any]] = psycopg.Connection
) -> dict[str, Any]:
    """Return the arguments of `psycopg_pool.ConnectionPool` that make its connections rotation-aware.

    Args:
        credentials: log in.
        base: class of the connections.

    Returns:
        ``connection_class`` and ``check``. If you pass your own ``check``, call this one in it.

    Raises:
        InvalidInput: the credentials are not `Credentials`.
    """
    require_kind(credentials, Credentials)
    retirement = _Retirement(credentials)

    class RotatingConnection(base):  # type: ignore[misc,valid-type] # mypy accepts no variable as a base
        """A connection with the id of the version that it was made with."""

        rotators_version: str | None = None

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            call = ConnectCall.of(PSYCOPG, super().connect, (conninfo,), kwargs)

            def login(attempt: Attempt) -> Any:
                return _marked(call.made(attempt.secret, attempt.seconds), attempt)

            made: Self = credentials.login(login, PSYCOPG, call.given)
            return made

    def check(connection: RotatingConnection) -> None:
        if credentials.retired(connection.rotators_version):
            for close in retirement.actions(connection):
                close()
            raise psycopg.OperationalError(_RETIRED)

    return {"connection_class": RotatingConnection, "check": check}


def async_pool_options(
    credentials: AsyncCredentials, base: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection
) -> dict[str, Any]:
    """Return the arguments of `psycopg_pool.AsyncConnectionPool`, as ``pool_options``.

    Args:
        credentials: log in.
        base: class of the connections.

    Returns:
        Keyword arguments: ``connection_class`` and ``check``.

    Raises:
        InvalidInput: the credentials are not `AsyncCredentials`.
    """
    require_kind(credentials, AsyncCredentials)
    retirement = _Retirement(credentials)

    class RotatingAsyncConnection(base):  # type: ignore[misc,valid-type] # as above
        """A connection with the id of the version that it was made with."""

        rotators_version: str | None = None

        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            call = ConnectCall.of(PSYCOPG, super().connect, (conninfo,), kwargs)

            async def login(attempt: Attempt) -> Any:
                return _marked(await call.made(attempt.secret, attempt.seconds), attempt)

            made: Self = await credentials.login(login, PSYCOPG, call.given)
            return made

    async def check(connection: RotatingAsyncConnection) -> None:
        if await credentials.retired(connection.rotators_version):
            for close in retirement.actions(connection):
                await close()
            raise psycopg.OperationalError(_RETIRED)

    return {"connection_class": RotatingAsyncConnection, "check": check}


_RETIRED = "the connection's credentials are retired"


class _Retirement:
    """Replacement of the connections of one pool."""

    def __init__(self, credentials: CredentialsBase) -> None:
        self._credentials = credentials
        self._drained: str | None = None

    def actions(self, connection: Any) -> Iterator[Callable[[], Any]]:
        """Yield the calls that retire a connection, and the pool's other connections of the same version.

        After each connection that fails its check, the pool pauses (1 s, 2 s, 4 s …), so a caller that gets
        several retired connections would run out of time. From 3.3 on, psycopg_pool can replace all.
        """
        version = connection.rotators_version
        self._credentials.note("retired", version)
        # An open connection would be returned by the pool again.
        yield connection.close
        drain = getattr(getattr(connection, "_pool", None), "drain", None)
        if version != self._drained and drain:
            self._drained = version
            yield drain


def _marked(connection: Any, attempt: Attempt) -> Any:
    connection.rotators_version = attempt.version
    return connection
