"""A stored password is sent only to the server that it was stored for, or that the caller names."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
import pytest
import redis
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import create_engine, text

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client.integrations.psycopg import async_pool_options, pool_options
from rotators.client.integrations.redis import RedisCredentials
from rotators.client.integrations.sqlalchemy import attach
from rotators.core.errors import ConfigurationError, CredentialsRejected, SecretFormatError
from rotators.testing._case import STEPS
from tests.client.conftest import DAY, RedisWorld, credentials_of, enters, refresh, set_deadline
from tests.client.recording import PUBLIC_KEY, MySqlRecorder, PostgresRecorder, Recorder
from tests.world import new_password, unique

if TYPE_CHECKING:
    from tests.mysql.conftest import MariaDbWorld
    from tests.world import World

CLEAR: dict[str, Any] = {"host": "127.0.0.1", "ssl": False, "username": "app", "dbname": "shop"}
WAYS = [
    ("mysql_clear_password", "mysql_native_password"),
    ("dialog", "mysql_native_password"),
    ("caching_sha2_password", "mysql_native_password"),
    ("caching_sha2_password", "caching_sha2_password"),
    ("sha256_password", "mysql_native_password"),
    ("sha256_password", "sha256_password"),
]


def stored(world: World, thief: Recorder, engine: str, **changes: Any) -> tuple[Credentials, str]:
    """Credentials for a server that requests the password in clear text."""
    password = new_password()
    value = {**CLEAR, "engine": engine, "port": thief.port, "password": password, **changes}
    return credentials_of(world, world.secret(value), logins=1), password


def tried(credentials: Credentials, connect: Any, **given: Any) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver raises a different error
        credentials.connect(connect, **given)
    return caught.value


@pytest.mark.parametrize(("plugin", "greeted"), WAYS)
def test_mysql_without_tls_never_sends_the_password(world: World, plugin: str, greeted: str) -> None:
    with MySqlRecorder(plugin, greeted) as thief:
        credentials, password = stored(world, thief, "mysql")
        error = tried(credentials, pymysql.connect)
        assert thief.logins == 1
        assert password.encode() not in thief.heard
    assert isinstance(error, pymysql.OperationalError)
    assert "server_public_key" in str(error)
    assert "rejected" not in credentials.counts()


@pytest.mark.parametrize(("plugin", "greeted"), WAYS[2:])
def test_servers_key_encrypts_the_password(world: World, plugin: str, greeted: str) -> None:
    with MySqlRecorder(plugin, greeted) as server:
        credentials, password = stored(world, server, "mysql", server_public_key=PUBLIC_KEY.decode())
        tried(credentials, pymysql.connect)
        assert password.encode() in server.heard
    assert credentials.counts()["rejected"] == 1


@pytest.mark.parametrize(("plugin", "greeted"), WAYS[2:])
def test_another_servers_key_does_not_replace_the_secrets(world: World, plugin: str, greeted: str) -> None:
    with MySqlRecorder(plugin, greeted) as thief:
        credentials, password = stored(world, thief, "mysql", server_public_key=OTHER_KEY)
        tried(credentials, pymysql.connect)
        assert password.encode() not in thief.heard


def test_postgresql_without_tls_never_gets_the_password(world: World) -> None:
    with PostgresRecorder() as thief:
        credentials, password = stored(world, thief, "postgres")
        tried(credentials, psycopg.connect)
        assert thief.logins >= 1
        assert password.encode() not in thief.heard


def test_secret_cannot_disable_the_callers_tls(maria_world: MariaDbWorld) -> None:
    arn = maria_world.secret({**maria_world.account(), "ssl": False})
    with (
        credentials_of(maria_world, arn).connect(pymysql.connect, ssl_ca=maria_world.maria.ca) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert cursor.fetchall()[0][1].startswith("TLS")


@pytest.mark.parametrize("stage", ["AWSPENDING", "AWSPREVIOUS"])
@pytest.mark.parametrize("change", ["host", "port", "ssl"])
def test_a_version_with_another_target_is_sent_nowhere(world: World, stage: str, change: str) -> None:
    user = world.user()
    with PostgresRecorder() as thief:
        changes = {"host": "127.0.0.1", "port": thief.port, "ssl": False}
        there = {**user, "port": thief.port, change: changes[change]}
        first, second = (user, there) if stage == "AWSPENDING" else (there, user)
        arn = world.secret(first)
        if stage == "AWSPENDING":
            world.put_pending(arn, world.begin(arn), second)
        else:
            world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(second))
        world.set_password(user["username"], new_password())
        credentials = credentials_of(world, arn, deadline=1)
        with pytest.raises((psycopg.OperationalError, CredentialsRejected)):
            enters(credentials)
        assert thief.logins == 0
    assert credentials.counts()["other-target"] >= 1


@pytest.mark.parametrize(
    "change",
    [
        {"port": "as text"},
        {"host": "in capitals"},
        {"ssl": "true"},
        {"engine": None},
        {"dbname": "template1"},
    ],
)
def test_pending_version_with_other_spelling_logs_in(world: World, change: dict[str, Any]) -> None:
    user = world.user()
    arn = world.secret(user)
    new = {**user, "password": new_password(), **change}
    if "port" in change:
        new["port"] = str(user["port"])
    if "host" in change:
        new["host"] = user["host"].upper()
    world.put_pending(arn, world.begin(arn), new)
    world.set_password(user["username"], new["password"])
    credentials = credentials_of(world, arn)
    assert enters(credentials) == user["username"]
    assert credentials.counts()["pending"] == 1


def test_version_accepted_at_a_passed_host_stays_there(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    with PostgresRecorder() as thief:
        new = {**user, "password": new_password(), "host": "127.0.0.1", "port": thief.port, "ssl": False}
        world.put_pending(arn, world.begin(arn), new)
        world.set_password(user["username"], new["password"])
        credentials = credentials_of(world, arn)
        place = {"host": user["host"], "port": user["port"], "sslmode": "require"}
        assert enters(credentials, **place) == user["username"]
        set_deadline(credentials, 3)
        with pytest.raises((psycopg.OperationalError, CredentialsRejected)):
            enters(credentials)
        assert credentials.secret()["host"] == user["host"]
        assert thief.logins == 0


def test_redis_client_never_sends_another_servers_password(
    redis_world: RedisWorld,
) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = credentials_of(redis_world, arn)
    with redis.Redis(**RedisCredentials(credentials).options()) as client:
        client.ping()
        other = {**user, "port": user["port"] - 1, "password": new_password()}
        redis_world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(other))
        redis_world.admit(other)
        redis_world.refuse(user)
        client.connection_pool.disconnect()
        with pytest.raises(ConfigurationError, match="another server"):
            client.ping()
    assert redis_world.rejected(user["username"]) == 1


def test_redis_client_at_a_proxy_follows_the_secret(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    arn = redis_world.secret({**user, "host": "database.invalid", "port": 1})
    credentials = credentials_of(redis_world, arn)
    place = {"host": user["host"], "port": user["port"]}
    options = [
        {**RedisCredentials(credentials).options(), **place},
        RedisCredentials(credentials).options(**place),
    ]
    for each in options:
        with redis.Redis(**each, decode_responses=True) as client:
            assert client.acl_whoami() == user["username"]


# The value that RDS stores, and the arguments that applications pass.


@pytest.fixture
def managed(world: World) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The ARN of a secret in the form that RDS manages, its complete value, and the database's address."""
    value = world.user()
    arn = world.secret({"username": value["username"], "password": value["password"]})
    place = {"host": value["host"], "port": value["port"], "sslrootcert": value["sslrootcert"]}
    return arn, value, {**place, "dbname": value["dbname"]}


