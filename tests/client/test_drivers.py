"""Classification of drivers' errors, and selection of the driver."""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import psycopg
import pymongo
import pymysql
import pytest
import redis
import redis.asyncio

from rotators.aws.secrets import SecretVersion
from rotators.client import AsyncCredentials, AsyncSecretCache, Credentials, SecretCache
from rotators.client._drivers import COMMON, driver_named, driver_of
from rotators.client.integrations.psycopg import async_pool_options, pool_options
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.core.secret import Secret
from rotators.engines.mongodb.driver import PYMONGO
from rotators.engines.mysql.driver import PYMYSQL
from rotators.engines.postgres.driver import PSYCOPG
from rotators.engines.redis.driver import REDIS
from rotators.logins.driver import Driver, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REJECTED, UNAVAILABLE, OTHER = Verdict.REJECTED, Verdict.UNAVAILABLE, Verdict.OTHER
DATABASE, SERVER, BLOCKED, CLOSED = Verdict.DATABASE, Verdict.SERVER, Verdict.BLOCKED, Verdict.CLOSED
SECRET = Secret({"engine": "postgres", "host": "h", "username": "app", "password": "x"})


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ('FATAL:  password authentication failed for user "app"', REJECTED),
        ("FATAL:  SASL authentication failed", REJECTED),
        ('FATAL:  role "app_clone" does not exist', REJECTED),
        ('FATAL:  role "app" is not permitted to log in', CLOSED),
        ("FATAL:  no such user: app", REJECTED),
        ('FATAL:  database "nowhere" does not exist', DATABASE),
        ('FATAL:  no pg_hba.conf entry for host "::1", user "password authentication failed"', SERVER),
        ("SSL error: certificate verify failed", SERVER),
        ("something that nobody knows", OTHER),
        ("Connection refused\n\tIs the server running on that host?", UNAVAILABLE),
        ("SSL error: unexpected eof while reading", UNAVAILABLE),
        ("SSL SYSCALL error: Connection reset by peer", UNAVAILABLE),
        ("SSL connection has been closed unexpectedly", UNAVAILABLE),
        ("server closed the connection unexpectedly", UNAVAILABLE),
        ("FATAL:  the database system is starting up", UNAVAILABLE),
        ("FATAL:  terminating connection due to administrator command", UNAVAILABLE),
        ("FATAL:  sorry, too many clients already", UNAVAILABLE),
        ("connection timeout expired", UNAVAILABLE),
        ("Connection timed out", UNAVAILABLE),
        ("No route to host", UNAVAILABLE),
        ("failed to resolve host 'h': [Errno -3] Temporary failure in name resolution", UNAVAILABLE),
    ],
)
def test_what_postgresql_and_libpq_say(said: str, verdict: Verdict) -> None:
    assert PSYCOPG.judge(psycopg.OperationalError(f"connection failed: {said}"), SECRET) is verdict
    assert COMMON.judge(RuntimeError(said), SECRET) is verdict


