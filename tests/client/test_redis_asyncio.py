"""redis-py's client for asyncio on a real Redis."""

from __future__ import annotations

import asyncio
import functools
import gc
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from rotators.client import AsyncCredentials, Credentials
from rotators.client.integrations.redis import RedisCredentials
from rotators.client.integrations.redis_asyncio import AsyncRedisCredentials
from rotators.core.errors import ConfigurationError, CredentialsRejected, InvalidInput
from rotators.testing._proxy import Proxy
from tests.client.conftest import RedisWorld, async_credentials_of, set_deadline
from tests.world import new_password, passwords_in

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


def run(program: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await program()

    return asyncio.run(main())


async def client_of(credentials: AsyncCredentials, **options: Any) -> redis.asyncio.Redis:
    given = await AsyncRedisCredentials(credentials).options()
    return redis.asyncio.Redis(**given, decode_responses=True, **options)


@PROTOCOLS
def test_client_made_by_credentials_has_logged_in(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    credentials = async_credentials_of(redis_world, redis_world.secret(user))

    async def program() -> None:
        client = await credentials.connect(redis.asyncio.Redis, protocol=protocol, decode_responses=True)
        async with client:
            assert credentials.counts() == {"logins": 1}
            assert await client.acl_whoami() == user["username"]

    run(program)


@PROTOCOLS
def test_client_follows_the_pending_and_current_versions(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = async_credentials_of(redis_world, arn)

    async def program() -> None:
        async with await client_of(credentials, protocol=protocol, db=3, client_name="shop") as client:
            await client.ping()
            token = await asyncio.to_thread(redis_world.change, arn)
            await client.connection_pool.disconnect()
            assert await client.acl_whoami() == user["username"]
            assert credentials.counts()["pending"] == 1
            await asyncio.to_thread(redis_world.promote, arn, token)
            await asyncio.to_thread(lambda: redis_world.promote(arn, redis_world.change(arn)))
            await client.connection_pool.disconnect()
            assert await client.acl_whoami() == user["username"]
            assert (await client.client_info())["db"] == 3
            assert await client.client_getname() == "shop"

    run(program)
    counts = credentials.counts()
    assert (counts["logins"], counts["rejected"], counts["current"]) == (3, 2, 1)
    assert redis_world.rejected(user["username"]) == 2


def test_many_tasks_follow_a_rotation_together(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = async_credentials_of(redis_world, arn)

    async def program() -> None:
        async with await client_of(credentials) as client:
            await client.ping()
            await asyncio.to_thread(redis_world.change, arn)
            await client.connection_pool.disconnect()
            users = await asyncio.gather(*(client.acl_whoami() for _ in range(8)))
            assert users == [user["username"]] * 8

    run(program)
    # One for each login that was under way, and no more.
    assert redis_world.rejected(user["username"]) == credentials.counts()["rejected"] <= 8


@PROTOCOLS
def test_rejected_user_ends_in_redis_error(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    credentials = async_credentials_of(redis_world, redis_world.secret(user), logins=1)

    async def program() -> None:
        async with await client_of(credentials, protocol=protocol) as client:
            redis_world.refuse(user)
            with pytest.raises(redis.AuthenticationError) as caught:
                await client.ping()
        assert user["password"] not in "".join(traceback.format_exception(caught.value))

    run(program)
    assert redis_world.rejected(user["username"]) == credentials.counts()["rejected"] == 1


def test_held_back_login_leaves_no_open_connection(
    redis_world: RedisWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotators.client._login_results._FIRST_HOLD", 60.0)
    user = redis_world.account()
    credentials = async_credentials_of(redis_world, redis_world.secret(user), logins=1)

    async def program() -> None:
        async with await client_of(credentials) as client:
            redis_world.refuse(user)
            with pytest.raises(redis.AuthenticationError):
                await client.ping()
            set_deadline(credentials, 2.0)
            with pytest.raises(CredentialsRejected, match="held-back"):
                await client.ping()

    run(program)
    assert redis_world.rejected(user["username"]) == 1


def test_a_server_elsewhere_gets_no_password(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = async_credentials_of(redis_world, arn)
    with Proxy(redis_world.redis.port) as wire:

        async def program() -> None:
            async with await client_of(credentials) as client:
                await client.ping()
                value = {**user, "port": wire.port}
                await asyncio.to_thread(redis_world.put_current, arn, value)
                await asyncio.to_thread(credentials.cache.refresh_secret_now, arn)
                await client.connection_pool.disconnect()
                with pytest.raises(ConfigurationError, match="another server"):
                    await client.ping()

        run(program)


def test_refused_login_closes_a_silent_connection(redis_world: RedisWorld) -> None:
    with Proxy(redis_world.redis.port) as wire:

        class Silenced(AsyncRedisCredentials):
            async def log_in(self, *args: Any, **kwargs: Any) -> None:
                wire.silence()  # so that the server never ends TLS
                await super().log_in(*args, **kwargs)

        user = redis_world.account()
        arn = redis_world.secret({**user, "port": wire.port})
        credentials = async_credentials_of(redis_world, arn)

        async def program() -> None:
            async with redis.asyncio.Redis(**await Silenced(credentials).options()) as client:
                await asyncio.to_thread(redis_world.put_current, arn, user)
                await asyncio.to_thread(credentials.cache.refresh_secret_now, arn)
                with pytest.raises(ConfigurationError, match="another server"):
                    await client.ping()

        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always", ResourceWarning)
            run(program)
            gc.collect()
    # The collection can find objects of earlier tests too.
    assert not [str(each.message) for each in shown if str(wire.port) in str(each.message)]


def test_a_client_shows_no_password(redis_world: RedisWorld) -> None:
    credentials = async_credentials_of(redis_world, redis_world.secret(redis_world.account()))

    async def program() -> list[str]:
        async with await client_of(credentials) as client:
            await client.ping()
            pool: Any = client.connection_pool
            connection = await pool.get_connection()
            shown = [repr(each) for each in (client, pool, connection, credentials, pool.connection_kwargs)]
            shown.append(repr(connection.credential_provider))
            await pool.release(connection)
            return shown

    shown = run(program)
    assert not [text for text in shown if passwords_in(text)]


def test_clients_for_threads_and_asyncio_are_distinguished(redis_world: RedisWorld) -> None:
    arn = redis_world.secret(redis_world.account())
    asynchronous = async_credentials_of(redis_world, arn)
    for_asyncio: list[Any] = [redis.asyncio.Redis, redis.asyncio.RedisCluster, redis.asyncio.Redis.from_url]
    for make in for_asyncio:
        with pytest.raises(ConfigurationError, match="AsyncCredentials"):
            Credentials(arn).connect(make)
    for_threads: list[Any] = [redis.Redis, redis.RedisCluster]
    for make in for_threads:
        with pytest.raises(ConfigurationError, match="threads"):
            run(functools.partial(asynchronous.connect, make))
    with pytest.raises(InvalidInput):
        AsyncRedisCredentials(Credentials(arn))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        RedisCredentials(asynchronous)  # type: ignore[arg-type]


def test_a_user_of_the_callers_is_refused(redis_world: RedisWorld) -> None:
    credentials = async_credentials_of(redis_world, redis_world.secret(redis_world.account()))
    with pytest.raises(InvalidInput):
        run(lambda: credentials.connect(redis.asyncio.Redis, password=new_password()))
