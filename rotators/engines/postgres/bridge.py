"""Gives libpq a connection that is already logged in.

libpq opens its connections itself. So it gets a socket in a directory that only this user can enter. Behind
the socket, a thread makes the login (login.py) and then copies bytes both ways. libpq is not asked for a
password, and has none.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from rotators.core.errors import TargetUnavailable
from rotators.engines.postgres.login import AuthenticationRequest, PostgresLogin
from rotators.engines.postgres.messages import MESSAGES

_PORT = 5432  # part of the socket's name; nothing listens on a network
_GRACE = 2.0  # seconds for libpq in addition to those of the login, which has a deadline itself
_JOIN = 1.0
_CHUNK = 65536
# Every parameter that an environment variable of libpq could change (PGOPTIONS, PGREQUIREPEER and so on).
_PARAMETERS: dict[str, Any] = {
    "application_name": "rotators",
    "channel_binding": "disable",
    "client_encoding": "utf8",
    "gssencmode": "disable",
    "hostaddr": "",
    "load_balance_hosts": "disable",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "options": "",
    "passfile": "",
    "password": "",
    "require_auth": "none",
    "requirepeer": "",
    "sslmode": "disable",
    "target_session_attrs": "any",
}


class Bridge:
    """One login and libpq's connection through it.

    Args:
        request: parameters of the login.
        address: IP address of the server.
        seconds: time limit of the login.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused: as for Engine.login.
    """

    def __init__(self, request: AuthenticationRequest, address: str, seconds: float) -> None:
        self._login = PostgresLogin(request, address, time.monotonic() + seconds)
        self._failed: BaseException | None = None
        with _listening() as (directory, listener):
            listener.settimeout(seconds + _GRACE)
            self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            self._thread.start()
            self.connection = self._connected(directory, seconds)

    def _connected(self, directory: str, seconds: float) -> psycopg.Connection[tuple[Any, ...]]:
        request = self._login.request
        try:
            return psycopg.connect(
                **_without_environment(),
                host=directory,
                port=_PORT,
                user=request.secret.text("username"),
                dbname=request.dbname,
                connect_timeout=int(seconds + _GRACE) + 1,
                autocommit=True,
            )
        except psycopg.Error as error:
            self._thread.join(_JOIN)
            if self._failed is not None:
                raise self._failed from None
            raise MESSAGES.failure(error, request.where) from None

    def close(self) -> None:
        """End the connection, and wait for the thread: no work may continue in a frozen Lambda function."""
        self.connection.close()
        self._thread.join(_JOIN)

    def _serve(self, listener: socket.socket) -> None:
        try:
            local, _ = listener.accept()
        except OSError:
            return
        with local:
            try:
                _discard_start(local)
                said = self._login.run()
            except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
                self._failed = error
                return
            with self._login.channel as remote:
                try:
                    local.sendall(said)
                    _copy(local, remote)
                except OSError:  # one side has closed; the other one sees the end of its stream
                    return


@contextmanager
def _listening() -> Iterator[tuple[str, socket.socket]]:
    """Create a directory that only this user can enter, and yield it with a listening socket in it.

    Raises:
        TargetUnavailable: this machine has no place for it.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="rotators-")
    except OSError:
        raise _no_place() from None
    with directory as path, closing(socket.socket(socket.AF_UNIX)) as listener:
        try:
            listener.bind(str(Path(path) / f".s.PGSQL.{_PORT}"))
            listener.listen(1)
        except OSError:  # also if the path is too long
            raise _no_place() from None
        yield path, listener


def _no_place() -> TargetUnavailable:
    return TargetUnavailable(
        "a local socket for the connection could not be made in the directory for temporary files",
        reason="local-socket",
        remedy="Let TMPDIR name a directory that can be written to and whose path is short, such as /tmp.",
    )


def _discard_start(local: socket.socket) -> None:
    """Drop the start-up message of libpq, which environment variables can change."""
    local.settimeout(_JOIN)
    (length,) = struct.unpack("!i", _exactly(local, 4))
    _exactly(local, length - 4)
    local.settimeout(None)


def _exactly(local: socket.socket, count: int) -> bytes:
    data = local.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        raise ConnectionResetError
    return data


def _copy(local: socket.socket, remote: socket.socket) -> None:
    """Copy until one side closes. TLS may hold data that no selector sees, or be readable without any."""
    with selectors.DefaultSelector() as selector:
        selector.register(local, selectors.EVENT_READ)
        selector.register(remote, selectors.EVENT_READ)
        while True:
            waiting = isinstance(remote, ssl.SSLSocket) and remote.pending() > 0
            ready = {key.fileobj for key, _ in selector.select(0 if waiting else None)}
            if local in ready:
                data = local.recv(_CHUNK)
                if not data:
                    return
                remote.settimeout(None)
                remote.sendall(data)
            if waiting or remote in ready:
                remote.settimeout(0)
                try:
                    data = remote.recv(_CHUNK)
                except (ssl.SSLWantReadError, BlockingIOError):
                    continue
                if not data:
                    return
                local.sendall(data)


@cache
def _without_environment() -> dict[str, Any]:
    """Return the entries of ``_PARAMETERS`` that this libpq supports."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return {name: value for name, value in _PARAMETERS.items() if name in known}