@pytest.mark.parametrize(
    ("code", "said", "verdict"),
    [
        (1045, "Access denied for user 'app'@'h' (using password: YES)", REJECTED),
        (1044, "Access denied for user 'app'@'h' to database 'x'", DATABASE),
        (1049, "Unknown database 'x'", DATABASE),
        (2003, "Can't connect to MySQL server on 'h' ([Errno 111] Connection refused)", UNAVAILABLE),
        (2003, "([SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol", UNAVAILABLE),
        (2003, "([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", SERVER),
        (2003, "Can't connect ([Errno -3] Temporary failure in name resolution)", UNAVAILABLE),
        (2003, "Can't connect to MySQL server on 'h' (timed out)", UNAVAILABLE),
        (2013, "Lost connection to MySQL server during query", UNAVAILABLE),
        (1040, "Too many connections", UNAVAILABLE),
        (1053, "Server shutdown in progress", UNAVAILABLE),
        (3955, "Access denied. Account is blocked for 1 day(s)", BLOCKED),
        (4150, "User is blocked because of too many credential errors", BLOCKED),
        (3118, "Access denied. Account is locked.", CLOSED),
        (4151, "Access denied, this account is locked", CLOSED),
        (1862, "Your password has expired.", CLOSED),
        (1820, "You must SET PASSWORD before executing this statement", CLOSED),
    ],
)
def test_what_mysql_mariadb_and_pymysql_say(code: int, said: str, verdict: Verdict) -> None:
    assert PYMYSQL.judge(pymysql.OperationalError(code, said), SECRET) is verdict
    assert COMMON.judge(RuntimeError(code, said), SECRET.replace(engine="mariadb")) is verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (redis.AuthenticationError("WRONGPASS"), REJECTED),
        (redis.ConnectionError("refused"), UNAVAILABLE),
        (redis.TimeoutError(), UNAVAILABLE),
        (redis.BusyLoadingError(), UNAVAILABLE),
        (redis.exceptions.AuthorizationError(), OTHER),
        (redis.exceptions.MaxConnectionsError(), OTHER),
        (redis.ResponseError("ERR"), OTHER),
        (ConnectionError("the application's own"), OTHER),
    ],
)
def test_what_redis_py_raises(error: Exception, verdict: Verdict) -> None:
    assert REDIS.judge(error, SECRET) is verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (pymongo.errors.OperationFailure("Authentication failed.", 18), REJECTED),
        (pymongo.errors.OperationFailure("BadAuth", 8000), REJECTED),
        (pymongo.errors.NotPrimaryError("stepped down", {"code": 10107}), UNAVAILABLE),
        (pymongo.errors.OperationFailure("no such command", 59), OTHER),
        (pymongo.errors.ExecutionTimeout("operation would exceed time limit", 50), UNAVAILABLE),
        (pymongo.errors.AutoReconnect("h:1: [Errno 111] Connection refused"), UNAVAILABLE),
        (pymongo.errors.AutoReconnect("h:1: connection closed"), UNAVAILABLE),
        (pymongo.errors.NetworkTimeout("h:1: timed out"), UNAVAILABLE),
        (pymongo.errors.AutoReconnect("h:1: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), SERVER),
        (pymongo.errors.InvalidOperation("Cannot use MongoClient after close"), OTHER),
        (ConnectionError("the application's own"), OTHER),
    ],
)
def test_what_pymongo_raises(error: Exception, verdict: Verdict) -> None:
    assert PYMONGO.judge(error, SECRET) is verdict


@pytest.mark.parametrize(("state", "verdict"), [("28P01", REJECTED), ("28000", OTHER), (None, OTHER)])
def test_a_driver_with_a_state_is_believed(state: str | None, verdict: Verdict) -> None:
    error = RuntimeError("said in another language")
    error.sqlstate = state  # type: ignore[attr-defined] # as asyncpg and others do
    assert COMMON.judge(error, SECRET) is verdict


@pytest.mark.parametrize("driver", [PSYCOPG, PYMYSQL])
def test_an_error_of_the_application_is_not_classified(driver: Any) -> None:
    assert driver.judge(ValueError(1045, "password authentication failed"), SECRET) is OTHER


def test_driver_is_found_by_its_function() -> None:
    found = [
        driver_of(each)
        for each in (psycopg.connect, psycopg.Connection.connect, pymysql.connect, redis.Redis)
    ]
    assert found == [PSYCOPG, PSYCOPG, PYMYSQL, REDIS]
    assert driver_of(lambda: None) is COMMON


