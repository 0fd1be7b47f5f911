"""AWSCURRENT names another server or database than the cached version."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import create_engine, text

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client.integrations.psycopg import async_pool_options, pool_options
from rotators.client.integrations.sqlalchemy import attach
from rotators.local.servers.private import free_port
from rotators.testing._proxy import Proxy
from tests.client.conftest import DAY, credentials_of, enters, reader

if TYPE_CHECKING:
    from rotators.testing._trouble import Trouble
    from tests.mysql.conftest import MariaDbWorld
    from tests.world import World


@pytest.fixture(params=["a closed port", "an unknown host", "an unknown database", "an untrusted server"])
def old_place(request: pytest.FixtureRequest, world: World) -> dict[str, Any]:
    places: dict[str, dict[str, Any]] = {
        "a closed port": {"port": free_port()},
        "an unknown host": {"host": "nowhere.invalid"},
        "an unknown database": {"dbname": "nowhere"},
        "an untrusted server": {"sslrootcert": world.some_authority()},
    }
    return places[request.param]


def moved(world: World, cache: SecretCache, old_place: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A secret whose address changed after a cache read it; its ARN and its new value."""
    value = world.user()
    arn = world.secret({**value, **old_place})
    cache.read(arn)
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
    return arn, value


@pytest.fixture
def cache(trouble: Trouble) -> SecretCache:
    return SecretCache(client=reader(trouble), ttl=DAY)


def test_a_connection_is_made_at_the_new_address(
    world: World, cache: SecretCache, trouble: Trouble, old_place: dict[str, Any]
) -> None:
    arn, value = moved(world, cache, old_place)
    credentials = Credentials(arn, cache=cache)
    for _ in range(2):
        assert enters(credentials) == value["username"]
    assert trouble.calls["GetSecretValue"] == 2
    assert credentials.counts()["moved"] == 1


def test_a_task_connects_at_the_new_address(
    world: World, cache: SecretCache, old_place: dict[str, Any]
) -> None:
    arn, _ = moved(world, cache, old_place)
    credentials = AsyncCredentials(arn, cache=cache)

    async def program() -> None:
        async with await credentials.connect(psycopg.AsyncConnection.connect) as connection:
            await connection.execute("SELECT 1")

    asyncio.run(program())
    assert credentials.counts()["moved"] == 1


def test_a_pool_is_filled_from_the_new_address(
    world: World, cache: SecretCache, old_place: dict[str, Any]
) -> None:
    arn, value = moved(world, cache, old_place)
    with (
        ConnectionPool(min_size=2, open=True, **pool_options(Credentials(arn, cache=cache))) as pool,
        pool.connection(timeout=DAY) as connection,
    ):
        assert connection.info.user == value["username"]


def test_async_pool_is_filled_from_the_new_address(
    world: World, cache: SecretCache, old_place: dict[str, Any]
) -> None:
    arn, value = moved(world, cache, old_place)
    options = async_pool_options(AsyncCredentials(arn, cache=cache))

    async def program() -> None:
        async with (
            AsyncConnectionPool(min_size=2, open=False, **options) as pool,
            pool.connection(timeout=DAY) as connection,
        ):
            assert connection.info.user == value["username"]

    asyncio.run(program())


def test_an_engine_connects_at_the_new_address(
    world: World, cache: SecretCache, old_place: dict[str, Any]
) -> None:
    arn, value = moved(world, cache, old_place)
    engine = create_engine("postgresql+psycopg://")
    attach(engine, Credentials(arn, cache=cache))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT session_user::text")) == value["username"]
    engine.dispose()


@pytest.mark.parametrize("change", [{"dbname": "nowhere"}, {"port": free_port()}, {"host": "127.0.0.2"}])
def test_mariadb_is_followed_too(maria_world: MariaDbWorld, change: dict[str, Any]) -> None:
    value = maria_world.account(grants=("GRANT SELECT ON *.* TO {}",))
    arn = maria_world.secret({**value, **change})
    credentials = credentials_of(maria_world, arn)
    credentials.secret()
    maria_world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
    with credentials.connect(pymysql.connect) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert credentials.counts()["moved"] == 1


def test_silent_old_server_leaves_time_for_the_new(world: World, cache: SecretCache) -> None:
    with Proxy(world.server.port) as wire:
        wire.silence()
        arn, value = moved(world, cache, {"port": wire.port})
        assert enters(Credentials(arn, cache=cache)) == value["username"]


def test_all_threads_follow_and_one_of_them_reads(world: World, cache: SecretCache, trouble: Trouble) -> None:
    arn, value = moved(world, cache, {"port": free_port()})
    credentials = Credentials(arn, cache=cache)
    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(lambda _: enters(credentials), range(16))) == {value["username"]}
    assert trouble.calls["GetSecretValue"] == 2


def test_threads_share_reads_during_an_outage(world: World, cache: SecretCache, trouble: Trouble) -> None:
    arn = world.secret({**world.user(), "port": free_port()})
    credentials = Credentials(arn, cache=cache, deadline=3)
    credentials.secret()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(8)]
        assert {type(one.exception()) for one in asked} == {psycopg.OperationalError}
    assert 2 <= trouble.calls["GetSecretValue"] <= 2 + (time.monotonic() - began) / 2


def test_missing_database_causes_one_read_in_two_seconds(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = world.secret({**world.user(), "dbname": "nowhere"})
    credentials = Credentials(arn, cache=cache)
    credentials.secret()
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            enters(credentials)
    assert trouble.calls["GetSecretValue"] <= 2 + (time.monotonic() - began) / 2
