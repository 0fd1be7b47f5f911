"""A rotation, and what else goes wrong around a login, as an application sees it: not at all."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client.drivers import LIBPQ
from rotators.core.errors import (
    AccessDenied,
    ConfigurationError,
    CredentialsRejected,
    InvalidInput,
    SecretFormatError,
)
from rotators.local.postgres import PostgresServer
from rotators.testing.proxy import Proxy, closed_port
from rotators.testing.trouble import Trouble
from tests.world import STEPS, World, new_password, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def trouble(world: World) -> Iterator[Trouble]:
    with Trouble(world.aws.endpoint) as between:
        yield between


def reader(trouble: Trouble, key: str = "local") -> SecretsManagerClient:
    """A client as the application makes one; it repeats nothing by itself."""
    import boto3  # noqa: PLC0415 - the application's
    from botocore.config import Config  # noqa: PLC0415 - the same

    return boto3.client(
        "secretsmanager",
        endpoint_url=trouble.endpoint,
        config=Config(retries={"total_max_attempts": 1}),
        aws_access_key_id=key,
        aws_secret_access_key="any",
    )


@pytest.fixture
def cache(trouble: Trouble) -> SecretCache:
    return SecretCache(client=reader(trouble))


def single(world: World) -> str:
    return world.secret({**world.user(), "strategy": "single"})


def enters(credentials: Credentials, **given: Any) -> str:
    """Connect, and say as whom."""
    with credentials.connect(psycopg.connect, **given) as connection:
        row = connection.execute("SELECT session_user").fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize("strategy", ["single", "alternating"])
@pytest.mark.parametrize("pending", [True, False])
def test_every_step_of_three_rotations_is_invisible(
    world: World, cache: SecretCache, strategy: str, pending: bool
) -> None:
    user = {**world.user(), "strategy": strategy}
    arn = world.secret({**user, "masterarn": world.admin_secret()} if strategy == "alternating" else user)
    credentials = Credentials(arn, cache=cache, pending=pending, deadline=1)
    enters(credentials)
    for _ in range(3):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            if strategy == "single" and step in STEPS[1:3] and not pending:
                with pytest.raises((psycopg.OperationalError, CredentialsRejected), match="rejected|failed"):
                    enters(credentials)
                continue
            enters(credentials)
    assert credentials.counts()["rejected"] >= 1


def test_a_rotation_costs_one_rejected_login_and_two_reads(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    enters(credentials)
    trouble.calls.clear()
    token = world.begin(arn)
    for step in STEPS:
        world.step(step, arn, token)
        for _ in range(3):
            enters(credentials)
    assert trouble.calls == {"GetSecretValue": 2}
    counts = credentials.counts()
    assert (counts["rejected"], counts["pending"], counts["logins"]) == (1, 1, 13)


def test_eight_threads_in_the_window_share_what_one_of_them_learned(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    enters(credentials)
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    trouble.calls.clear()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: enters(credentials), range(64)))
    assert credentials.counts()["rejected"] <= 8
    assert trouble.calls["GetSecretValue"] <= 8


def test_threads_connect_without_a_failure_while_rotations_run_back_to_back(
    world: World, cache: SecretCache
) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    ended, failures = threading.Event(), []

    def work() -> None:
        while not ended.is_set():
            try:
                enters(credentials)
            except psycopg.Error as error:
                failures.append(str(error))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(10):
            world.rotate(arn)
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    assert failures == []
    assert credentials.counts()["logins"] > 20
    assert credentials.counts()["rejected"] >= 5


def test_a_database_that_was_set_back_is_entered_with_the_previous_value(
    world: World, cache: SecretCache
) -> None:
    user = world.user()
    arn = world.secret({**user, "strategy": "single"})
    credentials = Credentials(arn, cache=cache)
    world.rotate(arn)
    world.set_password(user["username"], user["password"])
    enters(credentials)
    assert credentials.counts()["previous"] == 1


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
        restarting = threading.Thread(target=server.restart, args=(1.0,))
        restarting.start()
        time.sleep(0.3)
        began = time.monotonic()
        enters(credentials)
        assert time.monotonic() - began > 0.3
        restarting.join()
    assert credentials.counts()["unavailable"] >= 1
    assert "rejected" not in credentials.counts()


def test_a_server_that_is_not_there_is_given_up_at_the_deadline(
    world: World, cache: SecretCache, trouble: Trouble
) -> None:
    arn = world.secret({**world.user(), "port": closed_port()})
    credentials = Credentials(arn, cache=cache, deadline=1)
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        enters(credentials)
    assert time.monotonic() - began < 3
    assert trouble.calls == {"GetSecretValue": 1}


def test_a_server_that_is_silent_holds_nobody_beyond_the_deadline(world: World, cache: SecretCache) -> None:
    with Proxy(world.server.port) as wire:
        arn = world.secret({**world.user(), "port": wire.port})
        credentials = Credentials(arn, cache=cache, deadline=3)
        enters(credentials)
        wire.silence()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            enters(credentials)
        assert time.monotonic() - began < 6


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


def test_what_the_caller_gives_wins_but_not_user_and_password(world: World, cache: SecretCache) -> None:
    credentials = Credentials(world.secret({**world.user(), "dbname": "nowhere"}), cache=cache)
    with credentials.connect(
        psycopg.connect, dbname="postgres", application_name="shop", autocommit=True
    ) as connection:
        row = connection.execute("SELECT current_database(), current_setting('application_name')").fetchone()
        assert row == ("postgres", "shop")
        assert connection.autocommit
    for name in ("user", "password"):
        with pytest.raises(InvalidInput, match=name):
            enters(credentials, **{name: "mine"})


def test_a_secret_that_asks_for_tls_is_not_entered_by_a_driver_whose_tls_is_unknown(
    world: World, cache: SecretCache
) -> None:
    credentials = Credentials(single(world), cache=cache)
    tried = []
    with pytest.raises(ConfigurationError, match="TLS"):
        credentials.connect(lambda **given: tried.append(given))
    assert tried == []


def test_a_driver_of_the_common_kind_is_told_its_tls_by_the_caller(world: World, cache: SecretCache) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)

    def common(*, user: str, database: str, ssl_context: str, **given: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(user=user, dbname=database, sslmode=ssl_context, **given)

    for _ in range(2):
        with credentials.connect(common, ssl_context="require") as connection:
            connection.execute("SELECT 1")
        world.rotate(arn)
    assert credentials.counts()["logins"] == 2


def test_others_get_a_dictionary_a_url_and_libpqs_parameters(world: World, cache: SecretCache) -> None:
    name = unique("user @:/%? ü")
    user = world.user(name, password="p@ss:/%?#[] ü'\"\\" + new_password())
    credentials = Credentials(world.secret(user), cache=cache)
    assert credentials.secret() == user
    for conninfo in (credentials.url(), make_conninfo(**credentials.parameters())):
        with psycopg.connect(conninfo) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (name,)
    assert credentials.url("mysql+pymysql").startswith("mysql+pymysql://user%20%40%3A")
    credentials.secret().clear()
    assert credentials.secret() == user


def test_what_works_is_what_others_get_too(world: World, cache: SecretCache) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)
    enters(credentials)
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    enters(credentials)
    assert world.logs_in(credentials.secret())


def test_tasks_log_in_through_a_rotation_too(world: World, cache: SecretCache) -> None:
    arn = single(world)
    credentials = AsyncCredentials(arn, cache=cache)

    async def enter() -> None:
        async with await credentials.connect(psycopg.AsyncConnection.connect) as connection:
            await connection.execute("SELECT 1")

    async def program() -> None:
        await enter()
        token = world.begin(arn)
        for step in STEPS:
            await asyncio.to_thread(world.step, step, arn, token)
            await asyncio.gather(*(enter() for _ in range(5)))
        assert world.logs_in(await credentials.secret())
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            await credentials.connect(psycopg.AsyncConnection.connect, dbname="nowhere")

    asyncio.run(program())
    assert credentials.counts()["pending"] >= 1


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

    assert asyncio.run(program()) > 30


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
        credentials.login(login, LIBPQ)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(seen)
    shown += repr(credentials) + repr(vars(credentials)) + repr(cache)
    for stage in ("AWSCURRENT", "AWSPENDING"):
        assert str(world.value(arn, stage)["password"]) not in shown
    assert "rejected" in caplog.text
