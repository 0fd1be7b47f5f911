"""An admin resets a password only if this helps, and never a correct one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from rotators.core.errors import ConfigurationError, SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.logins.scram import md5_verifier
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from rotators.engines.postgres.session import PostgresSession


def refused(world: World, value: dict[str, Any]) -> TargetRefused:
    """Run setSecret with an admin; return its error, and check that nothing changed."""
    arn = world.secret({**value, "masterarn": world.admin_secret(), "strategy": "single"})
    before = hash_of(world, value["username"])
    error = world.refusal(arn)
    assert hash_of(world, value["username"]) == before
    return error


def hash_of(world: World, user: str) -> str:
    (row,) = world.sql("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)
    return str(row[0])


def as_admin(world: World, ask: Any, **login: Any) -> Any:
    with PostgresEngine().login(Secret({**world.admin(), **login}), Settings()) as session:
        return ask(session)


@pytest.mark.parametrize("right", [True, False])
def test_an_expired_password_is_reported_and_not_reset(world: World, right: bool) -> None:
    user = world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    error = refused(world, user if right else {**user, "password": new_password()})
    assert error.full_code == "target-refused/expired"
    assert "2001-02-03 04:05:06 (UTC)" in str(error)
    assert "VALID UNTIL" in error.remedy


def test_connection_limit_0_prevents_a_reset(world: World) -> None:
    user = world.user(options="CONNECTION LIMIT 0")
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/no-login"


def test_a_correct_md5_password_is_not_reset(world: World) -> None:
    user = world.user()
    stored = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(user["username"]), sql.Literal(md5_verifier(user["username"], user["password"]))
    )
    world.sql(stored.as_string(None))
    error = refused(world, user)
    assert error.full_code == "target-refused/correct-password"
    assert "MD5" in str(error)


def test_a_correct_password_among_rejected_ones_is_recognized(world: World) -> None:
    user = world.user()
    name, wrong = user["username"], [new_password(), new_password()]

    def ask(*passwords: str) -> None:
        as_admin(world, lambda session: session.require_resettable(name, passwords, tls=True))

    ask(*wrong)
    with pytest.raises(TargetRefused) as caught:
        ask(*wrong, user["password"])
    assert caught.value.full_code == "target-refused/correct-password"
    assert user["password"] not in str(caught.value)


def test_no_clone_is_created_for_an_expired_user(world: World) -> None:
    """A clone would get the limits of the first user, so testSecret could never pass."""
    user = world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    error = world.refusal(world.secret({**user, "masterarn": world.admin_secret()}))
    assert error.full_code == "target-refused/expired"
    assert not world.exists(f"{user['username']}_clone")


def test_an_expired_second_user_keeps_its_password(world: World) -> None:
    user, second = world.user(), world.user(options="VALID UNTIL '2001-02-03 04:05:06+00'")
    world.sql(f'GRANT "{user["username"]}" TO "{second["username"]}"')
    value = {**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]}
    before = hash_of(world, second["username"])
    world.refusal(world.secret(value), "expired")
    assert hash_of(world, second["username"]) == before


def test_a_user_with_iam_authentication_is_not_reset(world: World) -> None:
    user = world.user()
    if not world.exists("rds_iam"):
        world.sql("CREATE ROLE rds_iam")
    world.sql(f'GRANT rds_iam TO "{user["username"]}"')
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/plugin"


def test_without_access_to_hashes_a_reset_is_allowed(world: World) -> None:
    user, helper = world.user(), world.user(options="CREATEROLE")
    as_admin(
        world,
        lambda session: session.require_resettable(user["username"], [user["password"]], tls=True),
        username=helper["username"],
        password=helper["password"],
    )


def test_the_rejection_limit_comes_from_credcheck(world: World) -> None:
    """credcheck bans a user at the limit, so one less is safe. The setting states the limit."""
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


@pytest.mark.parametrize("through", ["{boss}", "{middle}"])
def test_an_indirect_administrator_is_not_reset(world: World, through: str) -> None:
    victim = world.user()
    boss, middle = unique("boss"), unique("middle")
    world.sql(f"CREATE ROLE {boss} SUPERUSER")
    world.sql(f"CREATE ROLE {middle} IN ROLE {boss}")
    world.sql(f'GRANT {through.format(boss=boss, middle=middle)} TO "{victim["username"]}"')
    error = refused(world, {**victim, "password": new_password()})
    assert error.full_code == "target-refused/administrator"


def test_a_databases_owner_is_an_ordinary_user(world: World) -> None:
    user = world.user(options="CREATEDB")
    world.sql(f'CREATE DATABASE {unique("db")} OWNER "{user["username"]}"')
    arn = world.secret({**user, "password": new_password(), "masterarn": world.admin_secret()})
    assert world.logs_in(world.rotate(arn))


def test_objects_owned_by_the_clone_stop_a_rotation(world: World) -> None:
    """Some poolers and releases reset the role of a login, so the second user owns the objects it creates."""
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


def test_password_encryption_md5_stores_an_md5_hash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    monkeypatch.setenv("PASSWORD_ENCRYPTION", "md5")
    new = new_password()
    with PostgresEngine().login(Secret(user), Settings.from_environment(dict(os.environ))) as session:
        session.set_credential(user["username"], new)
    assert hash_of(world, user["username"]) == md5_verifier(user["username"], new)
    with pytest.raises(ConfigurationError, match="PASSWORD_ENCRYPTION"):
        Settings.from_environment({"PASSWORD_ENCRYPTION": "plain"})


def test_clear_text_needs_permission_and_tls(world: World) -> None:
    helper = world.user(options="SUPERUSER")
    user = world.user()
    new = new_password()

    def change(session: PostgresSession) -> None:
        session.set_credential(user["username"], new)

    login = {"username": helper["username"], "password": helper["password"], "clear_text": True}
    as_admin(world, change, **login)
    assert world.logs_in({**user, "password": new})
    with pytest.raises(SecretFormatError, match="only inside TLS"):
        as_admin(world, change, **login, ssl=False)
    with pytest.raises(SecretFormatError, match="clear_text"):
        as_admin(world, change, **{**login, "clear_text": "perhaps"})


def test_a_role_setting_without_membership_allows_rotation(world: World) -> None:
    """Every user may set this, and it has no effect if the user is not a member of the role."""
    stranger, user = world.user(), world.user()
    with world.login(stranger) as connection:
        connection.execute(f'ALTER ROLE CURRENT_USER SET role = "{user["username"]}"'.encode())
        connection.execute("SELECT lo_create(0)")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_the_admins_database_role_setting_is_ignored(world: World) -> None:
    user, team = world.user(), world.user()
    database = world.admin().get("dbname", "postgres")
    world.sql(f'ALTER ROLE "{user["username"]}" IN DATABASE {database} SET role = "{team["username"]}"')
    world.sql(f'CREATE DATABASE "{user["username"]}"')
    wrong = {**user, "dbname": user["username"], "password": new_password(), "strategy": "single"}
    assert world.logs_in(world.rotate(world.secret({**wrong, "masterarn": world.admin_secret()})))


def test_an_admin_resets_no_user_with_unusable_role(world: World) -> None:
    user, team = world.user(), world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" SET role = "{team["username"]}"')
    assert refused(world, {**user, "password": new_password()}).full_code == "target-refused/role"
    assert world.logs_in(user)


@pytest.mark.parametrize("who", ["a member", "the user itself"])
def test_users_sharing_a_role_may_own_objects(world: World, who: str) -> None:
    """Only alternating users must be able to use the same objects."""
    user, other = world.user(), world.user()
    one, role = (other, user) if who == "a member" else (user, other)
    world.sql(f'GRANT "{role["username"]}" TO "{one["username"]}"')
    world.sql(f'ALTER ROLE "{one["username"]}" SET role = "{role["username"]}"')
    with world.login(one) as connection:
        connection.execute("SET ROLE NONE; SELECT lo_create(0)")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_setsecret_fails_if_testsecret_could_not_pass(world: World) -> None:
    user, team = world.user(), world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" SET role = "{team["username"]}"')
    world.refusal(world.secret(user), "cannot act as")
    assert world.logs_in(user)
