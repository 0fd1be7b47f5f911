"""Reads of secrets through the cache: stages, fields, batches, threads, tasks and failures."""

from __future__ import annotations

import asyncio
import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from aws_secretsmanager_caching import (  # type: ignore[import-untyped] # it has no types
    SecretCache as AwsSecretCache,
)
from botocore.stub import Stubber

from rotators.client import AsyncSecretCache, SecretCache
from rotators.core.errors import (
    AccessDenied,
    InvalidInput,
    SecretFormatError,
    SecretNotFound,
    ServiceUnavailable,
)
from rotators.testing._trouble import Trouble
from tests.client.conftest import age, reader
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def client(trouble: Trouble) -> SecretsManagerClient:
    return reader(trouble)


def stored(world: World, value: object = None) -> tuple[str, str]:
    """A new secret's name, and its password."""
    password = new_password()
    text = json.dumps({"username": "app", "password": password} if value is None else value)
    name = unique("cached")
    world.secrets.create_secret(Name=name, SecretString=text)
    return name, password


def test_text_and_bytes_match_awss_library(world: World, client: SecretsManagerClient) -> None:
    text, data = stored(world)[0], unique("binary")
    world.secrets.create_secret(Name=data, SecretBinary=bytes(range(256)))
    world.secrets.put_secret_value(SecretId=text, SecretString="another")
    ours, theirs = SecretCache(client=client), AwsSecretCache(client=client)
    for secret in (text, data):
        assert ours.get_secret_string(secret) == theirs.get_secret_string(secret)
        assert ours.get_secret_binary(secret) == theirs.get_secret_binary(secret)
        assert ours.get_secret_string(secret, "AWSCURRENT") == theirs.get_secret_string(secret, "AWSCURRENT")
    assert ours.get_secret_string(text, "AWSPREVIOUS") == theirs.get_secret_string(text, "AWSPREVIOUS")
    assert ours.get_secret_string(data) is None
    world.secrets.put_secret_value(SecretId=text, SecretString="newest")
    for cache in (ours, theirs):
        assert cache.get_secret_string(text) == "another"
    ours.refresh_secret_now(text)
    assert ours.get_secret_string(text) == "newest"


