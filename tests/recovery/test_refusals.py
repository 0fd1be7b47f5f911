"""A login fails, but not because of its password: `doctor` names the cause, `repair` sets no password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rotators.recovery.errors import RepairRefused
from tests.cli.test_doctor_repair import examined, put, run
from tests.world import World, new_password

if TYPE_CHECKING:
    from tests.mysql.conftest import MariaDbWorld

Value = dict[str, Any]


def left_alone(world: World, arn: str, hashes: str, *params: object) -> str:
    """The error text of a repair that changes neither a stage nor a password hash."""
    ask = world.run if hasattr(world, "run") else world.sql
    stages, before = world.stages(arn), ask(hashes, *params)
    result = run("repair", arn, "--idle")
    assert isinstance(result.exception, RepairRefused), result.output
    assert world.stages(arn) == stages
    assert ask(hashes, *params) == before
    return str(result.exception)


POSTGRES_HASH = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
MARIADB_HASH = "SELECT Priv FROM mysql.global_priv WHERE User = %s"


def with_admin(world: World, value: Value) -> str:
    return world.secret({**value, "strategy": "single", "masterarn": world.admin_secret()})


def test_an_expired_password_is_not_reset(world: World) -> None:
    user = world.user(options="VALID UNTIL '2020-01-01'")
    arn = with_admin(world, user)
    document = examined(arn)
    assert document["state"] == "expired"
    assert "VALID UNTIL" in document["action"]
    left_alone(world, arn, POSTGRES_HASH, user["username"])


def test_an_access_rule_causes_no_reset(world: World) -> None:
    user = world.user()
    with world.login(world.admin()) as admin:
        md5 = admin.pgconn.encrypt_password(user["password"].encode(), user["username"].encode(), b"md5")
        admin.execute(f"ALTER ROLE \"{user['username']}\" PASSWORD '{md5.decode()}'".encode())
    arn = with_admin(world, user)
    document = examined(arn)
    assert document["state"] == "correct-password"
    assert "right" in document["sentence"]
    left_alone(world, arn, POSTGRES_HASH, user["username"])


def test_an_expired_account_is_not_a_wrong_password(maria_world: MariaDbWorld) -> None:
    world = maria_world
    value = world.account()
    arn = with_admin(world, value)
    world.run(f"ALTER USER {world.written(value['username'])} PASSWORD EXPIRE")
    world.run("SET GLOBAL disconnect_on_expired_password = ON")
    try:
        document = examined(arn)
        assert document["state"] == "expired"
        assert "its password is right" in document["sentence"]
        left_alone(world, arn, MARIADB_HASH, value["username"])
    finally:
        world.run("SET GLOBAL disconnect_on_expired_password = OFF")


def test_a_locked_account_is_reported_and_stays_locked(maria_world: MariaDbWorld) -> None:
    world = maria_world
    value = world.account()
    arn = with_admin(world, value)
    world.run(f"ALTER USER {world.written(value['username'])} ACCOUNT LOCK")
    document = examined(arn)
    assert document["state"] == "locked"
    assert "ACCOUNT UNLOCK" in document["action"]
    left_alone(world, arn, MARIADB_HASH, value["username"])


def test_a_role_without_login_is_left_alone(world: World) -> None:
    user = world.user()
    arn = with_admin(world, user)
    world.sql(f'ALTER ROLE "{user["username"]}" NOLOGIN')
    document = examined(arn)
    assert document["state"] == "no-login"
    assert "ALTER ROLE … LOGIN" in document["action"]
    assert "ALTER ROLE … LOGIN" in left_alone(world, arn, POSTGRES_HASH, user["username"])


def test_a_locked_accounts_pending_value_keeps_its_stage(maria_world: MariaDbWorld) -> None:
    world = maria_world
    value = world.account()
    arn = world.secret({**value, "password": new_password()})
    put(world, arn, value, "AWSPENDING")
    world.run(f"ALTER USER {world.written(value['username'])} ACCOUNT LOCK")
    document = examined(arn)
    assert document["state"] == "locked"
    assert document["sentence"].startswith("AWSPENDING")
    left_alone(world, arn, MARIADB_HASH, value["username"])


@pytest.mark.parametrize(
    ("options", "host", "state"),
    [
        pytest.param("REQUIRE SSL", "%", "needs-tls", id="TLS"),
        pytest.param("REQUIRE X509", "%", "needs-certificate", id="a client certificate"),
        pytest.param("", "10.99.99.%", "elsewhere", id="another address"),
    ],
)
def test_a_refused_account_is_not_reset(
    maria_world: MariaDbWorld, options: str, host: str, state: str
) -> None:
    world = maria_world
    value = world.account(host=host, options=options)
    clear = {"ssl": False} if state == "needs-tls" else {}
    arn = world.secret({**value, **clear, "strategy": "single", "masterarn": world.admin_secret(**clear)})
    document = examined(arn)
    assert document["state"] == state, document
    assert document["repair"] == []
    assert "not" in left_alone(world, arn, MARIADB_HASH, value["username"])
