"""Fixtures of the client's tests: a Redis, and a Secrets Manager that can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.config import Config

from rotators.aws.secrets import SecretsManager, SecretVersion
from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.core.errors import RotatorsError, ServiceUnavailable
from rotators.local.aws import LocalAws
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.redis import RedisServer, password_hash
from rotators.testing._trouble import Trouble
from tests.mysql.conftest import MariaDbWorld
from tests.world import World, new_password, remembered, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

DAY = 86400.0
"""Seconds, longer than every test: lifetime of cached values, and limit of waits."""


class Switch:
    """A Secrets Manager that a test can switch off; records the requested stages."""

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
    """The world with Redis instead of PostgreSQL; the tests perform the steps of a rotation themselves."""

    def __init__(self, aws: LocalAws, redis_server: RedisServer) -> None:
        super().__init__(aws, redis_server)
        self.redis = redis_server

    def acl(self, *command: str) -> Any:
        """Run one ``ACL`` command as the administrator."""
        return self.redis.acl(*command)

    def account(self) -> dict[str, Any]:
        """Create a user; return its secret's value."""
        value = self.redis.secret(unique("app"), new_password())
        self.acl("SETUSER", value["username"], "on", "~*", "&*", "+@all")
        self.admit(value)
        return value

    def admit(self, value: dict[str, Any]) -> None:
        """Accept a value from now on."""
        self.acl("SETUSER", value["username"], password_hash(remembered(value["password"])))

    def refuse(self, value: dict[str, Any]) -> None:
        """Reject the value from now on."""
        self.acl("SETUSER", value["username"], "!" + password_hash(value["password"])[1:])

    def change(self, arn: str) -> str:
        """Run a rotation with `single` up to setSecret; return its token."""
        old = self.value(arn)
        new = {**old, "password": new_password()}
        token = self.begin(arn)
        self.put_pending(arn, token, new)
        self.admit(new)
        self.refuse(old)
        return token

    def promote(self, arn: str, token: str) -> None:
        """Complete the rotation."""
        current = next(version for version, held in self.stages(arn).items() if "AWSCURRENT" in held)
        self.secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )

    def put_current(self, arn: str, value: dict[str, Any]) -> None:
        """Store a value as AWSCURRENT, as a person who moves the server does."""
        self.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))

    def rejected(self, name: str) -> int:
        """Number of logins of a user that the server has rejected."""
        return sum(
            int(entry["count"])
            for entry in self.acl("LOG")
            if entry["username"] == name and entry["reason"] == "auth"
        )


@pytest.fixture
def redis_world(aws: LocalAws, redis_server: RedisServer) -> RedisWorld:
    """The local AWS with Redis."""
    return RedisWorld(aws, redis_server)


@pytest.fixture
def maria_world(aws: LocalAws, maria: MariaDbServer) -> MariaDbWorld:
    """The local AWS with MariaDB."""
    return MariaDbWorld(aws, maria)


def credentials_of(world: World, arn: str, **options: Any) -> Credentials:
    """Credentials whose cache changes only after a rejection or ``refresh``."""
    return Credentials(arn, cache=SecretCache(client=world.secrets, ttl=DAY), **options)


def async_credentials_of(world: World, arn: str, **options: Any) -> AsyncCredentials:
    """See ``credentials_of``; for asyncio."""
    return AsyncCredentials(arn, cache=SecretCache(client=world.secrets, ttl=DAY), **options)


def set_deadline(credentials: Credentials | AsyncCredentials, seconds: float) -> None:
    """Change the deadline of later logins: a login that must succeed has the time of a busy machine."""
    credentials._limits = replace(credentials._limits, deadline=seconds)


def refresh(credentials: Credentials) -> None:
    """Read AWSCURRENT into the cache, as after the lifetime of a value."""
    credentials.cache.refresh_secret_now(credentials.secret_id)


def age(cache: SecretCache, seconds: float = 301.0) -> None:
    """Advance a cache's clock, by default beyond the lifetime of every value in it."""
    clock = cache.cache._clock
    cache.cache._clock = lambda: clock() + seconds


@pytest.fixture
def trouble(world: World) -> Iterator[Trouble]:
    with Trouble(world.aws.endpoint) as between:
        yield between


def reader(trouble: Trouble, key: str = "local") -> SecretsManagerClient:
    """A client like that of an application; it does not repeat calls itself."""
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
    """Connect, and return the user."""
    with credentials.connect(psycopg.connect, **given) as connection:
        row = connection.execute("SELECT session_user").fetchone()
    assert row
    return str(row[0])
