"""SQLAlchemy's engines on real servers, during and after rotations."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import create_engine, exc, text
from sqlalchemy.ext.asyncio import create_async_engine

from rotators.client import AsyncCredentials, Credentials, SecretCache
from rotators.client.integrations.sqlalchemy import attach
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.testing._case import STEPS
from tests.client.conftest import DAY, Switch, age, credentials_of, refresh
from tests.waiting import until
from tests.world import World, new_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

    from tests.mysql.conftest import MariaDbWorld

POSTGRES, MARIADB = "postgresql+psycopg://", "mysql+pymysql://"
ENGINES = pytest.mark.parametrize("url", [POSTGRES, MARIADB])


class Target:
    """One server, with the same interface for all tests."""

    def __init__(self, world: World, maria_world: MariaDbWorld, url: str) -> None:
        self.url = url
        self.maria = maria_world if url == MARIADB else None
        self.world = world if self.maria is None else self.maria

    def user(self) -> dict[str, Any]:
        return self.world.user() if self.maria is None else self.maria.account()

    def alternating(self) -> str:
        return self.world.secret({**self.user(), "masterarn": self.world.admin_secret()})

    def who(self, connection: Connection) -> tuple[int, str]:
        """The connection's number on the server, and its user."""
        asked = (
            "SELECT connection_id(), substring_index(user(), '@', 1)"
            if self.maria
            else "SELECT pg_backend_pid(), session_user::text"
        )
        number, name = connection.execute(text(asked)).one()
        return number, name

    def is_open(self, number: int) -> bool:
        if self.maria:
            return bool(self.maria.run("SELECT 1 FROM information_schema.processlist WHERE id = %s", number))
        return bool(self.world.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", number))

    def set_password(self, name: str, password: str) -> None:
        if self.maria:
            self.maria.reset(name, password)
        else:
            self.world.set_password(name, password)


@pytest.fixture
def target(world: World, maria_world: MariaDbWorld, url: str) -> Target:
    return Target(world, maria_world, url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url, pool_size=2, max_overflow=2)
    yield engine
    engine.dispose()


@ENGINES
def test_an_engine_without_host_user_and_password_connects(target: Target, engine: Engine) -> None:
    user = target.user()
    credentials = credentials_of(target.world, target.world.secret(user))
    attach(engine, credentials)
    with engine.connect() as connection:
        assert target.who(connection)[1] == user["username"]
    assert credentials.counts() == {"logins": 1}
    assert user["password"] not in f"{engine!r} {engine.url!r} {vars(engine.pool)}"


@ENGINES
def test_user_and_password_in_the_url_are_ignored(target: Target, url: str) -> None:
    user = target.user()
    engine = create_engine(url.replace("://", f"://somebody:{new_password()}@/"))
    attach(engine, credentials_of(target.world, target.world.secret(user)))
    with engine.connect() as connection:
        assert target.who(connection)[1] == user["username"]
    engine.dispose()


def test_database_in_the_url_overrides_the_secret(world: World) -> None:
    engine = create_engine(f"{POSTGRES}/template1")
    attach(engine, credentials_of(world, world.secret(world.user())))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT current_database()")) == "template1"
    engine.dispose()


@ENGINES
def test_new_connection_between_set_and_finish_logs_in(target: Target, engine: Engine) -> None:
    world, user = target.world, target.user()
    arn = world.secret(user)
    credentials = credentials_of(world, arn)
    attach(engine, credentials)
    with engine.connect() as old:
        target.who(old)
        token = world.begin(arn)
        for step in ("createSecret", "setSecret"):
            world.step(step, arn, token)
        with engine.connect() as new:
            number, name = target.who(new)
            assert name == user["username"]
            for step in ("testSecret", "finishSecret"):
                world.step(step, arn, token)
            refresh(credentials)
        with engine.connect() as kept:
            assert target.who(kept)[0] == number
    counts = credentials.counts()
    assert (counts["pending"], counts["rejected"], counts["logins"]) == (1, 1, 2)


@ENGINES
def test_idle_retired_connections_are_replaced_at_checkout(target: Target, engine: Engine) -> None:
    arn = target.alternating()
    credentials = credentials_of(target.world, arn)
    attach(engine, credentials)
    with engine.connect() as one, engine.connect() as two:
        before = {target.who(one)[0], target.who(two)[0]}
    clone = target.world.rotate(arn)["username"]
    refresh(credentials)
    with engine.connect() as one, engine.connect() as two:
        after = {target.who(one), target.who(two)}
    assert {name for _, name in after} == {clone}
    assert before.isdisjoint(number for number, _ in after)
    assert credentials.counts() == {"logins": 4, "retired": 1}
    until(lambda: not any(target.is_open(number) for number in before))


@ENGINES
def test_transaction_survives_a_rotation(target: Target, engine: Engine) -> None:
    arn = target.alternating()
    credentials = credentials_of(target.world, arn)
    attach(engine, credentials)
    with engine.connect() as idle, engine.begin() as busy:
        target.who(idle)
        before = target.who(busy)
        idle.close()
        clone = target.world.rotate(arn)["username"]
        refresh(credentials)
        # This connection is replaced, and all idle ones with it.
        with engine.connect() as other:
            assert target.who(other)[1] == clone
        assert target.is_open(before[0])
        assert target.who(busy) == before
    with engine.connect() as one, engine.connect() as two:
        assert {target.who(connection)[1] for connection in (one, two)} == {clone}
    until(lambda: not target.is_open(before[0]))


@ENGINES
def test_engine_works_while_secrets_manager_is_down(target: Target, engine: Engine) -> None:
    arn, source = target.world.secret(target.user()), Switch(target.world)
    cache = SecretCache(source=source)
    attach(engine, Credentials(arn, cache=cache))
    with engine.connect() as connection:
        before = target.who(connection)
    source.down = True
    age(cache)
    with engine.connect() as kept, engine.connect() as new:
        assert target.who(kept) == before
        assert target.who(new)[1] == before[1]


@ENGINES
def test_engine_keeps_connections_while_the_secret_is_unreadable(target: Target, engine: Engine) -> None:
    arn, source = target.world.secret(target.user()), Switch(target.world)
    cache = SecretCache(source=source, ttl=DAY, stale_seconds=0)
    credentials = Credentials(arn, cache=cache)
    attach(engine, credentials)
    with engine.connect() as connection:
        before = target.who(connection)
    source.down = True
    cache.clear()
    with engine.connect() as connection:
        assert target.who(connection) == before
    assert credentials.counts() == {"logins": 1, "unreadable": 1}


@ENGINES
def test_unstored_password_ends_in_the_engines_error(target: Target, engine: Engine) -> None:
    user = target.user()
    credentials = credentials_of(target.world, target.world.secret(user), deadline=0.5)
    attach(engine, credentials)
    target.set_password(user["username"], new_password())
    with pytest.raises(exc.OperationalError) as caught:
        engine.connect()
    assert user["password"] not in str(caught.value)
    assert credentials.counts()["rejected"] <= 2


@pytest.mark.parametrize("url", [MARIADB])
def test_login_timeout_is_removed_from_the_connection(target: Target, engine: Engine) -> None:
    attach(engine, credentials_of(target.world, target.world.secret(target.user())))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert (driver._read_timeout, driver._write_timeout) == (None, None)


@ENGINES
def test_recycled_connection_logs_in_with_the_new_password(target: Target, url: str) -> None:
    user = target.user()
    arn = target.world.secret(user)
    credentials = credentials_of(target.world, arn)
    engine = create_engine(url, pool_size=1, pool_pre_ping=True, pool_recycle=0)
    attach(engine, credentials)
    with engine.connect() as connection:
        before = target.who(connection)
    target.world.rotate(arn)
    with engine.connect() as connection:
        assert target.who(connection)[0] != before[0]
    engine.dispose()
    assert credentials.counts()["current"] == 1


@pytest.mark.parametrize("kind", [sqlalchemy.NullPool, sqlalchemy.StaticPool])
def test_pools_of_other_kinds_find_the_new_user(world: World, kind: type[sqlalchemy.Pool]) -> None:
    arn = world.secret({**world.user(), "masterarn": world.admin_secret()})
    credentials = credentials_of(world, arn)
    engine = create_engine(POSTGRES, poolclass=kind)
    attach(engine, credentials)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    clone = world.rotate(arn)["username"]
    refresh(credentials)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT session_user::text")) == clone
    engine.dispose()


def test_an_asynchronous_engine_connects_by_its_creator(world: World) -> None:
    arn = world.secret({**world.user(), "strategy": "single"})
    credentials = AsyncCredentials(arn, cache=SecretCache(client=world.secrets))
    engine = create_async_engine(
        POSTGRES,
        poolclass=sqlalchemy.NullPool,
        async_creator=lambda: credentials.connect(psycopg.AsyncConnection.connect),
    )

    async def program() -> None:
        token = world.begin(arn)
        for step in STEPS:
            await asyncio.to_thread(world.step, step, arn, token)
            async with engine.connect() as connection:
                assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1

    asyncio.run(program())
    assert credentials.counts()["pending"] == 1


@ENGINES
def test_rotations_without_an_end_leave_an_engine_usable(
    target: Target, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(engine, credentials_of(target.world, target.world.secret(target.user())))
    monkeypatch.setattr(Credentials, "retired", lambda *_: True)
    numbers = []
    for _ in range(4):
        with engine.connect() as connection:
            numbers.append(target.who(connection)[0])
    assert len(set(numbers)) == 4


def test_asynchronous_engine_is_refused_before_any_read(world: World) -> None:
    engine = create_async_engine(POSTGRES)
    credentials = credentials_of(world, world.secret(world.user()))
    for each in (engine, engine.sync_engine):
        with pytest.raises(ConfigurationError, match="asynchronous") as caught:
            attach(each, credentials)  # type: ignore[arg-type] # an easy mistake with SQLAlchemy
        assert "async_creator" in caught.value.remedy
    assert credentials.counts() == {}


def test_credentials_for_asyncio_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Credentials"):
        attach(create_engine(POSTGRES), AsyncCredentials("s"))  # type: ignore[arg-type] # the mistake under test


def test_engine_with_its_own_creator_is_refused(world: World) -> None:
    value = world.user()
    creator: Any = functools.partial(world.login, value)
    for options in ({"creator": creator}, {"pool": sqlalchemy.QueuePool(creator)}):
        engine = create_engine(POSTGRES, **options)
        attach(engine, credentials_of(world, world.secret(value)))
        with pytest.raises(ConfigurationError, match="its own creator"):
            engine.connect()
        engine.dispose()


def test_an_engine_that_had_connections_before_replaces_them(world: World) -> None:
    value = world.user()
    engine = create_engine(
        POSTGRES + f"/{value['dbname']}?host={value['host']}&port={value['port']}",
        connect_args={"user": value["username"], "password": value["password"]},
    )
    with engine.connect() as connection:
        before = connection.scalar(text("SELECT pg_backend_pid()"))
    attach(engine, credentials_of(world, world.secret(value)))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != before
    engine.dispose()
