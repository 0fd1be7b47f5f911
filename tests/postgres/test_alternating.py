"""Strategy `alternating` on a real PostgreSQL: the current password works at every moment."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.core.errors import TargetRefused
from tests.world import World, new_password, unique


@pytest.fixture
def pair(world: World) -> tuple[dict[str, Any], str]:
    """A user with an admin, and the secret's ARN."""
    user = {**world.user(), "masterarn": world.admin_secret()}
    return user, world.secret(user)


def test_the_clone_gets_the_originals_attributes_and_settings(world: World) -> None:
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


def test_the_next_rotation_updates_the_clone(world: World, pair: tuple[dict[str, Any], str]) -> None:
    user, arn = pair
    world.rotate(arn)
    world.rotate(arn)
    world.sql(f'ALTER ROLE "{user["username"]}" CREATEDB CONNECTION LIMIT 3')
    world.sql(f"ALTER ROLE \"{user['username']}\" SET lock_timeout = '3s'")
    world.sql(f"ALTER ROLE \"{user['username']}_clone\" SET work_mem = '1MB'")
    world.rotate(arn)
    assert world.role(f"{user['username']}_clone") == world.role(user["username"])


def test_the_original_owns_the_clones_objects(world: World, pair: tuple[dict[str, Any], str]) -> None:
    user, arn = pair
    table = unique("table")
    world.sql(f'GRANT CREATE ON SCHEMA public TO "{user["username"]}"')
    with world.login(world.rotate(arn)) as clone:
        clone.execute(f"CREATE TABLE public.{table} (x int)")
        clone.execute(f"INSERT INTO public.{table} VALUES (1)")
    with world.login(world.rotate(arn)) as original:
        assert original.execute(f"SELECT x FROM public.{table}").fetchall() == [(1,)]
        original.execute(f"DROP TABLE public.{table}")


def test_a_member_with_createrole_is_not_a_clone(world: World) -> None:
    user, colleague = world.user(), world.user(options="CREATEROLE")
    world.sql(f'GRANT "{user["username"]}" TO "{colleague["username"]}"')
    arn = world.secret(
        {**user, "masterarn": world.admin_secret(), "alternate_username": colleague["username"]}
    )
    world.refusal(arn, "CREATEROLE")
    assert world.logs_in(colleague)


def test_a_clone_made_by_awss_function_is_accepted(world: World, pair: tuple[dict[str, Any], str]) -> None:
    user, arn = pair
    clone = world.user(f"{user['username']}_clone")
    world.sql(f'GRANT "{user["username"]}" TO "{clone["username"]}"')
    assert world.rotate(arn)["username"] == clone["username"]
    assert world.logs_in(world.value(arn))


def test_a_ready_made_second_user_stays_unchanged(world: World) -> None:
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


def test_the_error_names_the_missing_createrole(world: World, pair: tuple[dict[str, Any], str]) -> None:
    helper = world.user()
    arn = world.secret(
        {**pair[0], "masterarn": world.admin_secret(username=helper["username"], password=helper["password"])}
    )
    world.refusal(arn, "CREATEROLE")


def test_an_admin_without_superuser_can_rotate(world: World) -> None:
    """An admin as on RDS: CREATEROLE, and since PostgreSQL 16 the ADMIN OPTION of users that it created."""
    helper = world.user(options="CREATEROLE")
    name, password = unique("app"), new_password()
    with world.login(helper) as connection:
        world.create_user(name, password, connection=connection)
    user = {**helper, "username": name, "password": password}
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    arn = world.secret({**user, "masterarn": admin})
    for _ in range(3):
        assert world.logs_in(world.rotate(arn))


def test_the_admin_ignores_the_databases_search_path(world: World) -> None:
    """A database's owner may define operators and put their schema first; an admin must not use them."""
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


def test_a_member_with_granted_rights_is_refused(world: World) -> None:
    """People can be members of an application's role. A writer of its secret must not get their logins."""
    user, alice = world.user(), world.user()
    table = unique("payroll")
    world.sql(f"CREATE TABLE public.{table} (x int)")
    world.sql(f'GRANT SELECT ON public.{table} TO "{alice["username"]}"')
    world.sql(f'GRANT "{user["username"]}" TO "{alice["username"]}"')
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": alice["username"]})
    assert "COMMENT ON ROLE" in world.refusal(arn, "may be somebody").remedy
    assert world.logs_in(alice)
    world.sql(f"COMMENT ON ROLE \"{alice['username']}\" IS 'clone of {user['username']}'")
    assert world.rotate(arn)["username"] == alice["username"]


def test_an_inverse_membership_makes_no_clone(world: World) -> None:
    user = world.user()
    clone = world.user(f"{user['username']}_clone")
    world.sql(f'GRANT "{clone["username"]}" TO "{user["username"]}"')
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    world.refusal(arn, "not the clone")


@pytest.mark.parametrize("which", ["", "_clone"])
def test_a_revoked_right_to_log_in_is_kept(
    world: World, pair: tuple[dict[str, Any], str], which: str
) -> None:
    user, arn = pair
    for _ in range(2 if which else 3):
        world.rotate(arn)
    world.sql(f'ALTER ROLE "{user["username"]}{which}" NOLOGIN')
    world.refusal(arn, "may not log in")


def test_a_clone_without_the_originals_role_fails_testsecret(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    user, arn = pair
    world.rotate(arn)
    world.rotate(arn)
    before = world.value(arn)
    token = world.begun(arn)
    world.step("setSecret", arn, token)
    world.sql(f'REVOKE "{user["username"]}" FROM "{user["username"]}_clone"')
    with pytest.raises(TargetRefused, match="cannot act as"):
        world.step("testSecret", arn, token)
    assert world.value(arn) == before


def test_a_broken_role_setting_is_repaired_by_rotation(
    world: World, pair: tuple[dict[str, Any], str]
) -> None:
    """The server only warns at the clone's login. The admin repairs the clone in its next rotation."""
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


def test_valid_until_is_copied_in_any_date_style(world: World) -> None:
    user = world.user(options="VALID UNTIL '2031-02-03 04:05:06+00'")
    helper = world.user(options="SUPERUSER")
    world.sql(f"ALTER ROLE \"{helper['username']}\" SET TimeZone = 'Asia/Kolkata'")
    world.sql(f"ALTER ROLE \"{helper['username']}\" SET DateStyle = 'SQL, DMY'")
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    clone = world.rotate(world.secret({**user, "masterarn": admin}))
    assert world.role(clone["username"]) == world.role(user["username"])


def test_a_user_at_its_connection_limit_still_rotates(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    world.rotate(arn)
    world.rotate(arn)
    world.sql(f'ALTER ROLE "{user["username"]}" CONNECTION LIMIT 1')
    with world.login(world.value(arn)):
        assert world.rotate(arn)["username"] == f"{user['username']}_clone"
