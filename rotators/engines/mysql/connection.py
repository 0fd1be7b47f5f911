"""Login to servers with the MySQL protocol, and its failures."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from rotators.core.errors import RotatorsError, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.authentication import PLUGINS, MySqlConnection, server_key
from rotators.engines.mysql.failures import statement_failure
from rotators.engines.mysql.messages import MESSAGES
from rotators.engines.mysql.tls import tls_parameters
from rotators.logins.causes import CONNECT_SECONDS, failure
from rotators.logins.connecting import SESSION_SECONDS, addresses_with_time, cut_after
from rotators.logins.target import port_of
from rotators.strategies.engine import Engine


@contextmanager
def connected(secret: Secret, settings: Settings, engine: Engine) -> Iterator[MySqlConnection]:
    """Log in, in at most five seconds in all, and yield the connection.

    The connection is closed when the server stops answering.

    Args:
        secret: address, user and password.
        settings: settings of the function; its trusted certificates.
        engine: engine with the default port and database.

    Yields:
        The connection; its autocommit mode is the server's default.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login. Errors of
            the driver inside the context are translated to these too.
    """
    user = secret.text("username")
    connection: Any = _connected(
        secret,
        {
            "host": secret.text("host"),
            "port": port_of(secret, engine.default_port),
            "database": secret.text("dbname", engine.target_defaults["dbname"]),
            "user": user,
            "server_public_key": server_key(secret),
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
                        "the server stopped answering during a statement", reason="silent"
                    ) from None
                raise statement_failure(error, user) from None
    finally:
        connection.abandon()


def _connected(secret: Secret, parameters: dict[str, Any]) -> Any:
    """Try the host's addresses in turn under one deadline; the first one that answers decides."""
    deadline = time.monotonic() + CONNECT_SECONDS
    where = f"{parameters['host']}:{parameters['port']} as {parameters['user']!r}"
    failed = failure("timeout", f"Unable to log into database at {where}")
    for address, share in addresses_with_time(parameters["host"], parameters["port"], deadline):
        try:
            return _opened(address, share, secret, parameters)
        except TimeoutError:
            continue
        except (pymysql.Error, OSError) as error:
            failed = MESSAGES.failure(error, where)
        except RotatorsError:
            raise
        except Exception:  # noqa: BLE001 - the driver's parser raises many types: IndexError, struct.error …
            failed = failure("protocol", f"Unable to log into database at {where}")
        if not isinstance(failed, TargetUnavailable):
            break
    raise failed from None


def _opened(address: str, seconds: float, secret: Secret, parameters: dict[str, Any]) -> MySqlConnection:
    until = time.monotonic() + seconds
    channel = socket.create_connection((address, parameters["port"]), seconds)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = MySqlConnection(
        **parameters,
        # Read in the call, so that no local variable holds it; the driver would encode a str as Latin-1.
        password=secret.text("password").encode(),
        charset="utf8mb4",
        # The session sets these together with all other settings.
        autocommit=None,
        auth_plugin_map=PLUGINS,
        # Lets a user log in with an expired password, to change it; otherwise the server refuses the login.
        client_flag=CLIENT.HANDLE_EXPIRED_PASSWORDS,
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
