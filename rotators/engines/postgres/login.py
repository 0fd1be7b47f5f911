"""A login to PostgreSQL, message by message, up to the server's ReadyForQuery.

Made here and not by libpq, for reasons of safety: the bounds of SCRAM's iterations (postgres_scram.py), no
environment variable of libpq's that changes the session, and the SQLSTATE of a failed login, which libpq does
not give. libpq takes the connection over afterwards (postgres_bridge.py).

A server must ask for a hashed password: never one in clear text, never "success" where none was asked.

Sources: PostgreSQL manual, "Message Flow" and "Message Formats"; libpq's ``require_auth``.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotators.core.errors import RotatorFailure
from rotators.engines.postgres.messages import server_failure
from rotators.engines.postgres.scram import (
    FEWEST_ITERATIONS,
    MOST_ITERATIONS,
    Exchange,
    IterationsError,
    ScramError,
    md5_answer,
)
from rotators.engines.postgres.tls import binding_of, reason_of, secured
from rotators.logins.causes import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret

_TLS_REQUEST = struct.pack("!ii", 8, 80877103)
_VERSION = 3 << 16
_LONGEST = 65536  # bytes of a message before the first statement
_OK, _CLEAR, _MD5, _SASL, _CONTINUE, _FINAL = 0, 3, 5, 10, 11, 12
_ERRNO = {
    errno.ECONNREFUSED: "closed-port",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


@dataclass(frozen=True)
class Request:
    """What to log in with.

    Attributes:
        secret: host name, user and password.
        port: of the server.
        dbname: of the database.
        roots: file of the trusted certificates or SYSTEM_ROOTS; None for an unencrypted connection.
        options: settings for the start-up message, ``-c name=value …``; empty for none. Poolers refuse them.
    """

    secret: Secret
    port: int
    dbname: str
    roots: str | None
    options: str = ""

    @property
    def where(self) -> str:
        """Host, port and user, for messages."""
        return f"{self.secret.text('host')}:{self.port} as {self.secret.text('username')!r}"


@dataclass
class Login:
    """One attempt at one address.

    Args:
        request: what to log in with.
        address: of the server.
        deadline: by ``time.monotonic``; nothing is waited for beyond it.

    Attributes:
        channel: the connection; closed when the login failed.
    """

    request: Request
    address: str
    deadline: float
    channel: socket.socket = field(init=False, repr=False)

    def run(self) -> bytes:
        """Log in.

        Returns:
            What the server said from AuthenticationOk to ReadyForQuery, as it was received.

        Raises:
            CredentialsRejected, TargetUnavailable, TargetRefused: as for Engine.login.
        """
        with self._told():
            self.channel = socket.create_connection((self.address, self.request.port), self._left())
            try:
                return self._run()
            except BaseException:
                self.channel.close()
                raise

    def _run(self) -> bytes:
        self.channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.request.roots is not None:
            self._encrypt(self.request.roots)
        self._send(b"", _start(self.request))
        self._authenticate()
        said = [_message(b"R", struct.pack("!i", _OK))]
        while True:
            kind, body = self._receive()
            said.append(_message(kind, body))
            if kind == b"Z":
                return b"".join(said)

    def _encrypt(self, roots: str) -> None:
        self._send_raw(_TLS_REQUEST)
        answer = self._exactly(1)
        if answer == b"N":
            raise self._failure("tls-unsupported")
        if answer != b"S":
            raise self._failure("protocol")
        self.channel.settimeout(self._left())
        self.channel = secured(self.channel, self.request.secret.text("host"), roots)

    def _authenticate(self) -> None:
        """Answer what the server asks for, until it is content."""
        proven, exchange = False, None
        while True:
            code, rest = self._challenge()
            if code == _OK and proven:
                return
            if code == _MD5 and exchange is None and not proven:
                secret = self.request.secret
                answer = md5_answer(secret.text("username"), secret.text("password"), rest[:4])
                self._send(b"p", answer + b"\0")
                proven = True
            elif code == _SASL and exchange is None and not proven:
                exchange = self._begin(rest)
            elif code == _CONTINUE and exchange is not None:
                self._send(b"p", self._proof(exchange, rest))
            elif code == _FINAL and exchange is not None:
                exchange.check(rest)
                proven = True
            else:
                raise self._failure("auth-method")

    def _begin(self, offered: bytes) -> Exchange:
        try:
            names = [name.decode("ascii", "replace") for name in offered.split(b"\0") if name]
            exchange = Exchange(names, binding_of(self.channel))
        except ScramError:
            raise self._failure("auth-method") from None
        first = exchange.first()
        self._send(b"p", exchange.mechanism.encode() + b"\0" + struct.pack("!i", len(first)) + first)
        return exchange

    def _proof(self, exchange: Exchange, said: bytes) -> bytes:
        try:
            return exchange.final(said, self.request.secret.text("password"))
        except IterationsError as error:
            asked = f"it asks for {error.iterations}, not {FEWEST_ITERATIONS} to {MOST_ITERATIONS}"
            raise self._failure("scram-iterations", asked) from None

    def _challenge(self) -> tuple[int, bytes]:
        while True:
            kind, body = self._receive()
            if kind == b"R" and len(body) >= 4:  # noqa: PLR2004 - a number of four bytes
                return struct.unpack("!i", body[:4])[0], body[4:]
            if kind != b"N":  # a notice says nothing to us
                raise self._failure("protocol")

    def _receive(self) -> tuple[bytes, bytes]:
        """The next message; an error message is raised."""
        kind, length = struct.unpack("!ci", self._exactly(5))
        if not 4 <= length <= _LONGEST:  # noqa: PLR2004 - the length counts itself
            raise self._failure("protocol")
        body = self._exactly(length - 4)
        if kind == b"E":
            raise server_failure(_fields(body), self.request.where)
        return kind, body

    def _send(self, kind: bytes, body: bytes) -> None:
        self._send_raw(_message(kind, body))

    def _send_raw(self, data: bytes) -> None:
        self.channel.settimeout(self._left())
        self.channel.sendall(data)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self.channel.settimeout(self._left())
            part = self.channel.recv(count - len(data))
            if not part:
                raise self._failure("closed")
            data += part
        return data

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the network, TLS and SCRAM raise into failures."""
        try:
            yield
        except RotatorFailure:
            raise
        except ScramError as error:
            raise self._failure("protocol", str(error)) from None
        except ssl.SSLError as error:
            raise self._failure(reason_of(error)) from None
        except TimeoutError:
            raise self._failure("timeout") from None
        except OSError as error:
            raise self._failure(_ERRNO.get(error.errno or 0, "closed")) from None
        except ValueError:  # a host name that TLS cannot name
            raise self._failure("tls-host") from None

    def _failure(self, reason: str, detail: str = "") -> RotatorFailure:
        doing = f"Unable to log into database at {self.request.where}" + (f" ({detail})" if detail else "")
        return failure(reason, doing)


def _start(request: Request) -> bytes:
    parameters = {
        "user": request.secret.text("username"),
        "database": request.dbname,
        "application_name": "rotators",
        "client_encoding": "UTF8",
        **({"options": request.options} if request.options else {}),
    }
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return struct.pack("!i", _VERSION) + pairs + b"\0"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _fields(body: bytes) -> dict[str, str]:
    parts = (part.decode("utf-8", "replace") for part in body.split(b"\0") if part)
    return {part[0]: part[1:] for part in parts}
