"""What applications log into: a Redis beside the databases, and a Secrets Manager that can fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.config import Config

from rotators.aws.reading import SecretsManager, SecretVersion
from rotators.client import Credentials, SecretCache
from rotators.core.errors import RotatorsError, ServiceUnavailable
from rotators.local.aws import LocalAws
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.redis import RedisServer, password_hash
from rotators.testing.trouble import Trouble
from tests.clear_text import record
from tests.mysql.conftest import MariaDbWorld
from tests.world import World, new_password, remembered, started, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

DAY = 86400.0
"""A cache's life that no test outlasts."""


class Switch:
    """Secrets Manager with a switch; remembers which labels were asked for."""

    def __init__(self, world: World) -> None:
        self._source = SecretsManager(world.secrets)
        self.down = False
        self.asked: list[str | None] = []

    def one(self, secret_id: str, stage: str | None, version: str | None, *, new: bool) -> SecretVersion:
        self.asked.append(stage)
        if self.down:
            raise ServiceUnavailable("switched off")
        return self._source.one(secret_id, stage, version, new=new)

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        return self._source.many(secret_ids)


class RedisWorld(World):
    """The world with Redis in the place of PostgreSQL; it is rotated by hand, as nobody has a rotator."""

    def __init__(self, aws: LocalAws, redis_server: RedisServer) -> None:
        super().__init__(aws, redis_server)  # type: ignore[arg-type] # what is PostgreSQL's is not used
        self.redis = redis_server

    def account(self) -> dict[str, Any]:
        """Create a user; gives its secret's value."""
        value = self.redis.secret(unique("app"), new_password())
        self.redis.acl("SETUSER", value["username"], "on", "~*", "&*", "+@all")
        self.admit(value)
        return value

    def admit(self, value: dict[str, Any]) -> None:
        """Let a value in from now on."""
        self.redis.acl("SETUSER", value["username"], password_hash(remembered(value["password"])))

    def refuse(self, value: dict[str, Any]) -> None:
        """Let it in no more."""
        self.redis.acl("SETUSER", value["username"], "!" + password_hash(value["password"])[1:])

    def change(self, arn: str) -> str:
        """A rotation of kind `single` up to setSecret; gives its token."""
        old = self.value(arn)
        new = {**old, "password": new_password()}
        token = self.begin(arn)
        self.put_pending(arn, token, new)
        self.admit(new)
        self.refuse(old)
        return token

    def promote(self, arn: str, token: str) -> None:
        """The end of a rotation."""
        current = next(version for version, labels in self.stages(arn).items() if "AWSCURRENT" in labels)
        self.secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )

    def rejected(self, name: str) -> int:
        """How many logins of a user the server has rejected."""
        return sum(
            int(entry["count"])
            for entry in self.redis.acl("LOG")
            if entry["username"] == name and entry["reason"] == "auth"
        )


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private Redis."""
    running = started(RedisServer())
    yield running
    record("the log of Redis", running.log())
    record("the ACL log of Redis", str(running.acl("LOG")))
    running.stop()


@pytest.fixture
def redis_world(aws: LocalAws, redis_server: RedisServer) -> RedisWorld:
    """The local AWS with Redis."""
    return RedisWorld(aws, redis_server)


@pytest.fixture
def maria_world(aws: LocalAws, maria: MariaDbServer) -> MariaDbWorld:
    """The local AWS with MariaDB."""
    return MariaDbWorld(aws, maria)


def credentials_of(world: World, arn: str, **options: Any) -> Credentials:
    """Credentials whose memory changes by a rejection or ``refresh`` only."""
    return Credentials(arn, cache=SecretCache(client=world.secrets, ttl=DAY), **options)


def refresh(credentials: Credentials) -> None:
    """Let credentials know of a label that moved, as the end of the cache's life would."""
    credentials.shared.cache.refresh_secret_now(credentials.shared.secret_id)


def eventually(is_so: Callable[[], bool], *, seconds: float = 60.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def listens(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def trouble(world: World) -> Iterator[Trouble]:
    with Trouble(world.aws.endpoint) as between:
        yield between


def reader(trouble: Trouble, key: str = "local") -> SecretsManagerClient:
    """A client as the application makes one; it repeats nothing by itself."""
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
