"""Strategy `alternating` on a real PostgreSQL: the current password works at every instant."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, SecretFormatError, TargetRefused
from tests.world import STEPS, World, new_password, unique


@pytest.fixture
def pair(world: World) -> tuple[dict[str, Any], str]:
    """A user with an admin behind it, and the secret's ARN."""
    user = {**world.user(), "masterarn": world.admin_secret()}
    return user, world.secret(user)


def test_the_users_take_turns_and_the_current_value_logs_in_after_every_step(
    world: World, pair: tuple[dict[str, Any], str]
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


def test_the_previous_value_still_logs_in_after_a_rotation(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    world.rotate(arn)
    assert world.logs_in(user)


def test_the_clone_has_the_attributes_and_settings_of_the_original(world: World) -> None:
    user = world.user(options="CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2031-02-03 04:05:06+00'")
    name = user["username"]
    world.sql(f'ALTER ROLE "{name}" SET search_path = \'a b\', "$user", public')
    world.sql(f"ALTER ROLE \"{name}\" SET statement_timeout = '12s'")
    world.sql(f"ALTER ROLE \"{name}\" IN DATABASE postgres SET work_mem = '8MB'")
    world.sql(f"ALTER ROLE \"{name}\" IN DATABASE template1 SET work_mem = '9MB'")
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    clone = world.rotate(arn)
    assert world.role(clone["username"]) == world.role(name)
    with world.login(clone) as connection:
        shown = [
            connection.execute(f"SHOW {setting}").fetchone()
            for setting in ("search_path", "statement_timeout", "work_mem")
        ]
    assert shown == [('"a b", "$user", public',), ("12s",), ("8MB",)]


def test_changes_of_the_original_reach_the_clone_with_the_next_rotation(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    world.rotate(arn)
    world.rotate(arn)
    world.sql(f'ALTER ROLE "{user["username"]}" CREATEDB CONNECTION LIMIT 3')
    world.sql(f"ALTER ROLE \"{user['username']}\" SET lock_timeout = '3s'")
    world.sql(f"ALTER ROLE \"{user['username']}_clone\" SET work_mem = '1MB'")
    world.rotate(arn)
    assert world.role(f"{user['username']}_clone") == world.role(user["username"])


def test_what_the_clone_creates_belongs_to_the_original_and_stays_readable(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    table = unique("table")
    world.sql(f'GRANT CREATE ON SCHEMA public TO "{user["username"]}"')
    with world.login(world.rotate(arn)) as clone:
        clone.execute(f"CREATE TABLE public.{table} (x int)")
        clone.execute(f"INSERT INTO public.{table} VALUES (1)")
    with world.login(world.rotate(arn)) as original:
        assert original.execute(f"SELECT x FROM public.{table}").fetchall() == [(1,)]
        original.execute(f"DROP TABLE public.{table}")


def test_an_existing_stranger_with_the_clones_name_is_refused_and_keeps_its_password(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    stranger = world.user(f"{user['username']}_clone")
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="not the clone"):
        world.step("setSecret", arn, token)
    assert world.logs_in(stranger)


def test_cutting_the_suffix_off_does_not_reset_an_unrelated_user(world: World) -> None:
    victim = world.user()
    user = world.user(f"{victim['username']}_clone")
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="not the clone"):
        world.step("setSecret", arn, token)
    assert world.logs_in(victim)
    assert world.logs_in(user)


def test_a_member_with_rights_of_its_own_is_no_clone(world: World) -> None:
    user, colleague = world.user(), world.user(options="CREATEROLE")
    world.sql(f'GRANT "{user["username"]}" TO "{colleague["username"]}"')
    arn = world.secret(
        {**user, "masterarn": world.admin_secret(), "alternate_username": colleague["username"]}
    )
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="CREATEROLE"):
        world.step("setSecret", arn, token)
    assert world.logs_in(colleague)


def test_a_clone_made_by_awss_function_is_taken_over(world: World, pair: tuple[dict[str, Any], str]) -> None:
    user, arn = pair
    clone = world.user(f"{user['username']}_clone")
    world.sql(f'GRANT "{user["username"]}" TO "{clone["username"]}"')
    assert world.rotate(arn)["username"] == clone["username"]
    assert world.logs_in(world.value(arn))


def test_a_ready_made_second_user_takes_turns_and_is_left_as_it_is(world: World) -> None:
    user, second = world.user(), world.user(options="CONNECTION LIMIT 4")
    world.sql(f'GRANT "{user["username"]}" TO "{second["username"]}"')
    before = world.role(second["username"])
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    names = []
    for _ in range(3):
        value = world.rotate(arn)
        assert world.logs_in(value)
        names.append((value["username"], value["alternate_username"]))
    first, other = user["username"], second["username"]
    assert names == [(other, first), (first, other), (other, first)]
    assert world.role(other) == before


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "stranger"])
def test_a_ready_made_user_that_is_not_proven_is_refused(world: World, missing: bool) -> None:
    user = world.user()
    second = {"username": unique("nobody")} if missing else world.user()
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused):
        world.step("setSecret", arn, token)
    assert missing or world.logs_in(second)


