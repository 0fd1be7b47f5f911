"""What each driver calls a secret's parts; which driver is meant.

A driver is found by the package that the given callable is of, or named by the caller. A name that is not
known, or that does not fit the connection or error that a login gives, is refused: errors would be judged by
the wrong words, and no rejection recognised. A callable that is not known is taken for a driver of the common
kind: ``host``, ``port``, ``user``, ``password``, ``database`` (PEP 249), errors told by what the secret's
engine says; its TLS is the caller's to name, and without it the login is refused.
"""

from __future__ import annotations

import difflib
import inspect
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.client.judging import is_of, judge_common, judge_mysql, judge_postgres, judge_redis
from rotators.client.messages import Verdict
from rotators.client.target import Destination
from rotators.core.errors import ConfigurationError, InvalidInput, SecretFormatError
from rotators.core.settings import Settings
from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots, wants_tls
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rotators.core.secret import Secret

_REQUIRE_AUTH = 160000
"""The first version of libpq that knows ``require_auth``."""


@dataclass(frozen=True)
class Driver:
    """How to log in with a driver.

    Attributes:
        name: of its package; empty for a callable that is not known.
        parameters: a secret, and what the caller passes → the keyword arguments that say where and who; clear
            text. What the caller passes need not be in the secret.
        judge: an error of a login, and the secret it was made with → what it says.
        limit: seconds → the keyword arguments that make the driver give up after them.
        settle: takes back, on a connection that was made, what ``limit`` would leave behind; told what the
            caller gave.
        shortest: the smallest number of seconds that the driver understands.
        port: its default; None when that depends on the secret's engine.
        engine: whose servers it logs into; empty when that depends on the secret.
        common: whether it is of the common kind: any error is judged, and how its TLS is named is not known.
    """

    name: str
    parameters: Callable[[Secret, Mapping[str, Any]], dict[str, Any]]
    judge: Callable[[Exception, Secret], Verdict]
    limit: Callable[[float], dict[str, Any]] = lambda _: {}
    settle: Callable[[Any, Mapping[str, Any]], None] = lambda _connection, _given: None
    shortest: float = 0.0
    port: int | None = None
    engine: str = ""
    common: bool = False

    def arguments(self, secret: Secret, seconds: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """All keyword arguments of a login: the driver's, below those that the caller gave.

        Raises:
            ConfigurationError: the driver's TLS is not known and the caller did not name it.
            SecretFormatError: a key is missing that the caller did not pass either.
        """
        known = {**self.parameters(secret, given), **self.limit(seconds)}
        if self.common and wants_tls(secret) and not _names_tls(given):
            raise ConfigurationError(
                "the secret asks for TLS, and how this driver is told so is not known",
                remedy="Pass the driver's own argument (ssl=…, ssl_context=…) to connect().",
            )
        return {**known, **given}

    def destination(self, given: Iterable[str]) -> Destination:
        """What the caller decides about the target, by the names of the arguments that he passes."""
        return Destination(frozenset(given), self.port)

    def check_connection(self, connection: object) -> None:
        """Check that a connection is not one of another driver that is known.

        Raises:
            ConfigurationError: it is; no rejection would be recognised, so the connection must not be used.
        """
        found = _found(each.__module__ for each in type(connection).__mro__)
        if not self.common and found not in {None, self}:
            raise self._mistaken_for(found, "made a connection")

    def check_error(self, error: Exception) -> None:
        """Check that an error is not one of another driver for the same servers.

        Raises:
            ConfigurationError: it is, so nobody can tell whether the login was rejected.
        """
        found = _found(each.__module__ for each in type(error).__mro__)
        if not self.common and found not in {None, self} and found.engine == self.engine:
            raise self._mistaken_for(found, "raised an error")

    def _mistaken_for(self, other: Driver, doing: str) -> ConfigurationError:
        return ConfigurationError(
            f"the driver is said to be {self.name!r}, and the login {doing} of {other.name!r}",
            remedy=f"Pass driver={other.name!r}.",
        )


def _names_tls(given: Iterable[str]) -> bool:
    return any(name.startswith("ssl") for name in given)


def _where(secret: Secret, given: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """The host, unless the caller passes it, or passes an argument that takes its place."""
    if "host" in given:
        return {}
    if secret.get("host"):
        return {"host": secret.text("host")}
    if given.keys() & set(others):
        return {}
    raise SecretFormatError(
        "Key is missing from secret JSON: 'host'",
        remedy="Pass host=… (and port, dbname) to connect(), or store them in the secret. RDS stores only"
        " username and password in the secrets that it manages.",
    )


def _libpq(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    import psycopg  # noqa: PLC0415 - the driver, when first needed

    from rotators.engines.postgres.session import tls_parameters  # noqa: PLC0415 - as above

    tls = tls_parameters(secret, _settings())
    if not wants_tls(secret) and psycopg.pq.version() >= _REQUIRE_AUTH:
        # Whoever answers could ask for the password itself.
        tls["require_auth"] = "!password"
    return {
        **_where(secret, given, "hostaddr", "service"),
        "port": port_of(secret, 5432),
        "dbname": secret.text("dbname") if secret.get("dbname") else "postgres",
        "user": secret.text("username"),
        "password": secret.text("password"),
        **tls,
    }


def _pymysql(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_where(secret, given, "read_default_file", "unix_socket"),
        "port": port_of(secret, 3306),
        "user": secret.text("username"),
        # Bytes: the driver would encode text as Latin-1.
        "password": secret.text("password").encode(),
        **({"database": secret.text("dbname")} if secret.get("dbname") else {}),
        **_pymysql_tls(secret, given),
    }


def _pymysql_tls(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    from rotators.engines.mysql.client_plugins import plugins  # noqa: PLC0415 - the driver, when first needed
    from rotators.engines.mysql.connection import tls_parameters  # noqa: PLC0415 - as above

    if wants_tls(secret):
        return tls_parameters(secret, _settings())
    if "unix_socket" in given or any(value for name, value in given.items() if name.startswith("ssl")):
        # Not together with ssl_disabled, or the driver would leave out the TLS that the caller names.
        return {}
    return {**tls_parameters(secret, _settings()), **plugins(secret)}


def _pymysql_limit(seconds: float) -> dict[str, Any]:
    # connect_timeout ends with the TCP connection; a server that is silent after it would hold the thread.
    whole = max(1, int(seconds))
    return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}


def _pymysql_settled(connection: Any, given: Mapping[str, Any]) -> None:
    connection._read_timeout = given.get("read_timeout")  # noqa: SLF001 - the driver has no public way
    connection._write_timeout = given.get("write_timeout")  # noqa: SLF001 - the same


def redis_target(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    """What redis-py calls a secret's parts, user and password apart.

    Args:
        secret: the value.
        given: what the caller passes; it need not be in the secret.

    Raises:
        SecretFormatError: the host is missing; and as ``trusted_roots``.
        TargetUnavailable: as ``trusted_roots``.
    """
    roots = trusted_roots(secret, _settings(), "SSL_CERT_FILE")
    tls: dict[str, Any] = {} if roots is None else {"ssl": True, "ssl_check_hostname": True}
    if roots not in {None, SYSTEM_ROOTS}:
        tls["ssl_ca_certs"] = roots
    return {**_where(secret, given, "unix_socket_path"), "port": port_of(secret, 6379), **tls}


def _redis(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **redis_target(secret, given),
        "username": secret.text("username", "default"),
        "password": secret.text("password"),
    }


def _common(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        **_where(secret, given, "unix_socket"),
        "user": secret.text("username"),
        "password": secret.text("password"),
    }
    if secret.get("port"):
        found["port"] = port_of(secret, 0)
    if secret.get("dbname"):
        found["database"] = secret.text("dbname")
    return found


def _settings() -> Settings:
    return Settings(ssl_root_cert=os.environ.get("SSL_ROOT_CERT") or None)


def _of_common_kind(name: str, engine: str) -> Driver:
    """A driver whose names are the common ones, and whose engine is known without the secret's."""
    return Driver(
        name,
        _common,
        lambda error, secret: judge_common(error, secret, engine),
        engine=engine,
        common=True,
    )


LIBPQ = Driver(
    "psycopg",
    _libpq,
    lambda error, _: judge_postgres(error) if is_of(error, "psycopg") else Verdict.OTHER,
    # psycopg counts in whole seconds, from two up.
    limit=lambda seconds: {"connect_timeout": max(2, int(seconds))},
    shortest=2.0,
    port=5432,
    engine="postgres",
)
PYMYSQL = Driver(
    "pymysql",
    _pymysql,
    lambda error, _: judge_mysql(error) if is_of(error, "pymysql") else Verdict.OTHER,
    limit=_pymysql_limit,
    settle=_pymysql_settled,
    shortest=1.0,
    port=3306,
    engine="mysql",
)
REDIS = Driver("redis", _redis, judge_redis, port=6379, engine="redis")
COMMON = _of_common_kind("", "")

_KNOWN = {
    driver.name: driver
    for driver in (
        LIBPQ,
        PYMYSQL,
        REDIS,
        _of_common_kind("asyncmy", "mysql"),
        _of_common_kind("asyncpg", "postgres"),
        _of_common_kind("mariadb", "mysql"),
        _of_common_kind("mysql.connector", "mysql"),
        _of_common_kind("MySQLdb", "mysql"),
        _of_common_kind("pg8000", "postgres"),
        _of_common_kind("psycopg2", "postgres"),
        _of_common_kind("redshift_connector", "postgres"),
    )
}
# What SQLAlchemy calls drivers whose packages have another name.
_DIALECTS = {"mariadbconnector": "mariadb", "mysqlconnector": "mysql.connector", "mysqldb": "MySQLdb"}


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
        connect: such as ``psycopg.connect``, a class, a bound method, or one of a subclass of the driver's.

    Returns:
        What is known of it.

    Raises:
        ConfigurationError: it is redis-py's for asyncio, which is not covered.
    """
    modules = _modules_of(connect)
    if any(module.startswith("redis.asyncio") for module in modules):
        raise ConfigurationError("redis.asyncio is not covered", remedy="Use redis.Redis in a thread.")
    return _found(modules) or COMMON


def _modules_of(connect: object) -> list[str]:
    """The modules that a callable may be of: its own, and those of its class, the nearest first."""
    owner = connect if inspect.isclass(connect) else getattr(connect, "__self__", connect)
    kind = owner if inspect.isclass(owner) else type(owner)
    own = getattr(connect, "__module__", None)
    return [str(module) for module in (own, *(each.__module__ for each in kind.__mro__)) if module]


def _found(modules: Iterable[str]) -> Driver | None:
    """The known driver that one of the modules belongs to, the first that does."""
    return next(
        (
            driver
            for module in modules
            for name, driver in _KNOWN.items()
            if module == name or module.startswith(f"{name}.")
        ),
        None,
    )


def driver_named(driver: object) -> Driver:
    """The driver that a caller means.

    Args:
        driver: a ``Driver``, or the name of its package.

    Raises:
        InvalidInput: there is none of this name, or it is something else.
    """
    if isinstance(driver, Driver):
        return driver
    names = ", ".join(_KNOWN)
    if not isinstance(driver, str):
        raise InvalidInput(f"driver must be a driver's name, one of {names}", remedy="Correct the argument.")
    if driver in _KNOWN:
        return _KNOWN[driver]
    names_of = {name.lower(): name for name in _KNOWN}
    near = difflib.get_close_matches(driver.lower(), names_of, 1)
    raise InvalidInput(
        f"driver {driver!r} is not known",
        remedy=(f"Did you mean {names_of[near[0]]!r}? " if near else "")
        + f"Pass one of {names}, or COMMON of rotators.client.drivers for another one.",
    )


def driver_of_dialect(name: str) -> Driver:
    """The driver of a dialect of SQLAlchemy; of the common kind when it is not known."""
    return _KNOWN.get(_DIALECTS.get(name, name), COMMON)


def driver_meant(driver: object, connect: Callable[..., Any]) -> Driver:
    """The driver of a callable, as named by the caller or found.

    Args:
        driver: as for ``driver_named``; None to find it.
        connect: the callable.

    Raises:
        InvalidInput: as ``driver_named``.
        ConfigurationError: the callable is another driver's than the caller names.
    """
    found = driver_of(connect)
    if driver is None:
        return found
    named = driver_named(driver)
    if found not in {COMMON, named} and not (named is COMMON and found.common):
        raise ConfigurationError(
            f"the driver is said to be {named.name or 'of the common kind'!r}, and the function is of"
            f" {found.name!r}",
            remedy="Leave driver out: it is found by the function.",
        )
    return named
