"""The shipped suites, passed on MariaDB by single, alternating and dual; on MySQL if it is installed."""

from __future__ import annotations

import pytest

from rotators.testing._targets.mariadb import MariaDbTarget
from rotators.testing._targets.mysql import MySqlTarget
from tests.world import unique

CHANGES = (
    "REVOKE INSERT ON kit.* FROM {}",
    "GRANT SELECT ON zoo.* TO {}",
    "ALTER USER {} REQUIRE NONE",
    "ALTER USER {} WITH MAX_QUERIES_PER_HOUR 7",
    "SET DEFAULT ROLE NONE FOR {}",
    "CREATE USER {clone}",
    "CREATE ROLE {role}",
    "ALTER USER {} IDENTIFIED VIA mysql_native_password USING '' OR mysql_native_password USING ''",
)


@pytest.mark.parametrize("change", CHANGES)
def test_the_footprint_sees_a_change_of_the_account(maria_target: MariaDbTarget, change: str) -> None:
    user, role = maria_target.create(), unique("stray")
    before = maria_target.footprint(user)
    name = user["username"]
    maria_target._execute(change.format(f"'{name}'@'127.%'", clone=f"'{name}_clone'@'%'", role=role))
    assert maria_target.footprint(user) != before
    maria_target.remove(user)
    assert not maria_target._execute("SELECT 1 FROM mysql.user WHERE User IN (%s, %s)", name, role)


@pytest.mark.parametrize("change", [change for change in CHANGES if "DEFAULT" not in change][:4])
def test_the_footprint_on_mysql_sees_it_too(mysql_target: MySqlTarget, change: str) -> None:
    user = mysql_target.create()
    before = mysql_target.footprint(user)
    mysql_target._execute(change.format(f"'{user['username']}'@'127.%'"))
    assert mysql_target.footprint(user) != before
    mysql_target.remove(user)


@pytest.mark.processes
@pytest.mark.parametrize("engine", ["maria_target", "mysql_target"])
def test_footprints_of_equal_credentials_are_equal(request: pytest.FixtureRequest, engine: str) -> None:
    target: MariaDbTarget = request.getfixturevalue(engine)
    one, other = target.create("o'ne`"), target.create()
    first = target.footprint(one)
    target.reset(one)
    assert target.footprint(one) == first == target.footprint(other)
    for row in target._execute("SELECT authentication_string FROM mysql.user WHERE User <> ''"):
        assert not row[0] or str(row[0]) not in str(first)
    target.remove(one)
    target.remove(other)
