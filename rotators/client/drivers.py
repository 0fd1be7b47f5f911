"""What each driver calls a secret's parts, and how it says that a login was rejected.

A driver is found by the module that the given callable is of. What is not known by name is taken for a
driver of the common kind: ``host``, ``port``, ``user``, ``password``, ``database`` (PEP 249), errors told by
what the secret's engine says; its TLS is the caller's to name, and without it the login is refused.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.client.walk import Verdict
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.core.settings import Settings
from rotators.families import mysql_words, postgres_words
from rotators.strategies.causes import cause_of
from rotators.strategies.connecting import SYSTEM_ROOTS, trusted_roots, wants_tls
from rotators.strategies.identity import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotators.core.secret import Secret

_VERDICTS = {
    "password": Verdict.REJECTED,
    "no-login": Verdict.REJECTED,
    "closed": Verdict.UNAVAILABLE,
    "closed-port": Verdict.UNAVAILABLE,
    "connections": Verdict.UNAVAILABLE,
    "starting": Verdict.UNAVAILABLE,
    "timeout": Verdict.UNAVAILABLE,
    "unknown-host": Verdict.UNAVAILABLE,
    "unreachable": Verdict.UNAVAILABLE,
    "user-connections": Verdict.UNAVAILABLE,
}
"""By the keys of ``strategies.causes.CAUSES``; all others are OTHER."""

_REDIS_VERDICTS = {
    "AuthenticationError": Verdict.REJECTED,
    "AuthorizationError": Verdict.OTHER,
    "MaxConnectionsError": Verdict.OTHER,
    "BusyLoadingError": Verdict.UNAVAILABLE,
    "ConnectionError": Verdict.UNAVAILABLE,
    "TimeoutError": Verdict.UNAVAILABLE,
}
"""By class, the nearest ancestor first: redis-py's rejection is a kind of its connection error."""


@dataclass(frozen=True)
class Driver:
    """How to log in with a driver.

    Attributes:
        name: of its top-level package.
        parameters: a secret → the keyword arguments that say where and who; clear text.
        judge: an error of a login, and the secret it was made with → what it says.
        limit: seconds → the keyword arguments that make the driver give up after them.
        settle: takes back, on a connection that was made, what ``limit`` would leave behind; told what the
            caller gave.
        shortest: the smallest number of seconds that the driver understands.
    """

    name: str
    parameters: Callable[[Secret], dict[str, Any]]
    judge: Callable[[Exception, Secret], Verdict]
    limit: Callable[[float], dict[str, Any]] = lambda _: {}
    settle: Callable[[Any, Mapping[str, Any]], None] = lambda _connection, _given: None
    shortest: float = 0.0

    def arguments(self, secret: Secret, seconds: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """All keyword arguments of a login: the driver's, below those that the caller gave.

        Raises:
            ConfigurationError: the driver's TLS is not known and the caller did not name it.
        """
        known = {**self.parameters(secret), **self.limit(seconds)}
        if self is COMMON and wants_tls(secret) and not any(name.startswith("ssl") for name in given):
            raise ConfigurationError(
                "the secret asks for TLS, and how this driver is told so is not known",
                remedy="Pass the driver's own argument (ssl=…, ssl_context=…) to connect().",
            )
        return {**known, **given}


def _libpq(secret: Secret) -> dict[str, Any]:
    from rotators.families.postgres_session import tls_parameters  # noqa: PLC0415 - the driver, when first needed

    return {
        "host": secret.text("host"),
        "port": port_of(secret, 5432),
        "dbname": secret.text("dbname", "postgres"),
        "user": secret.text("username"),
        "password": secret.text("password"),
        **tls_parameters(secret, _settings()),
    }


def _pymysql(secret: Secret) -> dict[str, Any]:
    from rotators.families.mysql_connection import tls_parameters  # noqa: PLC0415 - as above

    return {
        "host": secret.text("host"),
        "port": port_of(secret, 3306),
        "user": secret.text("username"),
        # Bytes: the driver would encode text as Latin-1.
        "password": secret.text("password").encode(),
        **({"database": secret.text("dbname")} if "dbname" in secret else {}),
        **tls_parameters(secret, _settings()),
    }


def _pymysql_limit(seconds: float) -> dict[str, Any]:
    # connect_timeout ends with the TCP connection; a server that is silent after it would hold the thread.
    whole = max(1, int(seconds))
    return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}


def _pymysql_settled(connection: Any, given: Mapping[str, Any]) -> None:
    connection._read_timeout = given.get("read_timeout")  # noqa: SLF001 - the driver has no public way
    connection._write_timeout = given.get("write_timeout")  # noqa: SLF001 - the same


