"""psycopg_pool on a real PostgreSQL, during and after rotations."""

from __future__ import annotations

import asyncio
import gc
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client.integrations.psycopg import async_pool_options, pool_options
from tests.client.conftest import DAY, Switch, age, credentials_of, refresh
from tests.waiting import until
from tests.world import World, new_password

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

Pool = ConnectionPool[psycopg.Connection[Any]]


def pool_of(credentials: Credentials, size: int = 1, **options: Any) -> Pool:
    pool: Pool = ConnectionPool(
        min_size=1, max_size=size, open=True, timeout=DAY, **pool_options(credentials), **options
    )
    # Otherwise the first request makes the pool grow.
    pool.wait(DAY)
    return pool


@asynccontextmanager
async def async_pool_of(
    credentials: AsyncCredentials, size: int = 1
) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(
        min_size=1, max_size=size, open=False, timeout=DAY, **async_pool_options(credentials)
    ) as pool:
        await pool.wait(DAY)
        yield pool


def who(connection: psycopg.Connection[Any]) -> tuple[int, str]:
    """The connection's process on the server, and its user, independent of its role."""
    row = connection.execute("SELECT pg_backend_pid(), session_user::text").fetchone()
    assert row is not None
    return row[0], row[1]


async def async_who(connection: psycopg.AsyncConnection[Any]) -> tuple[int, str]:
    cursor = await connection.execute("SELECT pg_backend_pid(), session_user::text")
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


def is_open(world: World, pid: int) -> bool:
    return bool(world.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))


def alternating(world: World) -> tuple[dict[str, Any], str]:
    user = world.user()
    return user, world.secret({**user, "masterarn": world.admin_secret()})


def until_set(world: World, arn: str) -> str:
    token = world.begin(arn)
    for step in ("createSecret", "setSecret"):
        world.step(step, arn, token)
    return token


def until_finished(world: World, arn: str, token: str) -> None:
    for step in ("testSecret", "finishSecret"):
        world.step(step, arn, token)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_pools_connections_are_made_by_the_credentials(world: World) -> None:
    user = world.user()
    credentials = credentials_of(world, world.secret(user))
    with pool_of(credentials, 2) as pool, pool.connection() as one, pool.connection() as other:
        assert who(one)[1] == who(other)[1] == user["username"]
        assert not one.autocommit
        assert user["password"] not in f"{pool!r} {one!r} {vars(pool)}"
    assert credentials.counts() == {"logins": 2}


def test_arguments_of_the_caller_override_the_secret(world: World) -> None:
    credentials = credentials_of(world, world.secret(world.user()))
    given = {"dbname": "template1", "application_name": "shop", "autocommit": True}
    with pool_of(credentials, kwargs=given) as pool, pool.connection() as connection:
        assert (connection.info.dbname, connection.autocommit) == ("template1", True)
        assert connection.info.get_parameters()["application_name"] == "shop"


def test_a_class_of_the_callers_is_built_on(world: World) -> None:
    class Own(psycopg.Connection[Any]):
        pass

    options = pool_options(credentials_of(world, world.secret(world.user())), Own)
    pool: ConnectionPool[Own] = ConnectionPool(min_size=1, open=True, timeout=DAY, **options)
    with pool, pool.connection() as connection:
        assert isinstance(connection, Own)


def test_pool_grows_between_set_and_finish(world: World) -> None:
    arn = world.secret(world.user())
    credentials = credentials_of(world, arn)
    with pool_of(credentials, 3) as pool, pool.connection() as old:
        token = until_set(world, arn)
        with pool.connection() as new, pool.connection() as another:
            assert len({who(connection) for connection in (old, new, another)}) == 3
        until_finished(world, arn, token)
        refresh(credentials)
        with pool.connection() as kept:
            assert kept in {new, another}
    counts = credentials.counts()
    # One rejection informs all connections, and the promotion does not affect those opened afterwards.
    assert (counts["pending"], counts["rejected"], counts["logins"]) == (1, 1, 3)


def test_idle_retired_connection_is_replaced_at_checkout(world: World) -> None:
    user, arn = alternating(world)
    credentials = credentials_of(world, arn)
    with pool_of(credentials) as pool:
        with pool.connection() as connection:
            before = who(connection)
        clone = world.rotate(arn)["username"]
        with pool.connection() as connection:
            assert who(connection) == before
        refresh(credentials)
        with pool.connection() as connection:
            after = who(connection)
    assert (before[1], after[1]) == (user["username"], clone)
    until(lambda: not is_open(world, before[0]))
    assert credentials.counts() == {"logins": 2, "retired": 1}


def test_moved_stage_is_noticed_when_the_cache_expires(world: World) -> None:
    user, arn = alternating(world)
    credentials = Credentials(arn, cache=SecretCache(client=world.secrets, stale_seconds=0))
    with pool_of(credentials) as pool:
        clone = world.rotate(arn)["username"]
        age(credentials.cache)
        with pool.connection() as connection:
            assert who(connection)[1] == clone != user["username"]


