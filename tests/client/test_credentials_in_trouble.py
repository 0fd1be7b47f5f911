"""Logins while servers, networks or permissions fail."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from rotators.aws.secrets import SecretsManager
from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client._flow import Attempt
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorDefect,
    SecretFormatError,
)
from rotators.engines.postgres.driver import PSYCOPG
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.private import free_port
from rotators.logins.driver import Driver, Verdict
from rotators.testing._case import STEPS
from rotators.testing._proxy import Proxy
from rotators.testing._trouble import Trouble
from tests.client.conftest import age, enters, reader, set_deadline, single
from tests.world import World, new_password, unique


def allowed(arn: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    return {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }


def test_denied_pending_version_changes_nothing_else(
    world: World, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    arn = single(world)
    narrow = {"StringEquals": {"secretsmanager:VersionStage": ["AWSCURRENT", "AWSPREVIOUS"]}}
    cache = SecretCache(client=reader(trouble, "local-application"))
    credentials = Credentials(arn, cache=cache, deadline=1)
    world.aws.watch({"application": allowed(arn, narrow)["Statement"]})
    try:
        cache.read(arn)
        token = world.begin(arn)
        for step in STEPS[:2]:
            world.step(step, arn, token)
        for _ in range(2):
            with pytest.raises((psycopg.OperationalError, CredentialsRejected)):
                enters(credentials)
        world.step("testSecret", arn, token)
        world.step("finishSecret", arn, token)
        enters(Credentials(arn, cache=cache))
    finally:
        world.aws.watch(None)
    assert credentials.counts()["denied"] == 1
    assert "denied" in caplog.text


def test_denied_secret_names_the_missing_permission(world: World, trouble: Trouble) -> None:
    arn = single(world)
    world.aws.watch({"application": []})
    try:
        credentials = Credentials(arn, cache=SecretCache(client=reader(trouble, "local-application")))
        with pytest.raises(AccessDenied, match="Grant the caller GetSecretValue"):
            enters(credentials)
    finally:
        world.aws.watch(None)


def test_other_errors_are_raised_without_reading_anything(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    credentials = Credentials(single(world), cache=cache)
    enters(credentials)
    trouble.calls.clear()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        enters(credentials, dbname="nowhere")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        enters(credentials, host="127.0.0.1", sslmode="verify-full", sslrootcert="/dev/null")

    def failing(**_: Any) -> None:
        raise ValueError("password authentication failed, says the application")

    with pytest.raises(ValueError, match="the application"):
        credentials.connect(failing, driver="psycopg")
    assert trouble.calls == {}
    assert set(credentials.counts()) == {"logins"}


def test_a_users_name_is_not_taken_as_rejection(world: World, cache: SecretCache) -> None:
    arn = world.secret(world.user(unique("password authentication failed")))
    credentials = Credentials(arn, cache=cache)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        enters(credentials, dbname="nowhere")
    assert "rejected" not in credentials.counts()


def test_connect_waits_for_a_server_restart(trouble: Trouble, world: World) -> None:
    with PostgresServer() as server:
        arn = world.secret({**server.secret(), "strategy": "single"})
        credentials = Credentials(arn, cache=SecretCache(client=reader(trouble)))
        restarting = threading.Thread(target=server.restart, args=(1.0,))

        def login(attempt: Attempt) -> psycopg.Connection[Any]:
            while True:
                connection = psycopg.connect(**PSYCOPG.arguments(attempt.secret, attempt.seconds, {}))
                if not restarting.is_alive() or "unavailable" in credentials.counts():
                    return connection
                connection.close()

        restarting.start()
        credentials.login(login, PSYCOPG).close()
        restarting.join()
    assert credentials.counts()["unavailable"] >= 1
    assert "rejected" not in credentials.counts()


def test_missing_server_ends_in_the_drivers_error(world: World, cache: SecretCache, trouble: Trouble) -> None:
    arn = world.secret({**world.user(), "port": free_port()})
    cache.read(arn)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        enters(Credentials(arn, cache=cache, deadline=0.5))
    assert trouble.calls == {"GetSecretValue": 2}


def test_all_threads_get_the_missing_servers_error(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": free_port()})
    cache.read(arn)
    credentials = Credentials(arn, cache=cache, deadline=2)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(4)]
        assert {type(one.exception()) for one in asked} == {psycopg.OperationalError}
    assert "held" not in credentials.counts()


def test_a_hanging_login_does_not_block_other_callers(world: World, cache: SecretCache) -> None:
    user = world.user()
    with Proxy(world.server.port) as wire:
        arn = world.secret({**user, "port": wire.port})
        credentials, trying = Credentials(arn, cache=cache, deadline=60), threading.Event()

        def login(attempt: Attempt) -> str:
            trying.set()
            with psycopg.connect(**PSYCOPG.arguments(attempt.secret, attempt.seconds, {})) as connection:
                return connection.info.user

        wire.silence()
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(credentials.login, login, PSYCOPG)
            trying.wait()
            assert threads.submit(enters, credentials, port=world.server.port).result() == user["username"]
            wire.flow()
            assert first.result() == user["username"]


def test_silent_server_ends_in_a_timeout(world: World, cache: SecretCache) -> None:
    with Proxy(world.server.port) as wire:
        arn = world.secret({**world.user(), "port": wire.port})
        cache.read(arn)
        wire.silence()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            enters(Credentials(arn, cache=cache, deadline=0.5))


def test_rotation_is_invisible_while_reads_are_throttled(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    trouble.throttled, trouble.delay = 0.5, 0.05
    token = world.begin(arn)
    for step in STEPS:
        world.step(step, arn, token)
        enters(credentials)


def test_logins_continue_while_secrets_manager_is_down(world: World, trouble: Trouble) -> None:
    cache = SecretCache(client=reader(trouble))
    credentials = Credentials(single(world), cache=cache)
    enters(credentials)
    trouble.down = True
    age(cache)
    for _ in range(10):
        enters(credentials)
    assert cache.counts()["stale"] >= 10


def test_one_thread_at_a_time_tries_unproven_versions(world: World, cache: SecretCache) -> None:
    user = world.user()
    arn = world.secret(user)
    world.set_password(user["username"], new_password())
    cache.read(arn)
    credentials = Credentials(arn, cache=cache, deadline=1)
    with ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(40)]
        assert all(one.exception() for one in asked)
    assert credentials.counts()["rejected"] <= 3


def test_login_succeeds_after_aws_credentials_return(
    world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.user()
    arn = world.secret({**user, "strategy": "single"})
    cache = SecretCache(client=reader(trouble))
    credentials = Credentials(arn, cache=cache)
    enters(credentials)
    world.rotate(arn)
    expired = [2]
    one = SecretsManager.one

    def sometimes(*args: Any, **given: Any) -> Any:
        if expired[0]:
            expired[0] -= 1
            raise AccessDenied("ExpiredToken", reason="credentials")
        return one(*args, **given)

    monkeypatch.setattr(SecretsManager, "one", sometimes)
    assert enters(credentials) == user["username"]
    assert "denied" not in credentials.counts()


def test_error_notes_why_other_versions_were_unreadable(world: World, trouble: Trouble) -> None:
    user = world.user()
    arn = world.secret(user)
    cache = SecretCache(client=reader(trouble))
    cache.read(arn)
    credentials = Credentials(arn, cache=cache, deadline=1)
    world.set_password(user["username"], new_password())
    trouble.down = True
    with pytest.raises(psycopg.OperationalError, match="password") as caught:
        enters(credentials)
    assert "service-unavailable" in "".join(caught.value.__notes__)
    assert credentials.counts()["unreadable"] >= 1


def test_no_frame_of_an_error_holds_the_password(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": free_port()})
    cache.read(arn)
    with pytest.raises(psycopg.OperationalError) as caught:
        enters(Credentials(arn, cache=cache, deadline=0.5))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert world.value(arn)["password"] not in shown
    assert "connect" in shown


def test_unmaskable_error_is_unreachable_from_its_replacement(world: World, cache: SecretCache) -> None:
    class Stubborn(psycopg.OperationalError):
        def __str__(self) -> str:
            return f"with {password}"

    user = world.user()
    password = user["password"]

    def login(_: Any) -> None:
        raise Stubborn

    with pytest.raises(RotatorDefect) as caught:
        Credentials(world.secret(user), cache=cache).login(login, PSYCOPG)
    assert password not in "".join(traceback.format_exception(caught.value))


def test_rejected_credential_is_tried_few_times(world: World, cache: SecretCache) -> None:
    user = world.user()
    arn = world.secret(user)
    world.set_password(user["username"], new_password())
    credentials = Credentials(arn, cache=cache, deadline=1)
    before = world.server.log().count("password authentication failed for user")
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(4)]
        errors = [one.exception() for one in asked]
    assert all(isinstance(error, psycopg.OperationalError | CredentialsRejected) for error in errors)
    with pytest.raises((psycopg.OperationalError, CredentialsRejected)):
        enters(credentials)
    assert world.server.log().count("password authentication failed for user") - before <= 8
    assert credentials.counts()["gave-up"] == 5


def test_waiting_for_a_server_does_not_block_tasks(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": free_port()})

    async def program() -> int:
        cache.read(arn)
        credentials, ticks = AsyncCredentials(arn, cache=cache, deadline=1), 0
        login = asyncio.create_task(credentials.connect(psycopg.AsyncConnection.connect))
        while not login.done():
            await asyncio.sleep(0)
            ticks += 1
        with pytest.raises(psycopg.OperationalError, match="refused"):
            await login
        return ticks

    assert asyncio.run(program()) > 3


@pytest.mark.parametrize("text", ["no json", "[1]", '{"host": "h"}'])
def test_secret_without_a_login_is_a_format_error(world: World, cache: SecretCache, text: str) -> None:
    name = unique("odd")
    world.secrets.create_secret(Name=name, SecretString=text)
    with pytest.raises(SecretFormatError):
        enters(Credentials(name, cache=cache))


def test_no_password_is_in_logs_errors_or_reprs(
    world: World, cache: SecretCache, caplog: pytest.LogCaptureFixture
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    enters(credentials)
    set_deadline(credentials, 0.5)
    caplog.set_level(
        logging.DEBUG
    )  # not earlier: until the client is used, botocore prints what the test stores
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    seen: list[str] = []

    def login(attempt: Any) -> None:
        seen.append(repr(attempt))
        text = json.dumps(dict(attempt.secret))
        raise psycopg.OperationalError(f"password authentication failed with {text}")

    with pytest.raises(psycopg.OperationalError) as caught:
        credentials.login(login, PSYCOPG)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(seen)
    shown += repr(credentials) + repr(vars(credentials)) + repr(cache)
    for stage in ("AWSCURRENT", "AWSPENDING"):
        assert str(world.value(arn, stage)["password"]) not in shown
    assert "rejected" in caplog.text


def test_a_short_key_of_a_driver_is_masked(world: World, cache: SecretCache) -> None:
    arn = world.secret({"engine": "acme", "host": "h", "username": "app", "api_key": "~7z"})
    driver = Driver("acme", lambda _secret, _given: {}, lambda *_: Verdict.REJECTED, credential=("api_key",))

    def login(attempt: Any) -> None:
        raise ConnectionError(f"no user has the key {attempt.secret['api_key']}")

    with pytest.raises(ConnectionError) as caught:
        Credentials(arn, cache=cache, deadline=0.5).login(login, driver)
    assert "***" in str(caught.value)
    assert "~7z" not in "".join(traceback.format_exception(caught.value))
