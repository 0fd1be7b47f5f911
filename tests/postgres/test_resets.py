"""An admin resets a password only where that helps, and never a right one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from rotators.core.errors import ConfigurationError, RotatorsError, SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.engines.postgres.scram import md5_verifier
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from pathlib import Path

    from rotators.engines.postgres.session import PostgresSession


def refused(world: World, value: dict[str, Any]) -> RotatorsError:
    """The error of setSecret with an admin; nothing was changed by it."""
    arn = world.secret({**value, "masterarn": world.admin_secret(), "strategy": "single"})
    before = hash_of(world, value["username"])
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(RotatorsError) as caught:
        world.step("setSecret", arn, token)
    assert hash_of(world, value["username"]) == before
    assert caught.value.remedy
    return caught.value


def hash_of(world: World, user: str) -> str:
    (row,) = world.sql("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)
    return str(row[0])


def as_admin(world: World, ask: Any, **login: Any) -> Any:
    with PostgresEngine().login(Secret({**world.admin(), **login}), Settings()) as session:
        return ask(session)


@pytest.mark.parametrize("right", [True, False])
def test_an_expired_password_is_reported_as_such_and_not_reset(world: World, right: bool) -> None:
    user = world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    error = refused(world, user if right else {**user, "password": new_password()})
    assert error.full_code == "target-refused/expired"
    assert "2001-02-03 04:05:06 (UTC)" in str(error)
    assert "VALID UNTIL" in error.remedy


def test_a_connection_limit_of_0_is_no_case_for_a_reset(world: World) -> None:
    user = world.user(options="CONNECTION LIMIT 0")
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/no-login"


def test_a_right_password_in_a_form_that_the_access_rule_rejects_is_not_reset(world: World) -> None:
    user = world.user()
    stored = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(user["username"]), sql.Literal(md5_verifier(user["username"], user["password"]))
    )
    world.sql(stored.as_string(None))
    error = refused(world, user)
    assert error.full_code == "target-refused/correct-password"
    assert "MD5" in str(error)


def test_a_right_password_among_the_rejected_is_found_and_a_wrong_one_is_not(world: World) -> None:
    user = world.user()
    name, wrong = user["username"], [new_password(), new_password()]

    def ask(*passwords: str) -> None:
        as_admin(world, lambda session: session.require_resettable(name, passwords, tls=True))

    ask(*wrong)
    with pytest.raises(TargetRefused) as caught:
        ask(*wrong, user["password"])
    assert caught.value.full_code == "target-refused/correct-password"
    assert user["password"] not in str(caught.value)


def test_a_second_user_that_could_not_log_in_either_is_not_made(world: World) -> None:
    """It gets the limits of the first one, so testSecret could never pass."""
    user = world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused) as caught:
        world.step("setSecret", arn, token)
    assert caught.value.full_code == "target-refused/expired"
    assert not world.exists(f"{user['username']}_clone")


def test_an_expired_second_user_is_reported_before_its_password_changes(world: World) -> None:
    user, second = world.user(), world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    world.sql(f'GRANT "{user["username"]}" TO "{second["username"]}"')
    value = {**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]}
    before = hash_of(world, second["username"])
    arn = world.secret(value)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="expired"):
        world.step("setSecret", arn, token)
    assert hash_of(world, second["username"]) == before


def test_a_user_that_does_not_log_in_with_passwords_is_not_reset(world: World) -> None:
    user = world.user()
    if not world.exists("rds_iam"):
        world.sql("CREATE ROLE rds_iam")
    world.sql(f'GRANT rds_iam TO "{user["username"]}"')
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/plugin"


def test_an_admin_that_may_not_read_hashes_takes_them_as_in_order(world: World) -> None:
    user, helper = world.user(), world.user(options="CREATEROLE")
    as_admin(
        world,
        lambda session: session.require_resettable(user["username"], [user["password"]], tls=True),
        username=helper["username"],
        password=helper["password"],
    )


def test_a_limit_of_rejected_logins_is_read_where_a_module_sets_one(world: World) -> None:
    """credcheck bans a user at the limit, so one less is safe; the setting alone is enough to read it."""
    helper = world.user(options="SUPERUSER")
    login = {"username": helper["username"], "password": helper["password"]}
    asked = []
    for limit in (None, "0", "3"):
        if limit:
            world.sql(f"ALTER ROLE \"{helper['username']}\" SET credcheck.max_auth_failure = '{limit}'")
        asked.append(as_admin(world, lambda session: session.rejections_allowed("app"), **login))
    assert asked == [None, None, 2]


@pytest.mark.parametrize(
    "role",
    [
        "pg_signal_backend",
        "pg_checkpoint",
        "pg_read_all_data",
        "pg_maintain",
        "pg_create_subscription",
        "pg_use_reserved_connections",
        "rds_replication",
        "rds_password",
    ],
)
def test_members_of_operational_roles_are_administrators(world: World, role: str) -> None:
    user = world.user()
    if not world.exists(role):
        if role.startswith("pg_"):
            pytest.skip(f"{role} came with a later release of PostgreSQL")
        world.sql(f"CREATE ROLE {role}")
    middle = unique("team")
    world.sql(f"CREATE ROLE {middle} NOINHERIT IN ROLE {role}")
    world.sql(f'GRANT {middle} TO "{user["username"]}"')
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/administrator"


@pytest.mark.parametrize("option", ["REPLICATION", "CREATEROLE", "BYPASSRLS", "SUPERUSER"])
def test_users_with_attributes_of_an_administrator_are_administrators(world: World, option: str) -> None:
    user = world.user(options=option)
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/administrator"


def test_a_databases_owner_is_an_ordinary_user(world: World) -> None:
    user = world.user(options="CREATEDB")
    world.sql(f'CREATE DATABASE {unique("db")} OWNER "{user["username"]}"')
    arn = world.secret({**user, "password": new_password(), "masterarn": world.admin_secret()})
    assert world.logs_in(world.rotate(arn))


def test_objects_of_the_second_user_stop_a_rotation_with_the_statement_that_helps(world: World) -> None:
    """Some poolers and releases end the role of a login, and the second user owns what it creates."""
    user = world.user()
    name, table = user["username"], unique("table")
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    clone = world.rotate(arn)
    world.sql(f'GRANT CREATE ON SCHEMA public TO "{clone["username"]}"')
    with world.login(clone) as connection:
        connection.execute("RESET SESSION AUTHORIZATION; SET ROLE NONE")
        connection.execute(f"CREATE TABLE public.{table} (x int)".encode())
    with pytest.raises(TargetRefused, match="owns objects itself") as caught:
        world.rotate(arn)
    assert caught.value.full_code == "target-refused/ownership"
    assert f"REASSIGN OWNED BY {clone['username']} TO {name}" in caught.value.remedy
    assert world.value(arn) == clone
    world.sql(f'REASSIGN OWNED BY "{clone["username"]}" TO "{name}"')
    assert world.rotate(arn)["username"] == name


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "empty"])
def test_trusted_roots_that_are_no_regular_file_are_refused_without_waiting(
    world: World, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "roots"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    roots = "/dev/zero" if kind == "device" else str(path)
    with (
        pytest.raises(RotatorsError) as caught,
        PostgresEngine().login(Secret({**world.user(), "sslrootcert": roots}), Settings()),
    ):
        pass
    assert caught.value.full_code == "target-unavailable/tls-no-ca"


def test_md5_hashes_are_stored_only_where_the_operator_asks_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.user()
    monkeypatch.setenv("PASSWORD_ENCRYPTION", "md5")
    new = new_password()
    with PostgresEngine().login(Secret(user), Settings.from_environment(dict(os.environ))) as session:
        session.set_credential(user["username"], new)
    assert hash_of(world, user["username"]) == md5_verifier(user["username"], new)
    with pytest.raises(ConfigurationError, match="PASSWORD_ENCRYPTION"):
        Settings.from_environment({"PASSWORD_ENCRYPTION": "plain"})


def test_clear_text_is_sent_only_where_the_secret_asks_for_it_and_inside_tls(world: World) -> None:
    helper = world.user(options="SUPERUSER")
    user = world.user()
    new = new_password()

    def change(session: PostgresSession) -> None:
        session.set_credential(user["username"], new)

    login = {"username": helper["username"], "password": helper["password"], "clear_text": True}
    as_admin(world, change, **login)
    assert world.logs_in({**user, "password": new})
    with pytest.raises(SecretFormatError, match="inside TLS only"):
        as_admin(world, change, **login, ssl=False)
    with pytest.raises(SecretFormatError, match="clear_text"):
        as_admin(world, change, **{**login, "clear_text": "perhaps"})


def test_a_stranger_who_asks_for_the_users_role_stops_no_rotation(world: World) -> None:
    """Every user may do that, and without being a member of the role it has no effect."""
    stranger, user = world.user(), world.user()
    with world.login(stranger) as connection:
        connection.execute(f'ALTER ROLE CURRENT_USER SET role = "{user["username"]}"'.encode())
        connection.execute("SELECT lo_create(0)")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_a_role_setting_for_the_admins_database_does_not_count(world: World) -> None:
    user, team = world.user(), world.user()
    database = world.admin().get("dbname", "postgres")
    world.sql(f'ALTER ROLE "{user["username"]}" IN DATABASE {database} SET role = "{team["username"]}"')
    world.sql(f'CREATE DATABASE "{user["username"]}"')
    wrong = {**user, "dbname": user["username"], "password": new_password(), "strategy": "single"}
    assert world.logs_in(world.rotate(world.secret({**wrong, "masterarn": world.admin_secret()})))


def test_an_admin_resets_no_user_whose_logins_cannot_act_as_its_role(world: World) -> None:
    user, team = world.user(), world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" SET role = "{team["username"]}"')
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/role"
    assert world.logs_in(user)


@pytest.mark.parametrize("who", ["a member", "the user itself"])
def test_one_user_may_share_a_role_with_users_that_own_objects(world: World, who: str) -> None:
    """Only two users that take turns must be able to use the same objects."""
    user, other = world.user(), world.user()
    one, role = (other, user) if who == "a member" else (user, other)
    world.sql(f'GRANT "{role["username"]}" TO "{one["username"]}"')
    world.sql(f'ALTER ROLE "{one["username"]}" SET role = "{role["username"]}"')
    with world.login(one) as connection:
        connection.execute("SET ROLE NONE; SELECT lo_create(0)")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_a_password_is_not_changed_where_testsecret_could_not_pass(world: World) -> None:
    user, team = world.user(), world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" SET role = "{team["username"]}"')
    arn = world.secret(user)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="cannot act as"):
        world.step("setSecret", arn, token)
    assert world.logs_in(user)
