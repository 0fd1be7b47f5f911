"""pymongo's clients, whose pools log in with the credentials."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, ServerSelectionTimeoutError

from rotators.client import AsyncCredentials, Credentials
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.local.servers.private import free_port
from rotators.testing._proxy import Proxy
from tests.client.conftest import async_credentials_of, credentials_of, refresh, set_deadline
from tests.mongodb.conftest import MongoWorld
from tests.world import new_password, passwords_in

Client = pymongo.MongoClient[dict[str, Any]]

UNWATCHED: dict[str, Any] = {"serverMonitoringMode": "poll", "heartbeatFrequencyMS": 60_000}
"""A client learns by a login, and not by its monitor, that a server is lost."""


def client_of(credentials: Credentials, **given: Any) -> Client:
    return credentials.connect(pymongo.MongoClient, **given)


def user_of(client: Client) -> str:
    return name_in(client.admin.command("connectionStatus"))


def name_in(status: dict[str, Any]) -> str:
    return str(status["authInfo"]["authenticatedUsers"][0]["user"])


def drop(client: Client) -> None:
    """Close the pool's connections, as after maxIdleTimeMS."""
    for server in client._topology._servers.values():
        server.pool.reset_without_pause()


async def drop_async(client: pymongo.AsyncMongoClient[dict[str, Any]]) -> None:
    """As drop."""
    for server in client._topology._servers.values():
        await server.pool.reset_without_pause()


def test_client_made_by_credentials_has_logged_in(mongo_world: MongoWorld) -> None:
    value = mongo_world.account()
    credentials = credentials_of(mongo_world, mongo_world.secret(value))
    with client_of(credentials) as client:
        assert credentials.counts() == {"logins": 1}
        assert user_of(client) == value["username"]


def test_a_user_of_another_database_logs_in(mongo_world: MongoWorld) -> None:
    value = mongo_world.account()
    mongo_world.mongodb.create_user(value["username"], password := new_password(), database="shop")
    there = {**value, "password": password, "dbname": "shop"}
    with client_of(credentials_of(mongo_world, mongo_world.secret(there))) as client:
        (user,) = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
        assert user["db"] == "shop"


def test_later_logins_use_the_rotated_secret(mongo_world: MongoWorld) -> None:
    arn = mongo_world.alternating()
    credentials = credentials_of(mongo_world, arn)
    with client_of(credentials) as client:
        for _ in range(3):
            value = mongo_world.rotate(arn)
            refresh(credentials)
            drop(client)
            assert user_of(client) == value["username"]
    assert credentials.counts() == {"logins": 4}


def test_a_rejected_login_reads_the_secret_again(mongo_world: MongoWorld) -> None:
    value = mongo_world.account(strategy="single")
    arn = mongo_world.secret(value)
    credentials = credentials_of(mongo_world, arn)
    with client_of(credentials) as client:
        mongo_world.rotate(arn)
        drop(client)
        assert user_of(client) == value["username"]
    counts = credentials.counts()
    assert (counts["logins"], counts["rejected"], counts["current"]) == (2, 1, 1)


def test_a_pending_password_is_found(mongo_world: MongoWorld) -> None:
    value = mongo_world.account(strategy="single")
    arn = mongo_world.secret(value)
    credentials = credentials_of(mongo_world, arn)
    with client_of(credentials) as client:
        token = mongo_world.begun(arn)
        mongo_world.step("setSecret", arn, token)
        drop(client)
        assert user_of(client) == value["username"]
    assert credentials.counts()["pending"] == 1


def test_a_wrong_password_is_pymongos_error(mongo_world: MongoWorld) -> None:
    value = {**mongo_world.account(), "password": new_password()}
    credentials = credentials_of(mongo_world, mongo_world.secret(value), logins=1)
    with pytest.raises(OperationFailure) as caught:
        client_of(credentials)
    assert caught.value.code == 18
    assert credentials.counts()["rejected"] == 1
    assert value["password"] not in "".join(traceback.format_exception(caught.value))


def test_an_unavailable_server_does_not_reject_credentials(mongo_world: MongoWorld) -> None:
    arn = mongo_world.secret(mongo_world.account(port=free_port()))
    credentials = credentials_of(mongo_world, arn)
    with pytest.raises(ServerSelectionTimeoutError):
        client_of(credentials, serverSelectionTimeoutMS=200)
    assert credentials.counts().keys() & {"rejected", "refreshed"} == set()


def test_a_lost_server_ends_a_login_at_once(mongo_world: MongoWorld) -> None:
    """The client cannot move, and pymongo itself repeats what it may."""
    with Proxy(mongo_world.mongodb.port) as proxy:
        credentials = credentials_of(mongo_world, mongo_world.secret(mongo_world.account(port=proxy.port)))
        client = client_of(credentials, **UNWATCHED)
    with client:
        drop(client)
        with pytest.raises(AutoReconnect):
            user_of(client)
    assert credentials.counts() == {"logins": 1}


def test_a_lost_server_ends_a_login_of_tasks(mongo_world: MongoWorld) -> None:
    async def program() -> None:
        with Proxy(mongo_world.mongodb.port) as proxy:
            arn = mongo_world.secret(mongo_world.account(port=proxy.port))
            credentials = async_credentials_of(mongo_world, arn)
            client = await credentials.connect(pymongo.AsyncMongoClient, **UNWATCHED)
        async with client:
            await drop_async(client)
            with pytest.raises(AutoReconnect):
                await client.admin.command("ping")
        assert credentials.counts() == {"logins": 1}

    asyncio.run(program())


