"""PyMySQL on a real MariaDB."""

from __future__ import annotations

import traceback
from typing import Any

import pymysql
import pytest

from rotators.client import Credentials, SecretCache
from rotators.core.errors import TargetRefused
from rotators.local.servers.private import free_port
from rotators.testing._proxy import Proxy
from tests.client.conftest import DAY, Switch, credentials_of, refresh, set_deadline
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password


def watched(world: MariaDbWorld, value: dict[str, Any], **options: Any) -> tuple[Credentials, Switch]:
    source = Switch(world)
    arn = world.secret(value)
    return Credentials(arn, cache=SecretCache(source=source, ttl=DAY), **options), source


def user_of(connection: pymysql.Connection[Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT USER()")
        row = cursor.fetchone()
    assert row is not None
    return str(row[0]).partition("@")[0]


def time_outs(connection: Any) -> tuple[object, object]:
    return connection._read_timeout, connection._write_timeout


def test_connection_uses_the_secrets_user_and_verified_tls(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    credentials, source = watched(maria_world, user)
    with credentials.connect(pymysql.connect) as connection, connection.cursor() as cursor:
        assert user_of(connection) == user["username"]
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert cursor.fetchall()[0][1].startswith("TLS")
    assert credentials.counts() == {"logins": 1}
    assert source.asked == ["AWSCURRENT"]


def test_arguments_of_the_caller_reach_the_driver(maria_world: MariaDbWorld) -> None:
    credentials, _ = watched(maria_world, maria_world.account())
    with credentials.connect(
        pymysql.connect, autocommit=True, cursorclass=pymysql.cursors.DictCursor, read_timeout=7
    ) as connection:
        assert connection.get_autocommit()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetchone() == {"one": 1}
        assert time_outs(connection) == (7, None)


@pytest.mark.parametrize("password", ["pw-ünï-çödé-€-Ж", "pw-'quote\"and\\slash", "pw- space /%+@:?#"])
def test_any_characters_make_a_password(maria_world: MariaDbWorld, password: str) -> None:
    credentials, _ = watched(maria_world, maria_world.account(password=password))
    credentials.connect(pymysql.connect).close()


def test_rejected_login_is_repeated_with_the_new_current(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    credentials, source = watched(maria_world, user)
    credentials.connect(pymysql.connect).close()
    maria_world.rotate(credentials.secret_id)
    for _ in range(2):
        with credentials.connect(pymysql.connect) as connection:
            assert user_of(connection) == user["username"]
    assert credentials.counts() == {"logins": 3, "rejected": 1, "refreshed": 1, "current": 1}
    assert source.asked == ["AWSCURRENT"] * 2


def test_pending_version_logs_in_between_set_and_finish(maria_world: MariaDbWorld) -> None:
    credentials, source = watched(maria_world, maria_world.account())
    arn = credentials.secret_id
    credentials.connect(pymysql.connect).close()
    token = maria_world.begin(arn)
    maria_world.step("createSecret", arn, token)
    credentials.connect(pymysql.connect).close()
    assert credentials.counts() == {"logins": 2}
    maria_world.step("setSecret", arn, token)
    for _ in range(3):
        credentials.connect(pymysql.connect).close()
    counts = credentials.counts()
    assert (counts["pending"], counts["remembered"], counts["rejected"]) == (1, 2, 1)
    assert source.asked == ["AWSCURRENT", "AWSCURRENT", "AWSPENDING"]
    for step in ("testSecret", "finishSecret"):
        maria_world.step(step, arn, token)
    credentials.connect(pymysql.connect).close()
    assert credentials.counts()["rejected"] == 1


def test_restored_password_is_found_at_the_previous_stage(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    credentials, _ = watched(maria_world, user)
    maria_world.rotate(credentials.secret_id)
    maria_world.reset(user["username"], user["password"])
    credentials.connect(pymysql.connect).close()
    assert credentials.counts()["previous"] == 1


def test_without_pending_the_window_is_waited_out(maria_world: MariaDbWorld) -> None:
    credentials, source = watched(maria_world, maria_world.account(), pending=False, deadline=1.5)
    arn = credentials.secret_id
    token = maria_world.begin(arn)
    for step in ("createSecret", "setSecret"):
        maria_world.step(step, arn, token)
    with pytest.raises(pymysql.OperationalError, match="1045"):
        credentials.connect(pymysql.connect)
    set_deadline(credentials, 60.0)
    assert "AWSPENDING" not in source.asked
    for step in ("testSecret", "finishSecret"):
        maria_world.step(step, arn, token)
    credentials.connect(pymysql.connect).close()


def test_silent_server_ends_in_the_drivers_timeout(maria_world: MariaDbWorld) -> None:
    with Proxy(maria_world.maria.port) as wire:
        user = {**maria_world.account(), "port": wire.port}
        credentials, source = watched(maria_world, user, deadline=2.0)
        wire.silence()
        with pytest.raises(pymysql.OperationalError) as caught:
            credentials.connect(pymysql.connect)
        assert user["password"] not in "".join(traceback.format_exception(caught.value))
        assert credentials.counts().keys() & {"rejected", "refreshed"} == set()
        assert source.asked == ["AWSCURRENT"]
        wire.flow()
        set_deadline(credentials, 60.0)
        with credentials.connect(pymysql.connect) as connection:
            assert time_outs(connection) == (None, None)
            with connection.cursor() as cursor:
                cursor.execute("SELECT SLEEP(1.1)")


@pytest.mark.parametrize(
    ("change", "number"),
    [({"dbname": "nowhere"}, "1044|1049"), ({"host": "127.0.0.2"}, "2003")],
    ids=["an unknown database", "a name that is not in the certificate"],
)
def test_other_errors_are_raised_without_another_attempt(
    maria_world: MariaDbWorld, change: dict[str, Any], number: str
) -> None:
    user = {**maria_world.account(grants=("GRANT SELECT ON *.* TO {}",)), **change}
    credentials, source = watched(maria_world, user)
    before = maria_world.logins()
    with pytest.raises(pymysql.OperationalError, match=number) as caught:
        credentials.connect(pymysql.connect)
    assert maria_world.logins() - before <= 1
    assert source.asked == ["AWSCURRENT"]
    assert credentials.counts() == {}
    assert user["password"] not in "".join(traceback.format_exception(caught.value))


def test_missing_server_is_retried_until_the_deadline(maria_world: MariaDbWorld) -> None:
    user = {**maria_world.account(), "port": free_port()}
    credentials, source = watched(maria_world, user, deadline=2.0)
    with pytest.raises(pymysql.OperationalError, match="refused"):
        credentials.connect(pymysql.connect)
    assert credentials.counts()["unavailable"] > 1
    assert source.asked == ["AWSCURRENT"]


def test_an_unknown_password_causes_few_logins(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    credentials, _ = watched(maria_world, user, deadline=1.0)
    maria_world.reset(user["username"], new_password())
    before = maria_world.logins()
    with pytest.raises(pymysql.OperationalError, match="1045"):
        credentials.connect(pymysql.connect)
    # The reset also counts as a login of the test.
    assert maria_world.logins() - before <= 2
    assert credentials.counts()["rejected"] == 1


def test_with_alternating_users_nothing_is_ever_rejected(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    arn = maria_world.secret({**user, "masterarn": maria_world.admin_secret()})
    credentials = credentials_of(maria_world, arn)
    names = []
    for _ in range(3):
        with credentials.connect(pymysql.connect) as before:
            maria_world.rotate(arn)
            with credentials.connect(pymysql.connect) as after:
                assert user_of(before) == user_of(after)
            names.append(user_of(before))
        refresh(credentials)
    assert names == [user["username"], f"{user['username']}_clone", user["username"]]
    assert credentials.counts() == {"logins": 6}


@pytest.mark.parametrize(
    ("change", "number"),
    [("ACCOUNT LOCK", "4151"), ("PASSWORD EXPIRE", "1862|1820")],
    ids=["locked", "expired"],
)
def test_closed_account_causes_one_login(maria_world: MariaDbWorld, change: str, number: str) -> None:
    user = maria_world.account()
    credentials, source = watched(maria_world, user)
    arn = credentials.secret_id
    maria_world.put_pending(arn, maria_world.begin(arn), {**user, "password": new_password()})
    credentials.secret()
    maria_world.run("SET GLOBAL disconnect_on_expired_password = ON")
    maria_world.run(f"ALTER USER {maria_world.written(user['username'])} {change}")
    with pytest.raises(pymysql.OperationalError, match=number):
        credentials.connect(pymysql.connect)
    assert credentials.counts() == {"closed": 1, "refreshed": 1}
    assert "AWSPENDING" not in source.asked


def test_other_user_is_tried_when_one_is_locked(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    arn = maria_world.secret({**user, "masterarn": maria_world.admin_secret()})
    credentials = credentials_of(maria_world, arn)
    credentials.secret()
    maria_world.rotate(arn)
    maria_world.run(f"ALTER USER {maria_world.written(user['username'])} ACCOUNT LOCK")
    with credentials.connect(pymysql.connect) as connection:
        assert user_of(connection) == f"{user['username']}_clone"
    assert credentials.counts()["moved"] == 1


def test_blocked_account_is_held_back(maria_world: MariaDbWorld) -> None:
    user = maria_world.account()
    credentials, source = watched(maria_world, user)
    maria_world.run("SET GLOBAL max_password_errors = 1")
    try:
        assert not maria_world.logs_in({**user, "password": new_password()})
        with pytest.raises(pymysql.OperationalError, match="4150"):
            credentials.connect(pymysql.connect)
        with pytest.raises(TargetRefused, match="too many were rejected"):
            credentials.connect(pymysql.connect)
    finally:
        maria_world.run("SET GLOBAL max_password_errors = DEFAULT")
    counts = credentials.counts()
    assert (counts["blocked"], counts["held"]) == (1, 1)
    assert "AWSPENDING" not in source.asked
