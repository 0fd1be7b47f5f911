"""Logins of an application during rotations."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.core.errors import (
    ConfigurationError,
    InvalidInput,
)
from rotators.testing._case import STEPS
from rotators.testing._trouble import Trouble
from tests.client.conftest import enters, single
from tests.world import World, new_password, unique


@pytest.mark.parametrize("strategy", ["single", "alternating"])
@pytest.mark.parametrize("pending", [True, False])
def test_every_step_of_two_rotations_is_invisible(
    world: World, cache: SecretCache, strategy: str, pending: bool
) -> None:
    user = {**world.user(), "strategy": strategy}
    arn = world.secret({**user, "masterarn": world.admin_secret()} if strategy == "alternating" else user)
    credentials = Credentials(arn, cache=cache, pending=pending, deadline=60)
    enters(credentials)
    for _ in range(2):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            if strategy == "single" and step in STEPS[1:3] and not pending:
                with pytest.raises(psycopg.OperationalError, match="failed"):
                    enters(Credentials(arn, cache=cache, pending=False, logins=1))
                continue
            enters(credentials)
    assert credentials.counts()["rejected"] >= 1


def test_rotation_causes_one_rejected_login_and_two_reads(
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


def test_threads_between_set_and_finish_share_results(
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


def test_threads_connect_during_rotations_without_a_failure(world: World, cache: SecretCache) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache, deadline=60)
    ended, failures = threading.Event(), []

    def work() -> None:
        while not ended.is_set():
            try:
                enters(credentials)
            except psycopg.Error as error:
                failures.append(str(error))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(4):
            world.rotate(arn)
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    assert failures == []
    assert credentials.counts()["rejected"] >= 1


def test_restored_database_accepts_the_previous_version(world: World, cache: SecretCache) -> None:
    user = world.user()
    arn = world.secret({**user, "strategy": "single"})
    credentials = Credentials(arn, cache=cache)
    world.rotate(arn)
    world.set_password(user["username"], user["password"])
    enters(credentials)
    assert credentials.counts()["previous"] == 1


def test_passed_arguments_override_the_secret_except_credentials(world: World, cache: SecretCache) -> None:
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


def test_unknown_driver_without_tls_arguments_is_refused(world: World, cache: SecretCache) -> None:
    credentials = Credentials(single(world), cache=cache)
    tried = []
    with pytest.raises(ConfigurationError, match="TLS"):
        credentials.connect(lambda **given: tried.append(given))
    assert tried == []


def test_unknown_driver_takes_the_callers_tls(world: World, cache: SecretCache) -> None:
    arn = single(world)
    credentials = Credentials(arn, cache=cache)

    def common(*, user: str, database: str, ssl_context: str, **given: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(user=user, dbname=database, sslmode=ssl_context, **given)

    for _ in range(2):
        with credentials.connect(common, ssl_context="require") as connection:
            connection.execute("SELECT 1")
        world.rotate(arn)
    assert credentials.counts()["logins"] == 2


def test_a_connection_string_overrides_the_secret(world: World, cache: SecretCache) -> None:
    credentials = Credentials(world.secret({**world.user(), "dbname": "nowhere"}), cache=cache)
    with credentials.connect(psycopg.connect, "dbname=postgres application_name=shop") as connection:
        row = connection.execute("SELECT current_database(), current_setting('application_name')").fetchone()
    assert row == ("postgres", "shop")


def test_a_coroutine_is_not_a_connection(world: World, cache: SecretCache) -> None:
    credentials = Credentials(single(world), cache=cache)
    with pytest.raises(ConfigurationError, match="AsyncCredentials"):
        _ = credentials.connect(psycopg.AsyncConnection.connect)
    assert credentials.counts() == {}


@pytest.mark.parametrize(
    ("secret", "options", "named"),
    [("", {}, "name or ARN"), ("s", {"deadline": -1}, "deadline"), ("s", {"logins": 0}, "logins")],
)
def test_an_impossible_argument_is_named(secret: str, options: dict[str, Any], named: str) -> None:
    for kind in (Credentials, AsyncCredentials):
        with pytest.raises(InvalidInput, match=named):
            kind(secret, **options)


def test_secret_url_and_parameters_log_in(world: World, cache: SecretCache) -> None:
    name = unique("user @:/%? ü")
    user = world.user(name, password="p@ss:/%?#[] ü'\"\\" + new_password())
    credentials = Credentials(world.secret(user), cache=cache)
    assert credentials.secret() == user
    for conninfo in (credentials.url(), make_conninfo(**credentials.parameters())):
        with psycopg.connect(conninfo) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (name,)
    with pytest.raises(ConfigurationError, match="TLS"):
        credentials.url("mysql+pymysql")
    credentials.secret().clear()
    assert credentials.secret() == user


def test_a_working_version_is_shared_with_others(world: World, cache: SecretCache) -> None:
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
