"""psycopg and psycopg_pool: connections that know the version they were made with.

    pool = psycopg_pool.ConnectionPool(**pool_options(credentials), min_size=4)

Each new connection is made by `Credentials`. When the pool is about to hand one out whose version is retired,
it closes that, and all that are idle with it, and makes others: between transactions, never in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import psycopg

from rotators.client.aio import AsyncCredentials
from rotators.client.arguments import require_kind
from rotators.client.calls import checked
from rotators.client.credentials import Credentials
from rotators.engines.postgres.driver import PSYCOPG

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.client.messages import Attempt


def pool_options(
    credentials: Credentials, base: type[psycopg.Connection[Any]] = psycopg.Connection
) -> dict[str, Any]:
    """The arguments of `psycopg_pool.ConnectionPool` that make its connections rotation-aware.

    Args:
        credentials: who logs in.
        base: the class of connection to build on.

    Returns:
        ``connection_class`` and ``check``. With a ``check`` of your own, call this one in it.

    Raises:
        InvalidInput: the credentials are not `Credentials`.
    """
    require_kind(credentials, Credentials)

    class RotatingConnection(base):  # type: ignore[misc,valid-type] # mypy takes no variable for a base
        """A connection with the id of the version that it was made with."""

        rotators_version: str | None = None

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            kwargs = checked(PSYCOPG, super().connect, (conninfo,), kwargs).given

            def login(attempt: Attempt) -> Any:
                given = PSYCOPG.arguments(attempt.secret, attempt.seconds, kwargs)
                connection = super(RotatingConnection, cls).connect(**given)
                connection.rotators_version = attempt.version
                return connection

            made: Self = credentials.login(login, PSYCOPG, kwargs)
            return made

    drained: str | None = None

    def check(connection: RotatingConnection) -> None:
        nonlocal drained
        version = connection.rotators_version
        if credentials.retired(version):
            credentials.shared.note("retired", version)
            # Closed, or the pool would hand it out again.
            connection.close()
            if version != drained and (drain := _drain_of(connection)):
                drained = version
                drain()
            raise psycopg.OperationalError("the connection's credentials are retired")

    return {"connection_class": RotatingConnection, "check": check}


def async_pool_options(
    credentials: AsyncCredentials, base: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection
) -> dict[str, Any]:
    """The same for `psycopg_pool.AsyncConnectionPool`, with `AsyncCredentials`."""
    require_kind(credentials, AsyncCredentials)

    class RotatingConnection(base):  # type: ignore[misc,valid-type] # as above
        """A connection with the id of the version that it was made with."""

        rotators_version: str | None = None

        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            kwargs = checked(PSYCOPG, super().connect, (conninfo,), kwargs).given

            async def login(attempt: Attempt) -> Any:
                given = PSYCOPG.arguments(attempt.secret, attempt.seconds, kwargs)
                connection = await super(RotatingConnection, cls).connect(**given)
                connection.rotators_version = attempt.version
                return connection

            made: Self = await credentials.login(login, PSYCOPG, kwargs)
            return made

    drained: str | None = None

    async def check(connection: RotatingConnection) -> None:
        nonlocal drained
        version = connection.rotators_version
        if await credentials.retired(version):
            credentials.shared.note("retired", version)
            await connection.close()
            if version != drained and (drain := _drain_of(connection)):
                drained = version
                await drain()
            raise psycopg.OperationalError("the connection's credentials are retired")

    return {"connection_class": RotatingConnection, "check": check}


def _drain_of(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> Callable[[], Any] | None:
    """What renews all of a connection's pool, where psycopg_pool has that (from 3.3).

    After each connection that fails its check the pool waits, longer each time (1 s, 2 s, 4 s …), so a caller
    who met one retired connection after the other would run out of time.
    """
    drain: Callable[[], Any] | None = getattr(getattr(connection, "_pool", None), "drain", None)
    return drain
