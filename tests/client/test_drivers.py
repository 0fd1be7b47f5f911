"""What a driver's error says of a login: a rejection, an absence, or something for the application."""

from __future__ import annotations

from typing import Any

import psycopg
import pymysql
import pytest
import redis
import redis.asyncio

from rotators.client import AsyncCredentials, AsyncSecretCache, Credentials, SecretCache
from rotators.client.drivers import COMMON, LIBPQ, PYMYSQL, REDIS, driver_of
from rotators.client.messages import Verdict
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.core.secret import Secret

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
    assert LIBPQ.judge(psycopg.OperationalError(f"connection failed: {said}"), SECRET) is verdict
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


@pytest.mark.parametrize(("state", "verdict"), [("28P01", REJECTED), ("28000", OTHER), (None, OTHER)])
def test_a_driver_with_a_state_is_believed(state: str | None, verdict: Verdict) -> None:
    error = RuntimeError("said in another language")
    error.sqlstate = state  # type: ignore[attr-defined] # as asyncpg and others do
    assert COMMON.judge(error, SECRET) is verdict


@pytest.mark.parametrize("driver", [LIBPQ, PYMYSQL])
def test_an_error_of_the_application_says_nothing(driver: Any) -> None:
    assert driver.judge(ValueError(1045, "password authentication failed"), SECRET) is OTHER


def test_a_driver_is_found_by_whose_function_it_is() -> None:
    found = [
        driver_of(each)
        for each in (psycopg.connect, psycopg.Connection.connect, pymysql.connect, redis.Redis)
    ]
    assert found == [LIBPQ, LIBPQ, PYMYSQL, REDIS]
    assert driver_of(lambda: None) is COMMON


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        Credentials("s").connect(redis.asyncio.Redis)
    with pytest.raises(InvalidInput, match="ttl"):
        AsyncSecretCache(SecretCache(), ttl=5)
    with pytest.raises(InvalidInput, match="SecretCache"):
        Credentials("s", cache=AsyncSecretCache())  # type: ignore[arg-type] # that is the mistake
    with pytest.raises(InvalidInput, match="connection string"):
        Credentials("s").connect(psycopg.connect, "nonsense")
    for conninfo in ("user=x", "password=p"):
        with pytest.raises(InvalidInput, match="come from the secret"):
            AsyncCredentials("s").connect(psycopg.AsyncConnection.connect, conninfo).send(None)
