"""What goes wrong around a login, and what an application sees of it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from rotators.aws.reading import SecretsManager
from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorDefect,
    SecretFormatError,
)
from rotators.engines.postgres.driver import PSYCOPG
from rotators.local.servers.postgres import PostgresServer
from rotators.testing.proxy import Proxy, closed_port
from rotators.testing.trouble import Trouble
from tests.client.conftest import enters, eventually, listens, reader, single
from tests.world import STEPS, World, new_password, unique


def allowed(arn: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    return {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }


def test_without_the_right_to_read_the_pending_value_nothing_else_changes(
    world: World, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    arn = single(world)
    narrow = {"StringEquals": {"secretsmanager:VersionStage": ["AWSCURRENT", "AWSPREVIOUS"]}}
    credentials = Credentials(arn, cache=SecretCache(client=reader(trouble, "local-application")), deadline=1)
    world.aws.watch({"application": allowed(arn, narrow)["Statement"]})
    try:
        enters(credentials)
        token = world.begin(arn)
        for step in STEPS[:2]:
            world.step(step, arn, token)
        for _ in range(2):
            with pytest.raises((psycopg.OperationalError, CredentialsRejected)):
                enters(credentials)
        world.step("testSecret", arn, token)
        world.step("finishSecret", arn, token)
        enters(credentials)
    finally:
        world.aws.watch(None)
    assert credentials.counts()["denied"] == 1
    assert "denied" in caplog.text


def test_without_the_right_to_read_the_secret_the_right_is_named(world: World, trouble: Trouble) -> None:
    arn = single(world)
    world.aws.watch({"application": []})
    try:
        credentials = Credentials(arn, cache=SecretCache(client=reader(trouble, "local-application")))
        with pytest.raises(AccessDenied, match="Grant the caller GetSecretValue"):
            enters(credentials)
    finally:
        world.aws.watch(None)


def test_an_error_that_is_no_rejection_is_raised_at_once_and_nothing_is_read(
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
        raise ValueError("password authentication failed, says somebody else")

    with pytest.raises(ValueError, match="somebody else"):
        credentials.connect(failing, driver="psycopg")
    assert trouble.calls == {}
    assert set(credentials.counts()) == {"logins"}


def test_a_user_named_like_a_rejection_is_not_taken_for_one(world: World, cache: SecretCache) -> None:
    arn = world.secret(world.user(unique("password authentication failed")))
    credentials = Credentials(arn, cache=cache)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        enters(credentials, dbname="nowhere")
    assert "rejected" not in credentials.counts()


def test_a_restart_of_the_server_is_waited_for(trouble: Trouble, world: World) -> None:
    with PostgresServer() as server:
        arn = world.secret({**server.secret(), "strategy": "single"})
        credentials = Credentials(arn, cache=SecretCache(client=reader(trouble)))
        enters(credentials)
        restarting = threading.Thread(target=server.restart, args=(3.0,))
        restarting.start()
        assert eventually(lambda: not listens(server.port))
        enters(credentials)
        restarting.join()
    assert credentials.counts()["unavailable"] >= 1
    assert "rejected" not in credentials.counts()


def test_a_server_that_is_not_there_is_given_up_at_the_deadline(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = world.secret({**world.user(), "port": closed_port()})
    credentials = Credentials(arn, cache=cache, deadline=1)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        enters(credentials)
    assert trouble.calls == {"GetSecretValue": 1}


def test_all_threads_hear_of_a_server_that_is_not_there(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": closed_port()})
    credentials = Credentials(arn, cache=cache, deadline=2)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(8)]
        assert {type(one.exception()) for one in asked} == {psycopg.OperationalError}
    assert "held" not in credentials.counts()


def test_nobody_waits_long_for_a_login_that_hangs(world: World, cache: SecretCache) -> None:
    user = world.user()
    with Proxy(world.server.port) as wire:
        arn = world.secret({**user, "port": wire.port})
        credentials = Credentials(arn, cache=cache, deadline=8)
        wire.silence()
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(enters, credentials)
            time.sleep(0.3)
            assert threads.submit(enters, credentials, port=world.server.port).result() == user["username"]
            wire.flow()
            assert first.result() == user["username"]


def test_a_server_that_is_silent_holds_nobody_beyond_the_deadline(world: World, cache: SecretCache) -> None:
    with Proxy(world.server.port) as wire:
        arn = world.secret({**world.user(), "port": wire.port})
        credentials = Credentials(arn, cache=cache, deadline=3)
        enters(credentials)
        wire.silence()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            enters(credentials)


def test_with_half_of_the_reads_throttled_and_slow_a_rotation_is_still_invisible(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    trouble.throttled, trouble.delay = 0.5, 0.2
    for _ in range(2):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            enters(credentials)


def test_with_secrets_manager_down_logins_go_on_with_what_is_remembered(
    world: World, trouble: Trouble
) -> None:
    cache = SecretCache(client=reader(trouble), ttl=0.1)
    credentials = Credentials(single(world), cache=cache)
    enters(credentials)
    trouble.down = True
    time.sleep(0.2)
    for _ in range(20):
        enters(credentials)
    assert trouble.calls["GetSecretValue"] < 8


def test_many_threads_try_what_is_not_known_to_work_one_at_a_time(world: World, cache: SecretCache) -> None:
    user = world.user()
    arn = world.secret(user)
    world.set_password(user["username"], new_password())
    credentials = Credentials(arn, cache=cache, deadline=3)
    with ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(enters, credentials) for _ in range(40)]
        assert all(one.exception() for one in asked)
    assert credentials.counts()["rejected"] <= 3


def test_lost_credentials_of_the_host_do_not_outlast_their_return(
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


def test_what_kept_the_other_versions_away_stands_in_the_error(world: World, trouble: Trouble) -> None:
    user = world.user()
    arn = world.secret(user)
    credentials = Credentials(arn, cache=SecretCache(client=reader(trouble)), deadline=1)
    enters(credentials)
    world.set_password(user["username"], new_password())
    trouble.down = True
    with pytest.raises(psycopg.OperationalError, match="password") as caught:
        enters(credentials)
    assert "service-unavailable" in "".join(caught.value.__notes__)
    assert credentials.counts()["unreadable"] >= 1


def test_no_frame_of_the_driver_holds_the_password_in_an_error(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": closed_port()})
    with pytest.raises(psycopg.OperationalError) as caught:
        enters(Credentials(arn, cache=cache, deadline=0.5))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert world.value(arn)["password"] not in shown
    assert "connect" in shown


def test_an_error_that_cannot_be_masked_is_not_reachable_from_what_replaces_it(
    world: World, cache: SecretCache
) -> None:
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


def test_a_dead_credential_ends_with_the_drivers_error_and_is_then_left_alone(
    world: World, cache: SecretCache
) -> None:
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


def test_tasks_are_not_blocked_while_a_server_is_waited_for(world: World, cache: SecretCache) -> None:
    arn = world.secret({**world.user(), "port": closed_port()})

    async def program() -> int:
        credentials, ticks = AsyncCredentials(arn, cache=cache, deadline=3), 0
        login = asyncio.create_task(credentials.connect(psycopg.AsyncConnection.connect))
        while not login.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(psycopg.OperationalError, match="refused"):
            await login
        return ticks

    assert asyncio.run(program()) > 3


@pytest.mark.parametrize("text", ["no json", "[1]", '{"host": "h"}'])
def test_a_secret_that_is_no_login_says_what_is_wrong_and_shows_nothing(
    world: World, cache: SecretCache, text: str
) -> None:
    name = unique("odd")
    world.secrets.create_secret(Name=name, SecretString=text)
    with pytest.raises(SecretFormatError):
        enters(Credentials(name, cache=cache))


def test_no_password_is_in_logs_errors_or_reprs(
    world: World, cache: SecretCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    arn = single(world)
    credentials = Credentials(arn, cache=cache, deadline=0.5)
    enters(credentials)
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
