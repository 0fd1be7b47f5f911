"""The shipped suites, passed on MariaDB by single, alternating and dual; on MySQL where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from rotators.core.errors import ServerNotFound
from rotators.local.mariadb import MariaDbServer
from rotators.local.mysql import MySqlServer
from rotators.testing.contract import RotatorContractV1
from rotators.testing.crash import Plan
from rotators.testing.crashes import RotatorCrashesV1
from rotators.testing.mysql import MariaDbTarget, MySqlTarget
from rotators.testing.races import RotatorRacesV1


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySqlServer]:
    """A private MySQL, where MYSQL_BIN or the system has one; Debian's packages have none."""
    try:
        running = MySqlServer().start()
    except ServerNotFound as error:
        pytest.skip(str(error))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def impatient_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter deadlines of the product: their real lengths are tested in tests/mysql/test_logins.py."""
    monkeypatch.setattr("rotators.families.mysql_connection.SESSION_SECONDS", 1.0)
    monkeypatch.setattr("rotators.families.mysql_connection.CONNECT_SECONDS", 2.0)


@pytest.fixture(scope="module")
def maria_target(maria: MariaDbServer) -> Iterator[MariaDbTarget]:
    target = MariaDbTarget(maria)
    yield target
    target.close()


@pytest.fixture(scope="module")
def mysql_target(mysql: MySqlServer) -> Iterator[MySqlTarget]:
    target = MySqlTarget(mysql)
    yield target
    target.close()


class OnMariaDb:
    @pytest.fixture
    def target(self, maria_target: MariaDbTarget) -> MariaDbTarget:
        return maria_target


class OnMySql:
    @pytest.fixture
    def target(self, mysql_target: MySqlTarget) -> MySqlTarget:
        return mysql_target


class TestSingle(OnMariaDb, RotatorContractV1, RotatorRacesV1):
    strategy = "single"
    timeout = 4.0


class TestSingleWithAdmin(OnMariaDb, RotatorContractV1):
    strategy = "single"
    with_admin = True
    timeout = 4.0


class TestAlternating(OnMariaDb, RotatorContractV1, RotatorRacesV1):
    strategy = "alternating"
    with_admin = True
    timeout = 4.0


class TestDual(OnMariaDb, RotatorContractV1, RotatorRacesV1):
    strategy = "dual"
    with_admin = True
    timeout = 4.0


class TestAlternatingTwin(OnMariaDb, RotatorCrashesV1):
    """Stops while the twin is made, in this process; the processes die in `rotators matrix`."""

    strategy = "alternating"
    with_admin = True
    kill = False
    plan: ClassVar[Plan] = Plan(starts=[0], every=9)


class TestMySqlSingle(OnMySql, TestSingle):
    pass


class TestMySqlAlternating(OnMySql, TestAlternating):
    pass


class TestMySqlDual(OnMySql, TestDual):
    pass
