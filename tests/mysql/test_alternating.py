"""Strategy `alternating` on a real MariaDB: the rights, accounts and marks of clones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique

if TYPE_CHECKING:
    from collections.abc import Callable

Pair = tuple[dict[str, Any], str]


@pytest.fixture
def pair(world: MariaDbWorld) -> Pair:
    user = {**world.account(), "masterarn": world.admin_secret()}
    return user, world.secret(user)


@pytest.fixture
def rich(world: MariaDbWorld) -> dict[str, Any]:
    """A user with rights of every kind, on objects whose names need quoting."""
    name = unique("d%`b")
    database, pattern = "`" + name.replace("`", "``") + "`", "`" + unique("app\\_x") + "%`"
    role, other = unique("ro'le"), unique("other")
    for statement in (
        f"CREATE DATABASE {database}",
        f"CREATE TABLE {database}.`t``x` (a int, b int, c int)",
        f"CREATE PROCEDURE {database}.p() SELECT 1",
        f"CREATE FUNCTION {database}.f() RETURNS int RETURN 1",
        f"CREATE ROLE `{role}`",
        f"CREATE ROLE `{other}`",
        f"GRANT SELECT ON {database}.* TO `{role}`",
    ):
        world.run(statement)
    return world.account(
        host="127.%",
        options="REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 9001 MAX_USER_CONNECTIONS 7 MAX_STATEMENT_TIME 12.5",
        grants=(
            "GRANT PROCESS, SHOW DATABASES ON *.* TO {}",
            f"GRANT SELECT, CREATE TEMPORARY TABLES ON {pattern}.* TO {{}}",
            f"GRANT SELECT (a), INSERT (b, a) ON {database}.`t``x` TO {{}}",
            f"GRANT UPDATE ON {database}.`t``x` TO {{}} WITH GRANT OPTION",
            f"GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE {database}.p TO {{}}",
            f"GRANT EXECUTE ON FUNCTION {database}.f TO {{}} WITH GRANT OPTION",
            f"GRANT `{role}` TO {{}}",
            f"GRANT `{other}` TO {{}} WITH ADMIN OPTION",
            f"SET DEFAULT ROLE `{role}` FOR {{}}",
        ),
    )


def limits(world: MariaDbWorld, name: str) -> list[tuple[Any, ...]]:
    return world.run(
        "SELECT Host, ssl_type, max_questions, max_user_connections, max_statement_time, default_role"
        " FROM mysql.user WHERE User = %s",
        name,
    )


def mark(world: MariaDbWorld, arn: str) -> None:
    """Run the statements of the error, which mark an existing user as the clone."""
    error = world.refusal(arn, "not the clone")
    for statement in error.remedy.split("run: ")[1].split("; else")[0].split("; "):
        world.run(statement)


def test_the_clone_gets_all_rights_roles_and_limits(world: MariaDbWorld, rich: dict[str, Any]) -> None:
    arn = world.secret({**rich, "masterarn": world.admin_secret()})
    clone = world.rotate(arn)["username"]
    wanted = world.grants(rich["username"], "127.%")
    assert len(wanted) == 8
    assert world.grants(clone, "127.%") == wanted
    assert limits(world, clone) == limits(world, rich["username"])
    assert world.ask(world.value(arn), "SELECT CURRENT_ROLE()") == world.ask(rich, "SELECT CURRENT_ROLE()")
    assert limits(world, clone)[0][1] == "ANY"


def test_grants_and_revocations_are_copied_to_the_clone(world: MariaDbWorld, rich: dict[str, Any]) -> None:
    arn = world.secret({**rich, "masterarn": world.admin_secret()})
    world.rotate(arn)
    world.rotate(arn)
    name, clone = world.written(rich["username"], "127.%"), f"{rich['username']}_clone"
    for row in world.run("SELECT Role FROM mysql.roles_mapping WHERE User = %s", rich["username"]):
        world.run(f"REVOKE `{row[0]}` FROM {name}")
    world.run(f"SET DEFAULT ROLE NONE FOR {name}")
    world.run(f"REVOKE ALL, GRANT OPTION FROM {name}")
    world.run(f"GRANT SELECT ON zoo.* TO {name}")
    world.run(f"ALTER USER {name} REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_USER_CONNECTIONS 3")
    world.run(f"GRANT DELETE ON farm.* TO {world.written(clone, '127.%')} WITH GRANT OPTION")
    world.rotate(arn)
    assert world.grants(clone, "127.%") == world.grants(rich["username"], "127.%")
    assert limits(world, clone) == limits(world, rich["username"])


@pytest.mark.parametrize(
    "beginning", ["CREATE OR REPLACE", "GRANT `rotators", "GRANT", "ALTER USER", "SET DEF"]
)
def test_a_clone_stays_locked_until_all_rights_exist(
    world: MariaDbWorld, rich: dict[str, Any], stopped_at: Callable[[str], None], beginning: str
) -> None:
    """After every stop, the clone cannot log in, and the next rotation, with a new token, succeeds."""
    arn = world.secret({**rich, "masterarn": world.admin_secret()})
    token = world.begun(arn)
    stopped_at(beginning)
    with pytest.raises(KeyboardInterrupt):
        world.step("setSecret", arn, token)
    assert not world.logs_in(world.value(arn, "AWSPENDING"))
    assert world.logs_in(rich)
    stopped_at("")
    world.of(arn).drop_pending(token)
    clone = world.rotate(arn)
    assert world.logs_in(clone)
    assert world.grants(clone["username"], "127.%") == world.grants(rich["username"], "127.%")


def test_rights_on_a_dropped_table_allow_rotation(world: MariaDbWorld) -> None:
    table = unique("gone")
    world.run("CREATE DATABASE IF NOT EXISTS shop")
    world.run(f"CREATE TABLE shop.{table} (a int)")
    user = world.account(grants=(f"GRANT SELECT, UPDATE (a) ON shop.{table} TO {{}}",))
    world.run(f"DROP TABLE shop.{table}")
    assert world.logs_in(world.rotate(world.secret({**user, "masterarn": world.admin_secret()})))


def test_the_account_that_logs_in_gets_the_clone(world: MariaDbWorld) -> None:
    user = world.account(host="127.%", grants=("GRANT SELECT ON near.* TO {}",))
    world.account(user["username"], host="%", grants=("GRANT SELECT ON far.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    names = []
    for _ in range(3):
        value = world.rotate(arn)
        names.append(value["username"])
        assert world.logs_in(value)
    clone = f"{user['username']}_clone"
    assert names == [clone, user["username"], clone]
    assert world.run("SELECT Host FROM mysql.user WHERE User = %s", clone) == [("127.%",)]
    assert "near" in str(world.grants(clone, "127.%"))
    assert "far" not in str(world.grants(clone, "127.%"))


def test_a_marked_ready_made_second_user_is_alternated(world: MariaDbWorld) -> None:
    user, second = world.account(), world.account(host="127.%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    mark(world, arn)
    assert world.logs_in(second)
    names = []
    for _ in range(3):
        value = world.rotate(arn)
        assert world.logs_in(value)
        names.append((value["username"], value["alternate_username"]))
    first, other = user["username"], second["username"]
    assert names == [(other, first), (first, other), (other, first)]


def test_a_marked_user_with_extra_rights_is_refused(world: MariaDbWorld) -> None:
    user, second = world.account(), world.account(grants=("GRANT RELOAD ON *.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    mark(world, arn)
    world.refusal(arn, "RELOAD")
    assert world.logs_in(second)


def test_an_anonymous_user_never_gets_a_clone(world: MariaDbWorld) -> None:
    name, password = unique("nobody"), new_password()
    value = {**world.maria.secret(name, password), "masterarn": world.admin_secret()}
    world.run(f"CREATE USER ''@'%' {world.identified(password)}")
    try:
        assert world.logs_in(value)
        world.refusal(world.secret(value), "another user")
        assert not world.exists(f"{name}_clone")
    finally:
        world.run("DROP USER ''@'%'")


def test_the_error_names_the_admins_missing_right(world: MariaDbWorld, pair: Pair) -> None:
    helper = world.account(grants=("GRANT SELECT ON mysql.* TO {}",))
    arn = world.secret(
        {**pair[0], "masterarn": world.admin_secret(username=helper["username"], password=helper["password"])}
    )
    world.refusal(arn, "CREATE USER")


def test_an_admin_without_super_can_rotate(world: MariaDbWorld) -> None:
    """An admin without SUPER. RDS itself was not run, and this admin may still write to mysql.*."""
    world.run("CREATE DATABASE IF NOT EXISTS shop")
    helper = world.account(
        grants=("GRANT SELECT, INSERT, UPDATE, DELETE, RELOAD, CREATE USER ON *.* TO {} WITH GRANT OPTION",)
    )
    user = world.account(grants=("GRANT SELECT, INSERT ON shop.* TO {}",))
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    arn = world.secret({**user, "masterarn": admin})
    for _ in range(3):
        assert world.logs_in(world.rotate(arn))


def test_user_names_are_case_sensitive(world: MariaDbWorld) -> None:
    name = unique("app")
    world.account(name.upper(), grants=("GRANT SELECT ON farm.* TO {}",))
    user = world.account(name, grants=("GRANT SELECT ON zoo.* TO {}",))
    world.rotate(world.secret({**user, "masterarn": world.admin_secret()}))
    assert world.grants(f"{name}_clone") == world.grants(name)