def redis_target(secret: Secret) -> dict[str, Any]:
    """What redis-py calls a secret's parts, user and password apart.

    Raises:
        SecretFormatError, TargetUnavailable: as ``trusted_roots``.
    """
    roots = trusted_roots(secret, _settings(), "SSL_CERT_FILE")
    tls: dict[str, Any] = {} if roots is None else {"ssl": True, "ssl_check_hostname": True}
    if roots not in {None, SYSTEM_ROOTS}:
        tls["ssl_ca_certs"] = roots
    return {"host": secret.text("host"), "port": port_of(secret, 6379), **tls}


def _redis(secret: Secret) -> dict[str, Any]:
    return {
        **redis_target(secret),
        "username": secret.text("username", "default"),
        "password": secret.text("password"),
    }


def _common(secret: Secret) -> dict[str, Any]:
    found: dict[str, Any] = {
        "host": secret.text("host"),
        "user": secret.text("username"),
        "password": secret.text("password"),
    }
    if "port" in secret:
        found["port"] = port_of(secret, 0)
    if "dbname" in secret:
        found["database"] = secret.text("dbname")
    return found


def _settings() -> Settings:
    return Settings(ssl_root_cert=os.environ.get("SSL_ROOT_CERT") or None)


def _of(error: Exception, *packages: str) -> bool:
    """Whether a driver, or the system below it, raised it; not what the application does in between."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in packages


def _judge_postgres(error: Exception) -> Verdict:
    reason = cause_of(postgres_words.server_words(str(error)), postgres_words.PATTERNS)
    return _VERDICTS.get(reason or "", Verdict.OTHER)


def _judge_mysql(error: Exception) -> Verdict:
    reason = cause_of(mysql_words.server_words(error), mysql_words.PATTERNS)
    return _VERDICTS.get(reason or "", Verdict.OTHER)


def _judge_redis(error: Exception, _: Secret) -> Verdict:
    # Not the system's errors: redis-py wraps those, and they are called by the same names.
    if type(error).__module__.partition(".")[0] != "redis":
        return Verdict.OTHER
    ancestors = (ancestor.__name__ for ancestor in type(error).__mro__)
    return next((verdict for name in ancestors if (verdict := _REDIS_VERDICTS.get(name))), Verdict.OTHER)


def _judge_common(error: Exception, secret: Secret) -> Verdict:
    if getattr(error, "sqlstate", None) == "28P01":
        return Verdict.REJECTED
    engine = str(secret.get("engine", ""))
    if any(word in engine for word in ("mysql", "mariadb")):
        return _judge_mysql(error)
    return (
        _judge_postgres(error) if any(word in engine for word in ("postgres", "redshift")) else Verdict.OTHER
    )


LIBPQ = Driver(
    "psycopg",
    _libpq,
    lambda error, _: _judge_postgres(error) if _of(error, "psycopg") else Verdict.OTHER,
    # psycopg counts in whole seconds, from two up.
    limit=lambda seconds: {"connect_timeout": max(2, int(seconds))},
    shortest=2.0,
)
PYMYSQL = Driver(
    "pymysql",
    _pymysql,
    lambda error, _: _judge_mysql(error) if _of(error, "pymysql") else Verdict.OTHER,
    limit=_pymysql_limit,
    settle=_pymysql_settled,
    shortest=1.0,
)
REDIS = Driver("redis", _redis, _judge_redis)
COMMON = Driver("", _common, _judge_common)

_KNOWN = {driver.name: driver for driver in (LIBPQ, PYMYSQL, REDIS)}


def conninfo_parts(conninfo: str) -> dict[str, Any]:
    """The parameters in a connection string of libpq.

    Raises:
        InvalidInput: it is none. It is not shown: it may hold a password.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415 - as above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - as above

    try:
        return dict(conninfo_to_dict(conninfo))
    except ProgrammingError:
        pass
    raise InvalidInput("the connection string is none of libpq's", remedy="Pass keyword arguments.")


def driver_of(connect: Callable[..., Any]) -> Driver:
    """The driver that a callable belongs to.

    Args:
        connect: such as ``psycopg.connect``, a class, a bound method, or a partial of one.

    Returns:
        What is known of it.

    Raises:
        ConfigurationError: it is redis-py's for asyncio, which is not covered.
    """
    while isinstance(connect, functools.partial):
        connect = connect.func
    module = getattr(connect, "__module__", None) or type(connect).__module__
    if str(module).startswith("redis.asyncio"):
        raise ConfigurationError("redis.asyncio is not covered", remedy="Use redis.Redis in a thread.")
    return driver_named(str(module).partition(".")[0])


def driver_named(package: str) -> Driver:
    """What is known of a driver, by its top-level package."""
    return _KNOWN.get(package, COMMON)
