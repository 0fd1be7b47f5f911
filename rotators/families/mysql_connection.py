"""The login to servers that speak the protocol of MySQL, and why it fails."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pymysql

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.families.mysql_words import PATTERNS, server_words
from rotators.strategies.causes import CONNECT_SECONDS, failure, login_failure
from rotators.strategies.connecting import (
    SESSION_SECONDS,
    STATEMENT_SECONDS,
    SYSTEM_ROOTS,
    cut_after,
    resolved,
    trusted_roots,
)
from rotators.strategies.identity import port_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

_SLOW = frozenset({1205, 1969, 3024})
_PASSING = frozenset({0, 1053, 1213, 1317, 1396, 1927, 2006, 2013, 2014})
_PRIVILEGE = frozenset({1044, 1141, 1142, 1227, 1370, 1410, 1698})
_READ_ONLY = frozenset({1290, 1792, 1836, 3989})
# Their text repeats a part of the statement.
_TELLTALE = frozenset({1064, 1149})


class _Refusing:
    """Stands for a way to log in that would send the password in clear or hardly hashed."""

    def __init__(self, _connection: object) -> None:
        """Whatever the connection."""

    def authenticate(self, _packet: object) -> NoReturn:
        """Refuse."""
        raise pymysql.OperationalError(2061, "the server asks for the password in clear")


_NEVER: Any = dict.fromkeys(("mysql_clear_password", "mysql_old_password", "dialog"), _Refusing)


@contextmanager
def connected(secret: Secret, settings: Settings, engine: Engine) -> Iterator[pymysql.Connection[Any]]:
    """Log in, at most five seconds in all, and give the connection; it is cut when its server falls silent.

    Args:
        secret: whom and where.
        settings: the function's trusted certificates.
        engine: its defaults.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login. What the
            driver raises inside of the context becomes one of them too.
    """
    user = secret.text("username")
    connection: Any = _connected(
        secret,
        {
            "host": secret.text("host"),
            "port": port_of(secret, engine.default_port),
            "database": secret.text("dbname", engine.default_dbname),
            "user": user,
            **tls_parameters(secret, settings),
        },
    )
    try:
        with cut_after(SESSION_SECONDS, connection._sock.fileno()) as silent:  # noqa: SLF001 - the driver has no public one
            try:
                yield connection
            except (pymysql.Error, OSError) as error:
                if silent.is_set():
                    raise TargetUnavailable(
                        "the server fell silent during a statement", reason="silent"
                    ) from None
                raise _statement_failure(error, user) from None
    finally:
        # close() would first wait for a server that may be dead.
        connection._force_close()  # noqa: SLF001 - the same


def tls_parameters(secret: Secret, settings: Settings) -> dict[str, Any]:
    """The parameters of PyMySQL for the encryption that a secret asks for; see ``trusted_roots``."""
    roots = trusted_roots(secret, settings, "MYSQL_SSL_CA")
    if roots is None:
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=None if roots == SYSTEM_ROOTS else roots)
    except (OSError, ssl.SSLError):
        raise failure("tls-no-ca", "reading the trusted certificates") from None
    # The authorities of managed services predate the extensions that Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return {"ssl": context}


def _connected(secret: Secret, parameters: dict[str, Any]) -> Any:
    """Try the host's addresses in turn under one deadline; the first that answers decides."""
    deadline = time.monotonic() + CONNECT_SECONDS
    where = f"{parameters['host']}:{parameters['port']} as {parameters['user']!r}"
    addresses = resolved(parameters["host"], parameters["port"])
    failed = failure("timeout", f"Unable to log into database at {where}")
    for position, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - position)
        if share <= 0:
            break
        try:
            return _opened(address, share, secret, parameters)
        except TimeoutError:
            continue
        except (pymysql.Error, OSError) as error:
            failed = login_failure(server_words(error), PATTERNS, where)
        if not isinstance(failed, TargetUnavailable):
            break
    raise failed from None


def _opened(
    address: str, seconds: float, secret: Secret, parameters: dict[str, Any]
) -> pymysql.Connection[Any]:
    until = time.monotonic() + seconds
    channel = socket.create_connection((address, parameters["port"]), seconds)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection: pymysql.Connection[Any] = pymysql.connect(
        **parameters,
        # At the call, so that no local variable holds it; the driver would encode a str as Latin-1.
        password=secret.text("password").encode(),
        charset="utf8mb4",
        autocommit=True,
        auth_plugin_map=_NEVER,
        program_name="rotators",
        defer_connect=True,
    )
    try:
        with cut_after(max(until - time.monotonic(), 0.1), channel.fileno()) as late:
            connection.connect(channel)
    except BaseException as error:
        channel.close()
        if late.is_set() and isinstance(error, pymysql.Error | OSError):
            raise TimeoutError from None
        raise
    return connection


def _statement_failure(error: Exception, user: str) -> RotatorFailure:
    """The failure in the target's words. The statement is left out: it holds a hash."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = "" if code in _TELLTALE or len(error.args) < 2 else f": {error.args[1]}"  # noqa: PLR2004 - number and text
    said = f"as {user!r}: error {code}{text}"
    if code in _READ_ONLY:
        return TargetRefused(
            f"the server is read-only, {said}",
            reason="read-only",
            remedy="Use the writer's endpoint as the secret's host, not a reader's.",
        )
    if code in _SLOW:
        return TargetUnavailable(
            f"a statement did not end within {STATEMENT_SECONDS:.0f} seconds, {said}", reason="slow"
        )
    if code in _PRIVILEGE:
        return TargetRefused(
            f"a right is missing, {said}",
            reason="privilege",
            remedy="An admin needs CREATE USER, SELECT on mysql.*, and what it hands on WITH GRANT OPTION."
            " Dual without masterarn needs CREATE USER or, on MySQL, APPLICATION_PASSWORD_ADMIN.",
        )
    if code in _PASSING:
        return TargetUnavailable(
            f"the connection or a concurrent change got in the way, {said}", reason="interrupted"
        )
    return TargetRefused(f"the server refused a statement, {said}", reason="statement")