def test_all_idle_retired_connections_are_replaced_together(
    world: World,
) -> None:
    _, arn = alternating(world)
    credentials = credentials_of(world, arn)
    with pool_of(credentials, 4) as pool:
        with ExitStack() as taken:
            before = {who(taken.enter_context(pool.connection()))[0] for _ in range(4)}
        clone = world.rotate(arn)["username"]
        refresh(credentials)
        with ExitStack() as taken:
            after = {who(taken.enter_context(pool.connection())) for _ in range(4)}
    assert {name for _, name in after} == {clone}
    assert before.isdisjoint(pid for pid, _ in after)
    assert credentials.counts() == {"logins": 8, "retired": 1}


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_transaction_survives_two_rotations(world: World, strategy: str) -> None:
    user = world.user(options="CONNECTION LIMIT 5")
    admin = {"masterarn": world.admin_secret()} if strategy == "alternating" else {}
    arn = world.secret({**user, **admin})
    credentials = credentials_of(world, arn)
    with pool_of(credentials) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TEMPORARY TABLE work (step int)")
            connection.execute("INSERT INTO work VALUES (1)")
            before = who(connection)
            for _ in range(2):
                world.rotate(arn)
                refresh(credentials)
            assert is_open(world, before[0])
            connection.execute("INSERT INTO work VALUES (2)")
            assert connection.execute("SELECT count(*) FROM work").fetchone() == (2,)
            assert who(connection) == before
        with pool.connection() as connection:
            assert who(connection)[0] != before[0]
    until(lambda: not is_open(world, before[0]))


def test_pool_uses_stale_values_while_reads_fail(world: World) -> None:
    arn, source = world.secret(world.user()), Switch(world)
    credentials = Credentials(arn, cache=SecretCache(source=source))
    with pool_of(credentials, 2) as pool, pool.connection() as one:
        source.down = True
        age(credentials.cache)
        # This connection is new: its password is returned after its lifetime.
        with pool.connection() as other:
            assert who(one)[1] == who(other)[1]
        with pool.connection() as again:
            assert again is other
    assert source.asked.count("AWSCURRENT") > 1


def test_pool_keeps_connections_while_the_secret_is_unreadable(world: World) -> None:
    arn, source = world.secret(world.user()), Switch(world)
    cache = SecretCache(source=source, ttl=DAY, stale_seconds=0)
    credentials = Credentials(arn, cache=cache)
    with pool_of(credentials) as pool:
        with pool.connection() as connection:
            before = who(connection)
        source.down = True
        cache.clear()
        with pool.connection() as connection:
            assert who(connection) == before
    assert credentials.counts() == {"logins": 1, "unreadable": 1}


def test_pool_without_a_working_password_times_out(world: World) -> None:
    user = world.user()
    credentials = credentials_of(world, world.secret(user), deadline=0.5)
    world.set_password(user["username"], new_password())
    with (
        ConnectionPool(min_size=0, max_size=1, open=True, timeout=1, **pool_options(credentials)) as pool,
        pytest.raises(PoolTimeout),
        pool.connection(),
    ):
        pass
    assert credentials.counts()["rejected"] <= 2


def test_async_pool_grows_between_set_and_finish(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    credentials = AsyncCredentials(arn, cache=SecretCache(client=world.secrets, ttl=DAY))

    async def work() -> None:
        async with async_pool_of(credentials, 2) as pool, pool.connection() as old:
            token = await asyncio.to_thread(until_set, world, arn)
            async with pool.connection() as new:
                assert (await async_who(old))[1] == (await async_who(new))[1] == user["username"]
            await asyncio.to_thread(until_finished, world, arn, token)
            async with pool.connection() as kept:
                assert kept is new

    run(work())
    assert credentials.counts()["pending"] == 1


def test_async_pool_replaces_connections_between_transactions(world: World) -> None:
    user, arn = alternating(world)
    cache = SecretCache(client=world.secrets, ttl=DAY)
    credentials = AsyncCredentials(arn, cache=cache)

    async def work() -> None:
        async with async_pool_of(credentials) as pool:
            async with pool.connection() as connection:
                before = await async_who(connection)
                clone = (await asyncio.to_thread(world.rotate, arn))["username"]
                await asyncio.to_thread(cache.refresh_secret_now, arn)
                assert await async_who(connection) == before
            async with pool.connection() as connection:
                after = await async_who(connection)
        assert (before[1], after[1]) == (user["username"], clone)

    run(work())
    assert credentials.counts() == {"logins": 2, "retired": 1}


def test_async_pool_keeps_connections_while_reads_fail(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    arn, source = world.secret(world.user()), Switch(world)
    cache = SecretCache(source=source, ttl=DAY, stale_seconds=0)
    credentials = AsyncCredentials(arn, cache=cache)

    async def work() -> None:
        async with async_pool_of(credentials) as pool:
            async with pool.connection() as connection:
                before = await async_who(connection)
            source.down = True
            cache.clear()
            async with pool.connection() as connection:
                assert await async_who(connection) == before

    run(work())
    assert credentials.counts() == {"logins": 1, "unreadable": 1}
    # asyncio also reports no unhandled error.
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
