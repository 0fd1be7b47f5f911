"""The private servers that the crash matrix runs on, and the kit's target for each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.testing.target import Target


def _postgres() -> tuple[Any, type[Any]]:
    from rotators.local.servers.postgres import PostgresServer, find_binaries  # noqa: PLC0415 - one engine at a time
    from rotators.testing.targets.postgres import PostgresTarget  # noqa: PLC0415

    find_binaries()
    # Without TLS, which no crash has to do with, to spend the time on more points.
    hba = ["host all all 127.0.0.1/32 scram-sha-256"]
    return PostgresServer(settings={"ssl": "off"}, hba=hba), PostgresTarget


def _mariadb() -> tuple[Any, type[Any]]:
    from rotators.local.servers.mariadb import MariaDbServer, find_mariadb  # noqa: PLC0415 - the same
    from rotators.testing.targets.mysql import MariaDbTarget  # noqa: PLC0415

    find_mariadb()
    return MariaDbServer(tls=False, settings={"ssl": "0"}), MariaDbTarget


def _mysql() -> tuple[Any, type[Any]]:
    from rotators.local.servers.mysql import MySqlServer, find_mysql  # noqa: PLC0415 - the same
    from rotators.testing.targets.mysql import MySqlTarget  # noqa: PLC0415

    find_mysql()
    return MySqlServer(), MySqlTarget


SERVERS: dict[str, Callable[[], tuple[Any, type[Any]]]] = {
    "postgres": _postgres,
    "mariadb": _mariadb,
    "mysql": _mysql,
}
"""Engine to what gives a server that is not started yet, and the class of its target.

Each raises ServerNotFound when the server is not on this machine.
"""


@contextmanager
def running(engine: str) -> Iterator[Target]:
    """Start a private server for the time of the block; gives the kit's target on it.

    Args:
        engine: a key of SERVERS.

    Raises:
        ServerNotFound, ServerStartFailed: there is none, or it does not come up.
    """
    server, kind = SERVERS[engine]()
    with server:
        target = kind(server)
        try:
            yield target
        finally:
            target.close()