def modules_after(statement: str) -> set[str]:
    """The modules that a new interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.processes
def test_a_driver_is_known_without_importing_it() -> None:
    loaded = modules_after("from rotators.client._drivers import driver_named; driver_named('redis')")
    assert "rotators.engines.redis.driver" in loaded
    assert not loaded & {"psycopg", "pymysql", "redis"}


@pytest.mark.processes
@pytest.mark.parametrize("driver", ["pymysql", "psycopg", "redis"])
def test_only_the_engine_of_a_driver_is_loaded(driver: str) -> None:
    loaded = modules_after(
        f"import {driver}; from rotators.client._drivers import driver_named, driver_of;"
        f"driver_of({driver}.Connection); driver_of(print); driver_named({driver!r})"
    )
    engine = {"pymysql": "mysql", "psycopg": "postgres"}.get(driver, driver)
    engines = {f"rotators.engines.{name}" for name in ("mysql", "postgres", "redis")}
    assert engines & loaded == {f"rotators.engines.{engine}"}


def test_a_driver_of_another_engine_loads_both() -> None:
    loaded = modules_after(
        "from rotators.client._drivers import declared_for, driver_named;"
        "from rotators.core.secret import Secret;"
        "assert declared_for(Secret({'engine': 'elasticache'}), driver_named('redis'))"
    )
    engines = {name for name in loaded if name.startswith("rotators.engines.") and name.count(".") == 2}
    assert engines == {"rotators.engines.elasticache", "rotators.engines.redis"}


def test_every_engine_declares_itself_to_applications() -> None:
    """Each declaration is in the folder of the rotators of its engines."""
    folders = {point.name: point.module.split(".")[2] for point in entry_points(group="rotators")}
    points = {*entry_points(group="rotators.drivers"), *entry_points(group="rotators.servers")}
    declared = {name: point.module.split(".")[2] for point in points for name in point.load().engines}
    assert {name: declared.get(name) for name in folders} == folders


@pytest.mark.parametrize("engine", ["ldap", "mongodb", "mysql", "postgres", "redis"])
def test_every_declared_driver_is_an_entry_point(engine: str) -> None:
    side = import_module(f"rotators.engines.{engine}.driver").CLIENT_SIDE
    assert [driver_named(driver.name) for driver in side.drivers] == list(side.drivers)


class Own(psycopg.Connection[Any]):
    """A subclass with which an application connects."""

    @classmethod
    def connect(cls, *args: Any, **given: Any) -> Any:
        return super().connect(*args, **given)


def of(module: str) -> Callable[..., Any]:
    """A function of a driver that is not installed here."""

    def connect(**_: Any) -> Any:
        return made_by(module)()

    connect.__module__ = module
    return connect


def made_by(module: str) -> type:
    """The connection class of this driver."""

    class Made:
        closed = 0

        def close(self) -> None:
            type(self).closed += 1

    Made.__module__ = module
    return Made


def credentials_for(secret: dict[str, Any]) -> Credentials:
    return Credentials("s", cache=SecretCache(source=Fixed(secret), ttl=60), deadline=1)


class Fixed:
    """A Secrets Manager with one version."""

    def __init__(self, secret: dict[str, Any]) -> None:
        self._version = SecretVersion("arn", "s", "v1", ("AWSCURRENT",), json.dumps(secret))

    def one(self, *_: object, **__: object) -> SecretVersion:
        return self._version

    def many(self, secret_ids: Sequence[str]) -> dict[str, Any]:
        return dict.fromkeys(secret_ids, self._version)


CLEAR = {**SECRET, "ssl": False}


@pytest.mark.parametrize(
    ("connect", "driver"),
    [
        (Own.connect, PSYCOPG),
        (functools.wraps(psycopg.connect)(lambda **_: None), PSYCOPG),
        (type("Mine", (redis.Redis,), {"__module__": "shop"}), REDIS),
        (redis.Redis.from_url, REDIS),
        (of("psycopg2"), driver_named("psycopg2")),
        (of("mysql.connector.pooling"), driver_named("mysql.connector")),
        (of("psycopgx"), COMMON),
        (of("mysql"), COMMON),
        (of("shop.psycopg"), COMMON),
    ],
)
def test_wrapped_function_of_a_driver_is_found(connect: Any, driver: Driver) -> None:
    assert driver_of(connect) is driver


@pytest.mark.parametrize(
    ("driver", "meant"),
    [
        ("psycopgg", "psycopg"),
        ("PyMySQL", "pymysql"),
        ("postgres", None),
        ("", None),
        (psycopg, None),
        (psycopg.connect, None),
        (Driver, None),
        (True, None),
        (["psycopg"], None),
    ],
)
def test_unknown_driver_name_is_refused_before_any_read(driver: Any, meant: str | None) -> None:
    credentials, tasks = Credentials("s"), AsyncCredentials("s")
    connect: Any = psycopg.AsyncConnection.connect
    calls: list[Callable[[], object]] = [
        lambda: credentials.connect(lambda **_: None, driver=driver),
        lambda: credentials.login(lambda _: None, driver),
        lambda: credentials.parameters(driver),
        lambda: tasks.connect(connect, driver=driver).send(None),
        lambda: tasks.login(connect, driver).send(None),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="driver") as caught:
            call()
        assert meant is None or f"Did you mean {meant!r}" in caught.value.remedy


@pytest.mark.parametrize(
    ("driver", "connect"),
    [
        ("psycopg", of("psycopg2")),
        ("psycopg", pymysql.connect),
        ("pymysql", psycopg.connect),
        ("redis", psycopg.connect),
        ("pymysql", of("MySQLdb")),
        ("psycopg2", psycopg.connect),
        ("psycopg2", of("pg8000.dbapi")),
        (COMMON, psycopg.connect),
        (PYMYSQL, functools.partial(psycopg.connect, host="h")),
        ("pymysql", Own.connect),
        ("pymysql", functools.wraps(psycopg.connect)(lambda **_: None)),
    ],
)
def test_wrong_driver_is_refused_before_any_read(driver: Any, connect: Any) -> None:
    for call in (Credentials("s").connect, lambda *a, **k: AsyncCredentials("s").connect(*a, **k).send(None)):
        with pytest.raises(ConfigurationError, match="the function belongs to"):
            call(connect, driver=driver)


@pytest.mark.parametrize(("driver", "module"), [("psycopg", "psycopg2.extensions"), ("pymysql", "psycopg")])
def test_connection_of_another_driver_is_closed(driver: str, module: str) -> None:
    kind, connection = made_by(module), made_by(module)()

    async def connect(**_: Any) -> Any:
        return kind()

    async def program() -> None:
        cache = SecretCache(source=Fixed(CLEAR))
        await AsyncCredentials("s", cache=cache).connect(connect, driver=driver)

    with pytest.raises(ConfigurationError, match=f"Pass driver='{module.partition('.')[0]}'"):
        credentials_for(CLEAR).login(lambda _: connection, driver)
    with pytest.raises(ConfigurationError, match="returned a connection"):
        asyncio.run(program())
    assert (type(connection).closed, vars(kind)["closed"]) == (1, 1)


def test_error_of_another_driver_is_refused() -> None:
    foreign = type("OperationalError", (Exception,), {"__module__": "psycopg2"})

    def login(_: object) -> None:
        raise foreign("password authentication failed")

    with pytest.raises(ConfigurationError, match="psycopg2"):
        credentials_for(CLEAR).login(login, "psycopg")


def test_error_of_an_unrelated_driver_is_passed_on() -> None:
    def login(_: object) -> None:
        raise pymysql.OperationalError(1045, "the application asks another server first")

    with pytest.raises(pymysql.OperationalError):
        credentials_for(CLEAR).login(login, "psycopg")


def test_rejection_is_recognised_without_an_engine() -> None:
    managed = Secret({"username": "app", "password": "x"})
    error = RuntimeError('FATAL:  password authentication failed for user "app"')
    assert driver_named("psycopg2").judge(error, managed) is REJECTED
    assert driver_named("MySQLdb").judge(RuntimeError(1045, "Access denied"), managed) is REJECTED


@pytest.mark.parametrize("given", [{"dsn": "host=h"}, {}])
def test_a_connection_string_for_psycopg2_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="connection string"):
        Credentials("s").connect(of("psycopg2"), *([] if given else ["host=h"]), **given)


def test_incompatible_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        Credentials("s").connect(redis.asyncio.Redis)
    with pytest.raises(InvalidInput, match="ttl"):
        AsyncSecretCache(SecretCache(), ttl=5)
    with pytest.raises(InvalidInput, match="SecretCache"):
        Credentials("s", cache=AsyncSecretCache())  # type: ignore[arg-type] # the mistake under test
    with pytest.raises(InvalidInput, match="connection string"):
        Credentials("s").connect(psycopg.connect, "nonsense")
    for conninfo in ("user=x", "password=p"):
        for given in ({"conninfo": conninfo}, {}):
            args = [] if given else [conninfo]
            with pytest.raises(InvalidInput, match="come from the secret"):
                AsyncCredentials("s").connect(psycopg.AsyncConnection.connect, *args, **given).send(None)
    with pytest.raises(InvalidInput, match="come from the secret"):
        Credentials("s").connect(functools.partial(psycopg.connect, user="x"))
    with pytest.raises(InvalidInput, match="credentials must be Credentials"):
        pool_options(AsyncCredentials("s"))  # type: ignore[arg-type] # the mistake under test
    with pytest.raises(InvalidInput, match="credentials must be AsyncCredentials"):
        async_pool_options(Credentials("s"))  # type: ignore[arg-type] # the same
