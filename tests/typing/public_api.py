"""Types of the public names. mypy and pyright check this file; nothing runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_type

from rotators import CredentialsRejected, Rotation, Rotator, RotatorsError, Secret, TargetUnavailable, Tries
from rotators.client import AsyncCredentials, AsyncSecretCache, Credentials, SecretCache
from rotators.client.integrations.psycopg import async_pool_options, pool_options
from rotators.client.integrations.redis import RedisCredentials
from rotators.client.integrations.redis_asyncio import AsyncRedisCredentials
from rotators.engines import (
    Alternating,
    Dual,
    Engine,
    EngineRotator,
    Password,
    PasswordRules,
    Single,
    host_of,
    port_of,
    wants_tls,
)
from rotators.testing import RotatorContractV2, RotatorCrashesV1, RotatorRacesV1, Target, Value


class Keys:
    """A rotator: any class with the three methods."""

    def propose(self, rotation: Rotation) -> Secret:
        """See Rotator.propose."""
        assert_type(rotation.current, Secret)
        return rotation.current.replace(api_key="new")

    def apply(self, rotation: Rotation) -> None:
        """See Rotator.apply."""
        assert_type(rotation.pending, Secret)
        assert_type(rotation.previous, Secret | None)
        assert_type(rotation.admin, Secret | None)
        assert_type(rotation.history, Iterable[Secret])
        tries = Tries(rotation)
        for stored in tries:
            assert_type(stored.name, str)
            assert_type(stored.value, Secret)
            assert_type(tries.may_send(stored, "key", same_target=True), bool)
        raise tries.failure("no key works")

    def verify(self, rotation: Rotation) -> None:
        """See Rotator.verify."""
        assert_type(rotation.pending.text("host"), str)
        assert_type(rotation.pending.get("port"), object | None)
        raise CredentialsRejected("rejected", remedy="Look.", reason="expired")


rotator: Rotator = Keys()


def errors(error: RotatorsError) -> None:
    """Attributes of an error for callers."""
    assert_type(error.full_code, str)
    assert_type(error.reason, str | None)
    assert_type(TargetUnavailable.retryable, bool)


def reads(cache: SecretCache) -> None:
    """Secrets from memory."""
    assert_type(cache.get_secret_string("app"), str | None)
    assert_type(cache.get_secret_binary("app"), bytes | None)
    assert_type(cache.warm(["app"]), dict[str, RotatorsError])
    cache.refresh_secret_now("app")


class Connection:
    """The connection of a driver."""


def connect(**options: object) -> Connection:
    """A driver's function."""
    return Connection()


async def connect_async(**options: object) -> Connection:
    """The same, of a driver for asyncio."""
    return Connection()


def logins(credentials: Credentials) -> None:
    """A connection has the return type of the driver's own function."""
    assert_type(credentials.connect(connect), Connection)
    assert_type(credentials.counts(), dict[str, int])


async def asynchronous(cache: AsyncSecretCache, credentials: AsyncCredentials) -> None:
    """The same for asyncio."""
    assert_type(await cache.get_secret_string("app"), str | None)
    assert_type(await credentials.connect(connect_async), Connection)


class Users(Target):
    """The methods that the kit needs from a target."""

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        return {"username": name, "password": password}

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self.create(name)

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        return bool(value)

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        return dict(value)

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""


class TestKeys(RotatorContractV2, RotatorRacesV1, RotatorCrashesV1):
    """All suites."""

    rotator = "keys"


def pools(credentials: Credentials, other: AsyncCredentials) -> None:
    """Arguments of pools and of clients that reconnect by themselves."""
    assert_type(pool_options(credentials), dict[str, Any])
    assert_type(async_pool_options(other), dict[str, Any])
    assert_type(RedisCredentials(credentials).options(), dict[str, Any])
    assert_type(AsyncRedisCredentials(other), AsyncRedisCredentials)


def declarations(engine: Engine, secret: Secret) -> None:
    """Parts of an engine of your own."""
    strategies = (Single(), Dual(needs_admin=True), Alternating())
    assert_type(strategies[1].name, str)
    assert_type(Password(PasswordRules(shortest=8, longest=512)), Password)
    assert_type(EngineRotator(engine, "driver").strategy_of(secret), str)
    assert_type((host_of(secret), port_of(secret, 1), wants_tls(secret)), tuple[str, int, bool])
