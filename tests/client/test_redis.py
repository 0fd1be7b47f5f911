"""redis-py's clients on a real Redis."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rotators.client import Credentials
from rotators.client.integrations.redis import RedisCredentials
from rotators.core.errors import CredentialsRejected, InvalidInput
from rotators.local.servers.private import free_port
from rotators.testing._proxy import Proxy
from tests.client.conftest import RedisWorld, credentials_of, refresh, set_deadline
from tests.world import new_password, passwords_in

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


def client_of(credentials: Credentials, **options: Any) -> redis.Redis:
    return redis.Redis(**RedisCredentials(credentials).options(), decode_responses=True, **options)


def user_of(connection: Any) -> str:
    connection.send_command("ACL WHOAMI")
    return str(connection.read_response())


@PROTOCOLS
def test_client_made_by_credentials_has_logged_in(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    credentials = credentials_of(redis_world, redis_world.secret(user))
    with credentials.connect(redis.Redis, protocol=protocol, decode_responses=True) as client:
        assert credentials.counts() == {"logins": 1}
        assert client.acl_whoami() == user["username"]
        assert client.get_connection_kwargs()["protocol"] == protocol


@PROTOCOLS
def test_client_made_with_the_options_logs_in(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    with client_of(credentials_of(redis_world, redis_world.secret(user)), protocol=protocol) as client:
        assert client.acl_whoami() == user["username"]


def test_database_and_client_name_are_set_after_login(redis_world: RedisWorld) -> None:
    credentials = credentials_of(redis_world, redis_world.secret(redis_world.account()))
    with client_of(credentials, db=3, client_name="shop") as client:
        assert client.client_info()["db"] == 3
        assert client.client_getname() == "shop"


@PROTOCOLS
def test_client_follows_the_pending_and_current_versions(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = credentials_of(redis_world, arn)
    with client_of(credentials, protocol=protocol) as client:
        client.ping()
        token = redis_world.change(arn)
        client.connection_pool.disconnect()
        assert client.acl_whoami() == user["username"]
        assert credentials.counts()["pending"] == 1
        redis_world.promote(arn, token)
        redis_world.promote(arn, redis_world.change(arn))
        client.connection_pool.disconnect()
        assert client.acl_whoami() == user["username"]
    counts = credentials.counts()
    assert (counts["logins"], counts["rejected"], counts["current"]) == (3, 2, 1)
    assert redis_world.rejected(user["username"]) == 2


@PROTOCOLS
def test_later_connections_of_the_pool_share_results(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = credentials_of(redis_world, arn)
    with client_of(credentials, protocol=protocol) as client:
        pool = client.connection_pool
        old = pool.get_connection()
        redis_world.change(arn)
        new = [pool.get_connection() for _ in range(3)]
        assert [user_of(connection) for connection in (old, *new)] == [user["username"]] * 4
        for connection in (old, *new):
            pool.release(connection)
    # The first rejection informs all of them.
    assert redis_world.rejected(user["username"]) == 1
    assert credentials.counts()["pending"] == 1


@PROTOCOLS
def test_database_and_name_are_set_after_a_rejection(redis_world: RedisWorld, protocol: int) -> None:
    arn = redis_world.secret(redis_world.account())
    credentials = credentials_of(redis_world, arn)
    with client_of(credentials, protocol=protocol, db=3, client_name="shop") as client:
        assert (client.client_info()["db"], client.client_getname()) == (3, "shop")
        redis_world.change(arn)
        client.connection_pool.disconnect()
        assert (client.client_info()["db"], client.client_getname()) == (3, "shop")


@PROTOCOLS
def test_rejected_user_ends_in_redis_error(redis_world: RedisWorld, protocol: int) -> None:
    user = redis_world.account()
    credentials = credentials_of(redis_world, redis_world.secret(user), logins=1)
    with client_of(credentials, protocol=protocol) as client:
        redis_world.refuse(user)
        with pytest.raises(redis.AuthenticationError):
            client.ping()
    assert redis_world.rejected(user["username"]) == credentials.counts()["rejected"] == 1


def test_each_stored_version_is_tried_once(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    arn = redis_world.secret(user)
    redis_world.promote(arn, redis_world.change(arn))
    redis_world.change(arn)
    redis_world.refuse(redis_world.value(arn, "AWSPENDING"))
    credentials = credentials_of(redis_world, arn, logins=3)
    with client_of(credentials) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert redis_world.rejected(user["username"]) == credentials.counts()["rejected"] == 3


def test_held_back_login_leaves_no_open_connection(
    redis_world: RedisWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotators.client._login_results._FIRST_HOLD", 60.0)
    user = redis_world.account()
    arn = redis_world.secret(user)
    credentials = credentials_of(redis_world, arn, logins=1)
    with client_of(credentials) as client:
        redis_world.refuse(user)
        with pytest.raises(redis.AuthenticationError):
            client.ping()
        set_deadline(credentials, 2.0)
        with pytest.raises(CredentialsRejected, match="held-back"):
            client.ping()
        set_deadline(credentials, 60.0)
        redis_world.admit(user)
        redis_world.promote(arn, redis_world.change(arn))
        refresh(credentials)
        assert client.acl_whoami() == user["username"]
    assert redis_world.rejected(user["username"]) == 1


def test_an_unavailable_server_does_not_reject_credentials(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    arn = redis_world.secret({**user, "port": free_port()})
    credentials = credentials_of(redis_world, arn, deadline=1.0)
    with pytest.raises(redis.ConnectionError) as caught:
        credentials.connect(redis.Redis, retry=Retry(NoBackoff(), 2))
    assert not isinstance(caught.value, redis.AuthenticationError)
    assert credentials.counts().keys() & {"rejected", "refreshed"} == set()


def test_dropped_login_is_repeated_with_the_same_version(
    redis_world: RedisWorld,
) -> None:
    with Proxy(redis_world.redis.port) as wire:
        wires = [wire]

        class Dropped(redis.SSLConnection):
            def on_connect(self) -> None:
                if wires:
                    wires.pop().cut()
                super().on_connect()  # type: ignore[no-untyped-call] # redis-py has no types here

        user = redis_world.account()
        credentials = credentials_of(redis_world, redis_world.secret({**user, "port": wire.port}))
        options = RedisCredentials(credentials).options()
        del options["ssl"]
        pool = redis.ConnectionPool(connection_class=Dropped, decode_responses=True, **options)
        with redis.Redis(connection_pool=pool) as client:
            assert client.acl_whoami() == user["username"]
        pool.disconnect()
    assert credentials.counts() == {"logins": 1, "unavailable": 1, "refreshed": 1}


def test_missing_permission_is_not_a_rejection(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    redis_world.redis.acl("SETUSER", user["username"], "-select")
    credentials = credentials_of(redis_world, redis_world.secret(user))
    with client_of(credentials, db=2) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.ping()
    assert credentials.counts() == {}


def test_a_client_shows_no_password(redis_world: RedisWorld) -> None:
    credentials = credentials_of(redis_world, redis_world.secret(redis_world.account()))
    provider = RedisCredentials(credentials)
    with redis.Redis(**provider.options()) as client:
        client.ping()
        pool = client.connection_pool
        connection = pool.get_connection()
        shown = [repr(thing) for thing in (client, pool, connection, provider, credentials)]
        shown += [str(vars(connection)), str(pool.connection_kwargs), str(provider.options())]
        pool.release(connection)
    assert not [text for text in shown if passwords_in(text)]


def test_error_of_a_rejected_login_holds_no_password(redis_world: RedisWorld) -> None:
    user = redis_world.account()
    credentials = credentials_of(redis_world, redis_world.secret(user), logins=1)
    redis_world.refuse(user)
    with client_of(credentials) as client, pytest.raises(redis.AuthenticationError) as caught:
        client.ping()
    assert user["password"] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["username", "password"])
def test_a_user_of_the_callers_is_refused(redis_world: RedisWorld, name: str) -> None:
    credentials = credentials_of(redis_world, redis_world.secret(redis_world.account()))
    with pytest.raises(InvalidInput):
        credentials.connect(redis.Redis, **{name: new_password()})
