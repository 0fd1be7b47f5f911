"""Strategy `alternating` on a real MariaDB: the current password works at every instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rotators.core.errors import IdentityMismatch, TargetRefused
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password, unique

if TYPE_CHECKING:
    from collections.abc import Callable

Pair = tuple[dict[str, Any], str]


@pytest.fixture
def pair(world: MariaDbWorld) -> Pair:
    user = {**world.account(), "masterarn": world.admin_secret()}
    return user, world.secret(user)


@pytest.fixture
def rich(world: MariaDbWorld) -> dict[str, Any]:
    """A user with rights of every kind, on names that are hard to write."""
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


def refused(world: MariaDbWorld, arn: str, match: str) -> TargetRefused:
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match=match) as caught:
        world.step("setSecret", arn, token)
    return caught.value


def test_the_users_take_turns_and_the_current_value_logs_in_after_every_step(
    world: MariaDbWorld, pair: Pair
) -> None:
    user, arn = pair
    names = []
    for _ in range(4):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            assert world.logs_in(world.value(arn)), step
        names.append(world.value(arn)["username"])
    original = user["username"]
    assert names == [f"{original}_clone", original] * 2


def test_the_clone_has_all_rights_roles_and_limits_of_the_original(
    world: MariaDbWorld, rich: dict[str, Any]
) -> None:
    arn = world.secret({**rich, "masterarn": world.admin_secret()})
    clone = world.rotate(arn)["username"]
    wanted = world.grants(rich["username"], "127.%")
    assert len(wanted) == 8
    assert world.grants(clone, "127.%") == wanted
    assert limits(world, clone) == limits(world, rich["username"])
    assert world.ask(world.value(arn), "SELECT CURRENT_ROLE()") == world.ask(rich, "SELECT CURRENT_ROLE()")
    assert limits(world, clone)[0][1] == "ANY"


def test_changes_of_the_original_reach_the_clone_also_what_was_revoked(
    world: MariaDbWorld, rich: dict[str, Any]
) -> None:
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
def test_a_clone_cannot_log_in_before_it_has_all_rights_whatever_statement_is_the_last(
    world: MariaDbWorld, rich: dict[str, Any], stopped_at: Callable[[str], None], beginning: str
) -> None:
    """Wherever it stops, the clone is locked out, and the next rotation, with a new token, ends well."""
    arn = world.secret({**rich, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    stopped_at(beginning)
    with pytest.raises(KeyboardInterrupt):
        world.step("setSecret", arn, token)
    assert not world.logs_in(world.value(arn, "AWSPENDING"))
    assert world.logs_in(rich)
    stopped_at("")
    world.drop_pending(arn, token)
    clone = world.rotate(arn)
    assert world.logs_in(clone)
    assert world.grants(clone["username"], "127.%") == world.grants(rich["username"], "127.%")


def test_a_right_on_a_table_that_is_gone_does_not_stop_the_rotation(world: MariaDbWorld) -> None:
    table = unique("gone")
    world.run("CREATE DATABASE IF NOT EXISTS shop")
    world.run(f"CREATE TABLE shop.{table} (a int)")
    user = world.account(grants=(f"GRANT SELECT, UPDATE (a) ON shop.{table} TO {{}}",))
    world.run(f"DROP TABLE shop.{table}")
    assert world.logs_in(world.rotate(world.secret({**user, "masterarn": world.admin_secret()})))


def test_an_existing_stranger_with_the_clones_name_is_refused_and_keeps_its_password(
    world: MariaDbWorld, pair: Pair
) -> None:
    user, arn = pair
    stranger = world.account(f"{user['username']}_clone")
    error = refused(world, arn, "not the clone")
    assert world.logs_in(stranger)
    for statement in error.remedy.split("run: ")[1].split("; else")[0].split("; "):
        world.run(statement)
    assert world.rotate(arn)["username"] == stranger["username"]


def test_cutting_the_suffix_off_does_not_reset_an_unrelated_user(world: MariaDbWorld) -> None:
    victim = world.account()
    user = world.account(f"{victim['username']}_clone")
    refused(world, world.secret({**user, "masterarn": world.admin_secret()}), "not the clone")
    assert world.logs_in(victim)
    assert world.logs_in(user)


def test_of_two_accounts_with_one_name_the_one_that_logs_in_gets_the_clone(world: MariaDbWorld) -> None:
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


def test_a_ready_made_second_user_takes_turns_once_it_is_marked(world: MariaDbWorld) -> None:
    user, second = world.account(), world.account(host="127.%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    error = refused(world, arn, "not the clone")
    assert world.logs_in(second)
    for statement in error.remedy.split("run: ")[1].split("; else")[0].split("; "):
        world.run(statement)
    names = []
    for _ in range(3):
        value = world.rotate(arn)
        assert world.logs_in(value)
        names.append((value["username"], value["alternate_username"]))
    first, other = user["username"], second["username"]
    assert names == [(other, first), (first, other), (other, first)]


def test_a_marked_user_with_rights_of_its_own_is_no_ready_made_clone(world: MariaDbWorld) -> None:
    user, second = world.account(), world.account(grants=("GRANT RELOAD ON *.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    error = refused(world, arn, "not the clone")
    for statement in error.remedy.split("run: ")[1].split("; else")[0].split("; "):
        world.run(statement)
    refused(world, arn, "RELOAD")
    assert world.logs_in(second)


def test_an_admin_of_another_target_is_refused_before_any_login(world: MariaDbWorld) -> None:
    arn = world.secret({**world.account(), "masterarn": world.admin_secret(port=1)})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    logins = world.logins()
    with pytest.raises(IdentityMismatch, match="masterarn"):
        world.step("setSecret", arn, token)
    assert world.logins() == logins


def test_an_anonymous_user_that_took_the_login_gets_no_clone(world: MariaDbWorld) -> None:
    name, password = unique("nobody"), new_password()
    value = {**world.maria.secret(name, password), "masterarn": world.admin_secret()}
    world.run(f"CREATE USER ''@'%' {world.identified(password)}")
    try:
        assert world.logs_in(value)
        refused(world, world.secret(value), "another user")
        assert not world.exists(f"{name}_clone")
    finally:
        world.run("DROP USER ''@'%'")


def test_a_broken_current_password_is_healed_by_the_admin(world: MariaDbWorld, pair: Pair) -> None:
    user, arn = pair
    world.reset(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_an_administrator_that_cannot_log_in_gets_no_clone(world: MariaDbWorld) -> None:
    victim = world.account(grants=("GRANT ALL ON *.* TO {} WITH GRANT OPTION",))
    arn = world.secret({**victim, "password": new_password(), "masterarn": world.admin_secret()})
    refused(world, arn, "administrator")
    assert not world.exists(f"{victim['username']}_clone")


def test_an_admin_without_the_rights_is_told_what_it_lacks(world: MariaDbWorld, pair: Pair) -> None:
    helper = world.account(grants=("GRANT SELECT ON mysql.* TO {}",))
    arn = world.secret(
        {**pair[0], "masterarn": world.admin_secret(username=helper["username"], password=helper["password"])}
    )
    refused(world, arn, "CREATE USER")


def test_an_admin_with_a_managed_services_rights_can_rotate(world: MariaDbWorld) -> None:
    """Not SUPER; RDS itself was not run, and this admin may still write to mysql.*."""
    world.run("CREATE DATABASE IF NOT EXISTS shop")
    helper = world.account(
        grants=("GRANT SELECT, INSERT, UPDATE, DELETE, RELOAD, CREATE USER ON *.* TO {} WITH GRANT OPTION",)
    )
    user = world.account(grants=("GRANT SELECT, INSERT ON shop.* TO {}",))
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    arn = world.secret({**user, "masterarn": admin})
    for _ in range(3):
        assert world.logs_in(world.rotate(arn))


def test_a_rotation_takes_three_logins(world: MariaDbWorld, pair: Pair) -> None:
    world.rotate(pair[1])
    before = world.logins()
    world.rotate(pair[1])
    assert world.logins() - before == 3