def test_a_slow_login_of_tasks_is_pymongos_error(mongo_world: MongoWorld) -> None:
    async def program() -> None:
        with Proxy(mongo_world.mongodb.port) as proxy:
            arn = mongo_world.secret(mongo_world.account(port=proxy.port))
            credentials = async_credentials_of(mongo_world, arn)
            async with await credentials.connect(pymongo.AsyncMongoClient, **UNWATCHED) as client:
                set_deadline(credentials, 0.5)
                await drop_async(client)
                proxy.silence()
                with pytest.raises(NetworkTimeout):
                    await client.admin.command("ping")
        assert credentials.counts() == {"logins": 1}

    asyncio.run(program())


def test_a_client_stays_with_its_server(mongo_world: MongoWorld) -> None:
    value = mongo_world.account()
    arn = mongo_world.secret(value)
    credentials = credentials_of(mongo_world, arn)
    with client_of(credentials) as client:
        mongo_world.secrets.put_secret_value(
            SecretId=arn,
            SecretString=f'{{"host": "localhost", "username": "x", "password": "{new_password()}"}}',
        )
        refresh(credentials)
        drop(client)
        with pytest.raises(ConfigurationError, match="another server"):
            user_of(client)


def test_untrusted_servers_get_no_login(mongo_world: MongoWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_ROOT_CERT", raising=False)
    value = mongo_world.account()
    del value["sslrootcert"]
    credentials = credentials_of(mongo_world, mongo_world.secret(value))
    with pytest.raises(ServerSelectionTimeoutError, match="CERTIFICATE_VERIFY_FAILED"):
        client_of(credentials, serverSelectionTimeoutMS=500)


# pymongo's monitors may be connecting when a client is closed, and leave their socket to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_no_login_fails_during_alternating_rotations(mongo_world: MongoWorld) -> None:
    """An application that logs in again and again, by new clients and by the pool of one client."""
    arn = mongo_world.alternating()
    credentials = credentials_of(mongo_world, arn)
    failed: list[Exception] = []
    ended = threading.Event()

    def repeat(log_in: Callable[[], object]) -> None:
        while not ended.is_set():
            try:
                log_in()
            except Exception as error:  # noqa: BLE001 - any error is a failed login
                failed.append(error)

    with client_of(credentials) as kept:

        def from_the_pool() -> None:
            drop(kept)
            user_of(kept)

        applications = [
            threading.Thread(target=repeat, args=[each])
            for each in (lambda: client_of(credentials).close(), from_the_pool)
        ]
        for application in applications:
            application.start()
        for _ in range(4):
            mongo_world.rotate(arn)
        ended.set()
        for application in applications:
            application.join()
    gc.collect()
    assert not failed
    assert credentials.counts()["logins"] > 2


def test_tasks_log_in_through_rotations_too(mongo_world: MongoWorld) -> None:
    arn = mongo_world.alternating()
    credentials = async_credentials_of(mongo_world, arn)

    async def program() -> None:
        async with await credentials.connect(pymongo.AsyncMongoClient) as client:
            for _ in range(3):
                value = await asyncio.to_thread(mongo_world.rotate, arn)
                await asyncio.to_thread(credentials.cache.refresh_secret_now, arn)
                await drop_async(client)
                assert name_in(await client.admin.command("connectionStatus")) == value["username"]

    asyncio.run(program())
    assert credentials.counts()["logins"] == 4


def test_a_client_shows_no_password(mongo_world: MongoWorld) -> None:
    credentials = credentials_of(mongo_world, mongo_world.secret(mongo_world.account()))
    with client_of(credentials) as client:
        (server,) = client._topology._servers.values()
        shown = [repr(each) for each in (client, server.pool, server.pool.opts, credentials, client.options)]
    assert not [text for text in shown if passwords_in(text)]


@pytest.mark.parametrize(
    ("args", "given"),
    [
        ((None,), {}),
        ((None, None, dict), {}),
        ((), {"authsource": "admin"}),
        ((), {"AUTHSOURCE": "admin", "ssl": True}),
    ],
)
def test_arguments_are_understood_as_pymongo_does(
    mongo_world: MongoWorld, args: tuple[Any, ...], given: dict[str, Any]
) -> None:
    value = mongo_world.account(host="127.0.0.1", dbname="unknown" if given else None)
    credentials = credentials_of(mongo_world, mongo_world.secret(value))
    with credentials.connect(pymongo.MongoClient, *args, **given) as client:
        assert client.address == (value["host"], value["port"])
        assert user_of(client) == value["username"]


@pytest.mark.parametrize(
    "given",
    [
        {"USERNAME": "x"},
        {"username": "x"},
        {"password": "x"},
        {"host": "mongodb://user:x@localhost"},
        {"host": ["a", "u@b"]},
    ],
)
def test_a_user_of_the_callers_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        client_of(Credentials("s"), **given)


def test_clients_for_the_wrong_waiting_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="threads"):
        Credentials("s").connect(pymongo.AsyncMongoClient)
    with pytest.raises(ConfigurationError, match="asyncio"):
        asyncio.run(AsyncCredentials("s").connect(pymongo.MongoClient))
