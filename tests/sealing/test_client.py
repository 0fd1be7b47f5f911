"""Sealed values in applications: the cache, threads and tasks, batches, and AWS's agent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from rotators.aws.secrets import SecretsManager
from rotators.client import AsyncCredentials, AsyncSecretCache, Credentials, SecretCache
from rotators.client._agent import Agent
from rotators.core.errors import AccessDenied, KeyUnusable, SealedValueError
from tests.sealing.conftest import Sealed
from tests.world import World, new_password


def cache(world: World, **options: Any) -> SecretCache:
    return SecretCache(source=SecretsManager(world.secrets), **options)


def decrypts(world: World) -> int:
    return sum(seen.call.action == "kms:Decrypt" for seen in world.aws.seen())


def test_a_sealed_value_is_opened_once(world: World, sealed: Sealed) -> None:
    value = {"username": "app", "password": new_password()}
    arn = sealed.secret(value)
    world.aws.watch({})
    ours = cache(world)
    assert [ours.get_secret_json(arn) for _ in range(3)] == [value] * 3
    assert decrypts(world) == 1
    assert str(value["password"]) not in repr(ours.read(arn))


def test_tasks_share_one_opening(world: World, sealed: Sealed) -> None:
    value = {"username": "app", "password": new_password()}
    arn = sealed.secret(value)
    world.aws.watch({})

    async def read() -> list[Any]:
        ours = AsyncSecretCache(source=SecretsManager(world.secrets))
        return await asyncio.gather(*(ours.get_secret_json(arn) for _ in range(5)))

    assert asyncio.run(read()) == [value] * 5
    assert decrypts(world) == 1


def test_applications_log_in_across_a_rotation(world: World, sealed: Sealed) -> None:
    arn = sealed.secret(world.user(), rotates=True)
    credentials = Credentials(arn, cache=cache(world))
    credentials.connect(psycopg.connect).close()
    sealed.rotate(arn)
    credentials.connect(psycopg.connect).close()

    async def log_in() -> None:
        ours = AsyncCredentials(arn, cache=AsyncSecretCache(source=SecretsManager(world.secrets)))
        connection = await ours.connect(psycopg.AsyncConnection.connect)
        await connection.close()

    asyncio.run(log_in())


def test_one_unreadable_secret_spares_the_batch(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"password": new_password()}
    good = sealed.secret(value)
    copied = world.store({})
    world.secrets.put_secret_value(SecretId=copied, SecretString=sealed.raw(good))
    found = cache(world).read_many([good, copied])
    assert found[good].secret.stored() == value  # type: ignore[union-attr]
    assert isinstance(found[copied], SealedValueError)


def test_a_refusing_key_is_reported_until_enabled(world: World, own_key: Sealed) -> None:
    value = {"password": new_password()}
    arn = own_key.secret(value)
    own_key.kms.disable_key(KeyId=own_key.key)
    ours = cache(world, negative_seconds=0)
    with pytest.raises(KeyUnusable):
        ours.get_secret_json(arn)
    own_key.kms.enable_key(KeyId=own_key.key)
    assert ours.get_secret_json(arn) == value
    own_key.deny("kms:Decrypt")
    assert ours.get_secret_json(arn) == value
    with pytest.raises(AccessDenied):
        ours.refresh_secret_now(arn)


@pytest.fixture
def agent(world: World) -> Iterator[Agent]:
    """A process that answers like AWS's agent, with the stored value."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found: Any = world.secrets.get_secret_value(
                SecretId=self.path.split("secretId=")[1].split("&")[0]
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found, default=str).encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Agent(port=server.server_port, token="token")
    server.shutdown()
    server.server_close()


def test_values_from_the_agent_are_opened(world: World, sealed: Sealed, agent: Agent) -> None:
    value = {"password": new_password()}
    good = sealed.secret(value).split(":")[6][:-7]
    copied = world.store({}).split(":")[6][:-7]
    world.secrets.put_secret_value(SecretId=copied, SecretString=sealed.raw(good))
    assert agent.one(good, None, None, new=True).secret.stored() == value
    found = agent.many([good, copied])
    assert found[good].secret.stored() == value  # type: ignore[union-attr]
    assert isinstance(found[copied], SealedValueError)


@pytest.mark.processes
def test_clear_values_never_import_the_sdk() -> None:
    """In a new process, also for the functions, whose cold start would be half a second slower."""
    code = (
        "import sys, functions.rotate, functions.store, functions.retrieve, functions.operate\n"
        "import rotators.client\n"
        "from rotators.aws import sealing\n"
        "assert sealing.opened('app', '{}') == sealing.stored('app', '{}') == '{}'\n"
        "assert 'aws_encryption_sdk' not in sys.modules, sorted(sys.modules)\n"
        "assert 'rotators.aws.envelope' not in sys.modules\n"
    )
    environment = {"AWS_REGION": "us-east-1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_missing_sdk_is_a_coded_error(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = sealed.secret({"password": new_password()})
    monkeypatch.setitem(sys.modules, "aws_encryption_sdk", None)
    monkeypatch.delitem(sys.modules, "rotators.aws.envelope", raising=False)
    monkeypatch.delattr("rotators.aws.envelope", raising=False)
    with pytest.raises(Exception, match=r"\[configuration/sealed-extra\].*rotators\[sealed\]"):
        cache(sealed.world).read(arn)