def test_a_name_that_grows_too_long_is_refused_with_a_way_out(world: World) -> None:
    arn = world.secret({**world.user(unique("x" * 40).ljust(60, "y")), "masterarn": world.admin_secret()})
    token = world.begin(arn)
    with pytest.raises(SecretFormatError, match=r"_clone appended would exceed 63.*alternate_username"):
        world.step("createSecret", arn, token)


@pytest.mark.parametrize(("key", "value"), [("host", "127.0.0.1"), ("port", 1), ("engine", "mysql")])
def test_an_admin_of_another_target_is_refused_before_any_login(
    world: World, key: str, value: object
) -> None:
    arn = world.secret({**world.user(), "masterarn": world.admin_secret(**{key: value})})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    logins = world.logins()
    with pytest.raises(IdentityMismatch, match="masterarn"):
        world.step("setSecret", arn, token)
    assert world.logins() == logins


def test_the_admin_itself_is_not_rotated_through_itself(world: World) -> None:
    admin = world.admin()
    arn = world.secret({**admin, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(IdentityMismatch, match="user that is being rotated"):
        world.step("setSecret", arn, token)


def test_an_admin_whose_password_is_wrong_is_a_rejection(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    arn = world.secret({**pair[0], "masterarn": world.admin_secret(password=new_password())})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(CredentialsRejected, match="postgres"):
        world.step("setSecret", arn, token)


def test_a_broken_current_password_is_healed_by_the_admin(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    world.set_password(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_an_administrator_that_cannot_log_in_gets_no_clone(world: World) -> None:
    victim = world.user(options="SUPERUSER")
    arn = world.secret({**victim, "password": new_password(), "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="administrator"):
        world.step("setSecret", arn, token)
    assert not world.exists(f"{victim['username']}_clone")


def test_an_admin_without_createrole_is_told_what_it_lacks(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    helper = world.user()
    arn = world.secret(
        {**pair[0], "masterarn": world.admin_secret(username=helper["username"], password=helper["password"])}
    )
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="CREATEROLE"):
        world.step("setSecret", arn, token)


def test_an_admin_that_is_no_superuser_can_rotate(world: World) -> None:
    """As on RDS: CREATEROLE, and from PostgreSQL 16 on the ADMIN OPTION of the users that it made."""
    helper = world.user(options="CREATEROLE")
    name, password = unique("app"), new_password()
    with world.login(helper) as connection:
        world.create_user(name, password, connection=connection)
    user = {**helper, "username": name, "password": password}
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    arn = world.secret({**user, "masterarn": admin})
    for _ in range(3):
        assert world.logs_in(world.rotate(arn))


def test_a_hostile_search_path_of_the_database_does_not_run_as_the_admin(world: World) -> None:
    """A database's owner may plant operators and put their schema first; an admin must not meet them."""
    user = world.user()
    name = user["username"]
    database, trap = unique("db"), unique("trap")
    world.sql(f'CREATE DATABASE {database} OWNER "{name}"')
    user = {**user, "dbname": database}
    with world.login(user) as owner:
        owner.execute(f"CREATE SCHEMA {trap}")
        owner.execute(
            f"CREATE FUNCTION {trap}.eq(pg_catalog.name, pg_catalog.text) RETURNS bool LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''trapped''; END'"
        )
        owner.execute(
            f"CREATE OPERATOR {trap}.= (LEFTARG = pg_catalog.name, RIGHTARG = pg_catalog.text,"
            f" FUNCTION = {trap}.eq)"
        )
        owner.execute(f"ALTER DATABASE {database} SET search_path = {trap}, pg_catalog")
    arn = world.secret({**user, "masterarn": world.admin_secret(dbname=database)})
    assert world.logs_in(world.rotate(arn))


def test_somebody_who_is_a_member_of_the_user_and_has_rights_by_name_is_no_clone(world: World) -> None:
    """People are made members of an application's role; who writes its secret must not get their login."""
    user, alice = world.user(), world.user()
    table = unique("payroll")
    world.sql(f"CREATE TABLE public.{table} (x int)")
    world.sql(f'GRANT SELECT ON public.{table} TO "{alice["username"]}"')
    world.sql(f'GRANT "{user["username"]}" TO "{alice["username"]}"')
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": alice["username"]})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="may be somebody") as caught:
        world.step("setSecret", arn, token)
    assert "COMMENT ON ROLE" in caught.value.remedy
    assert world.logs_in(alice)
    world.sql(f"COMMENT ON ROLE \"{alice['username']}\" IS 'clone of {user['username']}'")
    world.step("setSecret", arn, token)
    world.step("testSecret", arn, token)


def test_a_membership_the_other_way_round_makes_no_clone(world: World) -> None:
    user = world.user()
    clone = world.user(f"{user['username']}_clone")
    world.sql(f'GRANT "{clone["username"]}" TO "{user["username"]}"')
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="not the clone"):
        world.step("setSecret", arn, token)


@pytest.mark.parametrize("which", ["", "_clone"])
def test_nobodys_right_to_log_in_is_given_back(
    world: World, pair: tuple[dict[str, Any], str], which: str
) -> None:
    user, arn = pair
    world.rotate(arn)
    if not which:
        world.rotate(arn)
        world.rotate(arn)
    name = user["username"] if not which else f"{user['username']}_clone"
    if which:
        world.rotate(arn)
    world.sql(f'ALTER ROLE "{name}" NOLOGIN')
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="may not log in"):
        world.step("setSecret", arn, token)


def test_a_clone_that_cannot_act_as_the_original_is_not_promoted(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    world.rotate(arn)
    world.rotate(arn)
    before = world.value(arn)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.step("setSecret", arn, token)
    world.sql(f'REVOKE "{user["username"]}" FROM "{user["username"]}_clone"')
    with pytest.raises(TargetRefused, match="cannot act as"):
        world.step("testSecret", arn, token)
    assert world.value(arn) == before


def test_a_current_user_whose_role_setting_is_broken_does_not_stop_the_rotation(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    """The server only warns at its login, and the admin mends the clone when its turn comes."""
    user, arn = pair
    clone, stranger = world.rotate(arn)["username"], world.user()["username"]
    world.sql(f'ALTER ROLE "{clone}" SET role = "{stranger}"')
    assert world.rotate(arn)["username"] == user["username"]
    assert world.rotate(arn)["username"] == clone


@pytest.mark.parametrize("setting", ["search_path", "empty", "capitals"])
def test_lists_are_copied_as_the_server_reads_them(world: World, setting: str) -> None:
    user = world.user()
    name = user["username"]
    if setting == "search_path":
        world.sql(f"ALTER ROLE \"{name}\" SET search_path = 'we\"ird', 'with, comma', ''")
    elif setting == "empty":
        world.sql(
            f"DO $$ BEGIN PERFORM set_config('search_path', '', false); EXECUTE 'ALTER ROLE \"{name}\" SET"
            " search_path FROM CURRENT'; END $$"
        )
    else:
        world.sql(
            f"DO $$ BEGIN PERFORM set_config('search_path', 'Foo, Bar', false);"
            f" EXECUTE 'ALTER ROLE \"{name}\" SET search_path FROM CURRENT'; END $$"
        )
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    clone = world.rotate(arn)
    schemas = []
    for value in (user, clone):
        with world.login(value) as connection:
            schemas.append(connection.execute("SELECT current_setting('search_path')").fetchone())
    original, copied = schemas
    assert copied == {"capitals": ("foo, bar",), "empty": ('""',)}.get(setting, original)


def test_the_life_of_the_password_is_copied_whatever_the_admins_clock_shows(world: World) -> None:
    user = world.user(options="VALID UNTIL '2031-02-03 04:05:06+00'")
    helper = world.user(options="SUPERUSER")
    world.sql(f"ALTER ROLE \"{helper['username']}\" SET TimeZone = 'Asia/Kolkata'")
    world.sql(f"ALTER ROLE \"{helper['username']}\" SET DateStyle = 'SQL, DMY'")
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    clone = world.rotate(world.secret({**user, "masterarn": admin}))
    assert world.role(clone["username"]) == world.role(user["username"])


def test_a_current_user_at_its_connection_limit_rotates_all_the_same(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    world.rotate(arn)
    world.rotate(arn)
    world.sql(f'ALTER ROLE "{user["username"]}" CONNECTION LIMIT 1')
    with world.login(world.value(arn)):
        assert world.rotate(arn)["username"] == f"{user['username']}_clone"
