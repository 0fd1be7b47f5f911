from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.mysql import MySqlServer
from rotators.local.servers.postgres import PostgresServer
from rotators.testing.targets.mysql import MariaDbTarget, MySqlTarget
from rotators.testing.targets.postgres import PostgresTarget


@pytest.fixture(scope="module")
def target(server: PostgresServer) -> Iterator[PostgresTarget]:
    """Users of the server that records all, so that what the kit does is searched for passwords too."""
    target = PostgresTarget(server)
    yield target
    target.close()


@pytest.fixture(scope="module")
def maria_target(maria: MariaDbServer) -> Iterator[MariaDbTarget]:
    """Users of the MariaDB that records all."""
    target = MariaDbTarget(maria)
    yield target
    target.close()


@pytest.fixture(scope="module")
def mysql_target(mysql: MySqlServer) -> Iterator[MySqlTarget]:
    """Users of the MySQL, where there is one."""
    target = MySqlTarget(mysql)
    yield target
    target.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter deadlines of the product: their real lengths are tested in tests/postgres/test_logins.py."""
    monkeypatch.setattr("rotators.engines.postgres.session.SESSION_SECONDS", 1.0)
    monkeypatch.setattr("rotators.engines.postgres.session.CONNECT_SECONDS", 2.0)


@pytest.fixture
def impatient_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same: their real lengths are tested in tests/mysql/test_logins.py."""
    monkeypatch.setattr("rotators.engines.mysql.connection.SESSION_SECONDS", 1.0)
    monkeypatch.setattr("rotators.engines.mysql.connection.CONNECT_SECONDS", 2.0)
