"""Drivers of MySQL and MariaDB in applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotators.core.secret import Secret
from rotators.engines.mysql import MySqlEngine
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.engines.mysql.messages import MESSAGES
from rotators.logins.arguments import application_settings, where
from rotators.logins.connecting import wants_tls
from rotators.logins.driver import ClientSide, Driver, common_kind, judge_of
from rotators.logins.target import port_of

_PORT = MySqlEngine.default_port


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **where(secret, given, "read_default_file", "unix_socket"),
        "port": port_of(secret, _PORT),
        "user": secret.text("username"),
        # Bytes: the driver would encode text as Latin-1.
        "password": secret.text("password").encode(),
        **({"database": secret.text("dbname")} if secret.get("dbname") else {}),
        **_tls_parameters(secret, given),
    }


def _tls_parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    from rotators.engines.mysql.tls import tls_parameters  # noqa: PLC0415 - reads certificates, when first needed

    if wants_tls(secret):
        return tls_parameters(secret, application_settings())
    if "unix_socket" in given or any(value for name, value in given.items() if name.startswith("ssl")):
        # Not together with ssl_disabled: the driver would then skip the TLS that the caller configured.
        return {}
    from rotators.engines.mysql.client_plugins import plugins  # noqa: PLC0415 - the driver, when first needed

    return {**tls_parameters(secret, application_settings()), **plugins(secret)}


def _limit(seconds: float) -> dict[str, Any]:
    # connect_timeout covers only the TCP connection; a server that hangs after it would block the thread.
    whole = max(1, int(seconds))
    return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}


def _settled(connection: Any, given: Mapping[str, Any]) -> None:
    connection._read_timeout = given.get("read_timeout")  # noqa: SLF001 - the driver has no public name
    connection._write_timeout = given.get("write_timeout")  # noqa: SLF001 - the same


_COMMON = (
    ("asyncmy", ""),
    ("mariadb", "mariadbconnector"),
    ("mysql.connector", "mysqlconnector"),
    ("MySQLdb", "mysqldb"),
)
"""Package, and SQLAlchemy's name for it if that differs."""


PYMYSQL = Driver(
    "pymysql",
    _parameters,
    judge_of(MESSAGES, "pymysql"),
    engine="mysql",
    limit=_limit,
    settle=_settled,
    shortest=1.0,
    port=_PORT,
)
CLIENT_SIDE = ClientSide(
    engines=dict.fromkeys(MySqlEngine.names, "mysql") | dict.fromkeys(MariaDbEngine.names, "mariadb"),
    port=_PORT,
    words=("mysql", "mariadb"),
    messages=MESSAGES,
    drivers=(
        PYMYSQL,
        *(common_kind(name, judge_of(MESSAGES), "mysql", dialect=dialect) for name, dialect in _COMMON),
    ),
)
