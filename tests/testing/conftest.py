from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.mysql import MySqlServer
from rotators.local.servers.postgres import PostgresServer
from rotators.testing._targets.mariadb import MariaDbTarget
from rotators.testing._targets.mysql import MySqlTarget
from rotators.testing._targets.postgres import PostgresTarget


@pytest.fixture(scope="module")
def target(server: PostgresServer) -> Iterator[PostgresTarget]:
    """Users of the server that logs everything, so that the kit's traces are searched for passwords too."""
    target = PostgresTarget(server)
    yield target
    target.close()


@pytest.fixture(scope="module")
def maria_target(maria: MariaDbServer) -> Iterator[MariaDbTarget]:
    """Users of the MariaDB that logs everything."""
    target = MariaDbTarget(maria)
    yield target
    target.close()


@pytest.fixture(scope="module")
def mysql_target(mysql: MySqlServer) -> Iterator[MySqlTarget]:
    """Users of the MySQL, if it is installed."""
    target = MySqlTarget(mysql)
    yield target
    target.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter deadlines of the product. tests/engines/test_logins.py uses the real deadlines."""
    monkeypatch.setattr("rotators.engines.postgres.session.SESSION_SECONDS", 2.5)
    monkeypatch.setattr("rotators.engines.postgres.session.CONNECT_SECONDS", 2.5)
