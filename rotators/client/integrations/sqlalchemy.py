"""SQLAlchemy: `Credentials` makes the connections of an engine.

    engine = sqlalchemy.create_engine("postgresql+psycopg://")
    attach(engine, credentials)

The URL needs no host, user or password; its host, port and database override the secret's. When the pool is
about to return a connection whose version is retired, that connection and all idle ones are replaced. A
connection in a transaction is never interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exc

from rotators.client._call import CREDENTIALS
from rotators.client._credentials import Credentials
from rotators.client._drivers import driver_of_dialect
from rotators.client.integrations import require_kind
from rotators.core.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

    from rotators.client._flow import Attempt

__all__ = ["attach"]

_VERSION, _NEW = "rotators_version", "rotators_new"


def attach(engine: Engine, credentials: Credentials) -> None:
    """Make an engine's connections rotation-aware; call it once, before the first connection.

    Args:
        engine: engine with a synchronous driver (psycopg, PyMySQL, others with PEP 249's argument names). An
            asynchronous engine gets an ``async_creator`` instead (docs/how-to/clients.md).
        credentials: log in.

    Raises:
        ConfigurationError: the engine is asynchronous, or a ``sync_engine``: logins would block the loop.
        InvalidInput: the credentials are not `Credentials`.
    """
    require_kind(credentials, Credentials)
    if engine.dialect.is_async:
        raise ConfigurationError(
            "the engine is asynchronous, and attach() would block its event loop",
            remedy="Give create_async_engine() an async_creator that calls AsyncCredentials.connect"
            " (docs/how-to/clients.md, SQLAlchemy).",
        )

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
    ) -> Any:
        driver = driver_of_dialect(dialect.driver)
        given = {name: value for name, value in cparams.items() if name not in CREDENTIALS}

        def login(attempt: Attempt) -> Any:
            connection = dialect.connect(*cargs, **driver.arguments(attempt.secret, attempt.seconds, given))
            driver.settle(connection, given)
            record.info.update({_VERSION: attempt.version, _NEW: True})
            return connection

        return credentials.login(login, driver, given)

    @event.listens_for(engine, "connect")
    def connected(_connection: Any, record: ConnectionPoolEntry) -> None:
        if _NEW not in record.info:
            raise ConfigurationError(
                "the engine creates its connections with its own creator or pool, not with the credentials",
                remedy="Omit creator= and pool= in create_engine().",
            )

    @event.listens_for(engine, "checkout")
    def checkout(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        # A connection made just now is returned even if retired: SQLAlchemy gives up after three of them.
        new, version = record.info.pop(_NEW, False), record.info.get(_VERSION)
        if not new and credentials.retired(version):
            credentials.note("retired", version)
            raise exc.InvalidatePoolError("the connection's credentials are retired")