def test_each_version_of_a_secret_is_read_once(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, _ = stored(world)
    cache = SecretCache(client=client)
    current = cache.read(name)
    assert (current.name, current.stages) == (name, ("AWSCURRENT",))
    assert cache.read(name, version=current.version).content == current.content
    for _ in range(5):
        cache.read(name)
        cache.read(name, stage="AWSCURRENT")
        cache.read(name, version=current.version)
    assert trouble.calls == {"GetSecretValue": 2}
    assert cache.counts()["hits"] == 15
    assert cache.remembers(name)
    cache.clear()
    assert not cache.remembers(name)


def test_json_fields_are_returned_as_new_objects(world: World, client: SecretsManagerClient) -> None:
    name, password = stored(world)
    cache = SecretCache(client=client)
    cache.get_secret_json(name).clear()
    assert cache.get_secret_json(name) == {"username": "app", "password": password}
    assert cache.get_secret_json(name, "username") == "app"


@pytest.mark.parametrize(("value", "field"), [("t3xt-of-a-secret", None), (["t3xt"], "a"), ({"a": 1}, "b")])
def test_json_errors_name_the_secret_without_values(
    world: World, client: SecretsManagerClient, value: Any, field: str | None
) -> None:
    name = unique("odd")
    world.secrets.create_secret(
        Name=name, SecretString=value if isinstance(value, str) else json.dumps(value)
    )
    with pytest.raises(SecretFormatError, match=name) as caught:
        SecretCache(client=client).get_secret_json(name, field)
    assert "t3xt" not in "".join(traceback.format_exception(caught.value))


def test_warm_reads_many_secrets_in_one_call(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    names = [stored(world)[0] for _ in range(25)]
    cache = SecretCache(client=client)
    cache.read(names[0])
    failed = cache.warm([*names, "none/such"])
    assert {name: type(error) for name, error in failed.items()} == {"none/such": SecretNotFound}
    for name in names:
        cache.get_secret_string(name)
    assert trouble.calls == {"GetSecretValue": 1, "BatchGetSecretValue": 2}


def test_half_of_the_calls_throttled_fill_the_cache(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    names = [stored(world)[0] for _ in range(3)]
    trouble.throttled = 0.5
    for _ in range(8):
        assert SecretCache(client=client).warm(names) == {}


def test_hundred_threads_on_a_cold_secret_call_once(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, password = stored(world)
    cache = SecretCache(client=client)
    trouble.delay = 0.2
    with ThreadPoolExecutor(100) as threads:
        found = set(threads.map(cache.get_secret_string, [name] * 100))
    assert len(found) == 1
    assert password in (found.pop() or "")
    assert trouble.calls == {"GetSecretValue": 1}


def test_hundred_tasks_on_a_cold_secret_call_once(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, _ = stored(world)
    binary = unique("binary")
    world.secrets.create_secret(Name=binary, SecretBinary=b"\0")
    trouble.delay = 0.2

    async def program() -> tuple[set[str | None], int]:
        cache, ticks = AsyncSecretCache(client=client), 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = set(await asyncio.gather(*(cache.get_secret_string(name) for _ in range(100))))
        ticking.cancel()
        assert await cache.get_secret_json(name, "username") == "app"
        assert await cache.get_secret_binary(binary) == b"\0"
        assert (await cache.warm([name, "none/such"])).keys() == {"none/such"}
        assert cache.counts()["loads"] == 2
        return found, ticks

    found, ticks = asyncio.run(program())
    assert len(found) == 1
    assert ticks > 5
    assert trouble.calls == {"GetSecretValue": 2, "BatchGetSecretValue": 1}


def test_cancelled_task_does_not_cancel_the_load(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, _ = stored(world)
    trouble.delay = 0.2

    async def program() -> None:
        cache = AsyncSecretCache(client=client)
        first = asyncio.create_task(cache.read(name))
        second = asyncio.create_task(cache.read(name))
        await asyncio.sleep(0)  # both tasks wait for the load from here on
        first.cancel()
        assert (await second).name == name
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(program())
    assert trouble.calls == {"GetSecretValue": 1}


def test_stale_value_is_returned_during_an_outage(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, password = stored(world)
    cache = SecretCache(client=client)
    cache.read(name)
    trouble.down = True
    age(cache)
    for _ in range(500):
        assert password in (cache.get_secret_string(name) or "")
    assert cache.counts()["stale"] > 100
    assert trouble.calls["GetSecretValue"] < 100
    trouble.down = False


def test_half_of_the_calls_throttled_fail_no_caller(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    names = [stored(world)[0] for _ in range(12)]
    cache = SecretCache(client=client)
    trouble.throttled = 0.5
    with ThreadPoolExecutor(24) as threads:
        assert None not in list(threads.map(cache.get_secret_string, names * 2))
    assert trouble.calls["GetSecretValue"] < 100


def test_outage_from_the_start_ends_in_an_error(
    world: World, client: SecretsManagerClient, trouble: Trouble
) -> None:
    name, _ = stored(world)
    trouble.down = True
    cache = SecretCache(client=client, timeout=1)
    with ThreadPoolExecutor(20) as threads:
        errors = [one.exception() for one in [threads.submit(cache.read, name) for _ in range(20)]]
    assert {type(error) for error in errors} == {ServiceUnavailable}
    assert trouble.calls["GetSecretValue"] < 12


def test_unknown_secret_is_remembered(client: SecretsManagerClient, trouble: Trouble) -> None:
    cache = SecretCache(client=client)
    for _ in range(5):
        with pytest.raises(SecretNotFound):
            cache.get_secret_string("none/such")
    assert trouble.calls == {"GetSecretValue": 1}


def test_the_batch_s_own_permission_is_named(client: SecretsManagerClient) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("batch_get_secret_value", "AccessDeniedException", "User: x is not authorized")
        with pytest.raises(AccessDenied, match="BatchGetSecretValue"):
            SecretCache(client=client).warm(["a"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("ttl", -1), ("jitter", 1.5), ("max_entries", 0), ("timeout", float("nan")), ("stale_seconds", "1 h")],
)
def test_an_impossible_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        SecretCache(**{name: value})


def test_no_value_is_in_a_repr(world: World, client: SecretsManagerClient) -> None:
    name, password = stored(world)
    cache = SecretCache(client=client)
    assert password not in repr(cache.read(name)) + repr(cache) + repr(AsyncSecretCache(cache))
    assert password not in repr(vars(cache))
