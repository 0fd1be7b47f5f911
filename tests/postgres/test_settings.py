"""No setting of a user, an admin, a database or the environment affects a rotation."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from tests.world import World, unique

SETTINGS = [
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("search_path", "nowhere"),
    ("standard_conforming_strings", "off"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
    ("DateStyle", "SQL, DMY"),
    ("TimeZone", "Asia/Kolkata"),
    ("password_encryption", "md5"),
    ("synchronous_commit", "off"),
]

ENVIRONMENT = [
    ("PGOPTIONS", "-c statement_timeout=1ms -c default_transaction_read_only=on"),
    ("PGOPTIONS", "-c role=pg_monitor"),
    ("PGTZ", "nonsense"),
    ("PGDATESTYLE", "nonsense"),
    ("PGTARGETSESSIONATTRS", "standby"),
    ("PGREQUIREPEER", "nobody"),
    ("PGREQUIREAUTH", "md5"),
    ("PGCHANNELBINDING", "require"),
    ("PGMAXPROTOCOLVERSION", "latest"),
    ("PGMINPROTOCOLVERSION", "3.2"),
    ("PGCLIENTENCODING", "SQL_ASCII"),
    ("PGHOSTADDR", "127.0.0.9"),
    ("PGSSLMODE", "disable"),
    ("PGGSSENCMODE", "require"),
    ("PGPASSWORD", "wrong"),
]


def set_for(world: World, user: str, name: str, value: str) -> None:
    quoted = value if name == "search_path" else f"'{value}'"
    world.sql(f'ALTER ROLE "{user}" SET {name} = {quoted}')


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_user_with_settings_of_its_own_rotates(world: World, name: str, value: str) -> None:
    user = world.user()
    arn = world.secret(user)
    set_for(world, user["username"], name, value)
    for _ in range(2):
        assert world.rotate(arn)["password"] != user["password"]
        assert stored_as_scram(world, user["username"])


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_an_admins_settings_do_not_affect_the_clone(world: World, name: str, value: str) -> None:
    user, helper = world.user(), world.user(options="SUPERUSER")
    set_for(world, helper["username"], name, value)
    set_for(world, user["username"], name, value)
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    arn = world.secret({**user, "masterarn": admin})
    names = [world.rotate(arn)["username"] for _ in range(2)]
    assert names == [f"{user['username']}_clone", user["username"]]


@pytest.mark.parametrize(("name", "value"), ENVIRONMENT)
def test_no_environment_variable_of_libpq_changes_a_rotation(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    arn = world.secret(world.user())
    monkeypatch.setenv(name, value)
    new = world.rotate(arn)
    monkeypatch.delenv(name)
    assert world.logs_in(new)


@pytest.mark.parametrize("where", ["role", "database"])
def test_an_admin_ignores_its_role_setting(world: World, where: str) -> None:
    """A database's owner may also set a role, and the admin would act with its rights."""
    user, helper, weak = world.user(), world.user(options="SUPERUSER"), world.user()
    database = unique("db")
    world.sql(f'CREATE DATABASE {database} OWNER "{weak["username"]}"')
    if where == "role":
        world.sql(f'ALTER ROLE "{helper["username"]}" SET role = "{weak["username"]}"')
    else:
        with world.login({**weak, "dbname": database}) as owner:
            owner.execute(f'ALTER DATABASE {database} SET role = "{weak["username"]}"'.encode())
    admin = world.admin_secret(username=helper["username"], password=helper["password"], dbname=database)
    arn = world.secret({**user, "masterarn": admin})
    assert world.logs_in(world.rotate(arn))


def test_an_admin_ignores_its_session_authorization_setting(world: World) -> None:
    user, helper, weak = world.user(), world.user(options="SUPERUSER"), world.user()
    world.sql(f'ALTER ROLE "{helper["username"]}" SET session_authorization = "{weak["username"]}"')
    admin = world.admin_secret(username=helper["username"], password=helper["password"])
    assert world.logs_in(world.rotate(world.secret({**user, "masterarn": admin})))


def stored_as_scram(world: World, user: str) -> bool:
    (row,) = world.sql("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)
    return str(row[0]).startswith("SCRAM-SHA-256$4096:")


def test_a_change_ignores_asynchronous_commit_settings(world: World) -> None:
    """Otherwise a crash of the server could restore the old password after the promotion."""
    user = world.user()
    set_for(world, user["username"], "synchronous_commit", "off")
    seen: list[Any] = []
    with PostgresEngine().login(Secret(user), Settings()) as session, session._writing():
        seen += session._connection.execute("SHOW synchronous_commit").fetchall()
    assert seen == [("local",)]