def url_of(place: dict[str, Any], scheme: str = "postgresql") -> str:
    roots = place["sslrootcert"]
    return f"{scheme}://{place['host']}:{place['port']}/{place['dbname']}?sslrootcert={roots}"


def rotated(world: World, arn: str, value: dict[str, Any]) -> None:
    """Change the password as RDS does; the secret contains only user and password."""
    new = {"username": value["username"], "password": new_password()}
    world.set_password(new["username"], new["password"])
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(new))


def test_managed_secret_is_used_at_the_passed_place(
    world: World, managed: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    arn, value, place = managed
    credentials = credentials_of(world, arn)
    conninfo = " ".join(f"{name}={part}" for name, part in place.items())
    ways: list[Any] = [
        lambda: credentials.connect(psycopg.connect, **place),
        lambda: credentials.connect(psycopg.connect, conninfo),
        lambda: credentials.connect(psycopg.connect, conninfo=conninfo),
        lambda: credentials.connect(psycopg.connect, url_of(place)),
        lambda: credentials.connect(functools.partial(psycopg.connect, **place)),
        lambda: credentials.connect(functools.partial(psycopg.connect, conninfo), autocommit=True),
    ]
    for connect in ways:
        with connect() as connection:
            assert connection.info.user == value["username"]
        rotated(world, arn, value)
    assert credentials.counts()["rejected"] == len(ways) - 1


def test_pools_use_a_managed_secret_at_the_place(
    world: World, managed: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    arn, value, place = managed
    credentials = credentials_of(world, arn)
    pools: list[Any] = [
        ConnectionPool(min_size=1, open=True, kwargs=place, **pool_options(credentials)),
        ConnectionPool(url_of(place), min_size=1, open=True, **pool_options(credentials)),
    ]
    for pool in pools:
        with pool, pool.connection(timeout=DAY) as connection:
            assert connection.info.user == value["username"]
    engine = create_engine(url_of(place, "postgresql+psycopg"))
    attach(engine, credentials)
    for _ in range(2):
        with engine.connect() as connected:
            assert connected.scalar(text("SELECT session_user::text")) == value["username"]
        engine.dispose()
        rotated(world, arn, value)
        refresh(credentials)


def test_tasks_use_a_managed_secret_at_the_place(
    world: World, managed: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    arn, value, place = managed
    credentials = AsyncCredentials(arn, cache=SecretCache(client=world.secrets, ttl=DAY))

    async def program() -> None:
        connect = psycopg.AsyncConnection.connect
        for given in ({"conninfo": url_of(place)}, place):
            async with await credentials.connect(connect, **given) as connection:
                assert connection.info.user == value["username"]
            await asyncio.to_thread(rotated, world, arn, value)
        options = async_pool_options(credentials)
        async with (
            AsyncConnectionPool(url_of(place), min_size=1, open=False, **options) as pool,
            pool.connection(timeout=DAY) as connection,
        ):
            assert connection.info.user == value["username"]

    asyncio.run(program())
    assert credentials.counts()["current"] == 2


def test_pymysql_uses_a_managed_secret_at_the_place(maria_world: MariaDbWorld) -> None:
    value = maria_world.account()
    arn = maria_world.secret({"username": value["username"], "password": value["password"]})
    place = {"host": value["host"], "port": value["port"], "ssl_ca": value["sslrootcert"]}
    connect = functools.partial(pymysql.connect, ssl_verify_cert=True, ssl_verify_identity=True)
    credentials = credentials_of(maria_world, arn)
    credentials.connect(connect, **place).close()
    engine = create_engine(f"mysql+pymysql://{value['host']}:{value['port']}")
    engine = create_engine(engine.url, connect_args={"ssl_ca": value["sslrootcert"]})
    attach(engine, credentials)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_pending_version_of_a_managed_secret_logs_in(
    world: World, managed: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    arn, value, place = managed
    new = {"username": value["username"], "password": new_password()}
    world.put_pending(arn, world.begin(arn), new)
    world.set_password(value["username"], new["password"])
    credentials = credentials_of(world, arn)
    assert enters(credentials, **place) == value["username"]
    assert credentials.counts()["pending"] == 1


def test_parameters_and_url_take_the_passed_place(
    world: World, managed: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    arn, value, place = managed
    credentials = credentials_of(world, arn)
    where = {name: place[name] for name in ("host", "port", "dbname")}
    with psycopg.connect(credentials.url(**where), sslrootcert=place["sslrootcert"]) as connection:
        assert connection.info.user == value["username"]
    assert credentials.parameters(**where)["host"] == value["host"]


@pytest.mark.parametrize("given", [{}, {"host": None}, {"port": 5432}])
@pytest.mark.parametrize("connect", [psycopg.connect, pymysql.connect, redis.Redis])
def test_managed_secret_without_a_place_is_an_error(
    world: World, connect: Any, given: dict[str, Any]
) -> None:
    arn = world.secret({"username": "app", "password": new_password()})
    with pytest.raises(SecretFormatError, match="host") as caught:
        credentials_of(world, arn).connect(connect, **given)
    assert "Pass host=" in caught.value.remedy


def test_arguments_in_a_partial_override_the_secret(world: World) -> None:
    value = world.user()
    credentials = credentials_of(world, world.secret({**value, "dbname": "nowhere"}))
    connect = functools.partial(functools.partial(psycopg.connect, dbname="postgres"), autocommit=True)
    with credentials.connect(connect) as connection:
        assert connection.info.dbname == "postgres"


def test_rotation_with_odd_spelling_is_invisible(world: World) -> None:
    user = world.user(unique("app"))
    arn = world.secret({**user, "port": str(user["port"]), "strategy": "single"})
    credentials = credentials_of(world, arn)
    token = world.begin(arn)
    for step in STEPS:
        world.step(step, arn, token)
        enters(credentials)


OTHER_KEY = """-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----
"""
"""A public key; the tests do not have its private key."""
