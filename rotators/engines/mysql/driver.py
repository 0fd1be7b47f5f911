"""The drivers of MySQL and MariaDB in applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.engines.mysql.messages import PATTERNS, server_words
from rotators.logins.connecting import wants_tls
from rotators.logins.driver import (
    ClientSide,
    Driver,
    Verdict,
    application_settings,
    common_kind,
    is_of,
    verdict_on,
    where,
)
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.secret import Secret

_PORT = 3306


def _judge(error: Exception) -> Verdict:
    return verdict_on(server_words(error), PATTERNS)


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
        # Not together with ssl_disabled, or the driver would leave out the TLS that the caller names.
        return {}
    from rotators.engines.mysql.client_plugins import plugins  # noqa: PLC0415 - the driver, when first needed

    return {**tls_parameters(secret, application_settings()), **plugins(secret)}


def _limit(seconds: float) -> dict[str, Any]:
    # connect_timeout ends with the TCP connection; a server that is silent after it would hold the thread.
    whole = max(1, int(seconds))
    return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}


def _settled(connection: Any, given: Mapping[str, Any]) -> None:
    connection._read_timeout = given.get("read_timeout")  # noqa: SLF001 - the driver has no public way
    connection._write_timeout = given.get("write_timeout")  # noqa: SLF001 - the same


def _common(name: str, **more: Any) -> Driver:
    return common_kind(name, "mysql", lambda error, _: _judge(error), **more)


PYMYSQL = Driver(
    "pymysql",
    _parameters,
    lambda error, _: _judge(error) if is_of(error, "pymysql") else Verdict.OTHER,
    engine="mysql",
    limit=_limit,
    settle=_settled,
    shortest=1.0,
    port=_PORT,
)
CLIENT_SIDE = ClientSide(
    engines={"mysql": "mysql", "aurora-mysql": "mysql", "mariadb": "mariadb"},
    port=_PORT,
    words=("mysql", "mariadb"),
    judge=_judge,
    drivers=(
        PYMYSQL,
        _common("asyncmy"),
        _common("mariadb", dialect="mariadbconnector"),
        _common("mysql.connector", dialect="mysqlconnector"),
        _common("MySQLdb", dialect="mysqldb"),
    ),
)
