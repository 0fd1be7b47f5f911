"""A login to PostgreSQL, message by message, up to the server's ReadyForQuery.

The login is made here and not by libpq, for safety: SCRAM's iterations are bounded (scram.py), no environment
variable of libpq can change the session, and the SQLSTATE of a failed login is known, which libpq does not
report. libpq takes over the connection afterwards (bridge.py).

A server must ask for a hashed password. One that asks for clear text, or accepts the login without asking for
a password, is refused.

Sources: PostgreSQL manual, "Message Flow" and "Message Formats"; libpq's ``require_auth``.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rotators.core.errors import RotatorFailure
from rotators.core.secret import Secret
from rotators.engines.postgres.digest import DigestError, digest_answer
from rotators.engines.postgres.messages import MESSAGES
from rotators.engines.postgres.tls import binding_of, secured
from rotators.logins.causes import failure
from rotators.logins.channel import reason_of
from rotators.logins.scram import (
    FEWEST_ITERATIONS,
    MOST_ITERATIONS,
    Exchange,
    IterationsError,
    ScramError,
    md5_answer,
)

_TLS_REQUEST = struct.pack("!ii", 8, 80877103)
_VERSION = 3 << 16
_LONGEST = 65536  # bytes of a message before the first statement
_OK, _CLEAR, _MD5, _SASL, _CONTINUE, _FINAL = 0, 3, 5, 10, 11, 12
_DIGEST = 13  # Amazon Redshift only


@dataclass(frozen=True)
class AuthenticationRequest:
    """Parameters of a login.

    Attributes:
        secret: host name, user and password.
        port: port of the server.
        dbname: name of the database.
        roots: file of the trusted certificates or SYSTEM_ROOTS; None for an unencrypted connection.
    """

    secret: Secret
    port: int
    dbname: str
    roots: str | None

    @property
    def where(self) -> str:
        """Return host, port and user, for messages."""
        return f"{self.secret.text('host')}:{self.port} as {self.secret.text('username')!r}"


@dataclass
class PostgresLogin:
    """One login attempt at one address.

    Args:
        request: parameters of the login.
        address: IP address of the server.
        deadline: end of all waiting, by ``time.monotonic`` in seconds.

    Attributes:
        channel: connection; closed if the login failed.
    """

    request: AuthenticationRequest
    address: str
    deadline: float
    channel: socket.socket = field(init=False, repr=False)

    def run(self) -> bytes:
        """Log in.

        Returns:
            The server's bytes from AuthenticationOk to ReadyForQuery, as received.

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
        """Answer the server's requests until it accepts the login."""
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
            elif code == _DIGEST and exchange is None and not proven:
                self._send(b"d", self._digest(rest))
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

    def _digest(self, asked: bytes) -> bytes:
        try:
            return digest_answer(self.request.secret.text("password"), asked)
        except DigestError:
            raise self._failure("digest") from None

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
            if kind != b"N":  # notices are ignored
                raise self._failure("protocol")

    def _receive(self) -> tuple[bytes, bytes]:
        """Return the next message; raise an error message as a failure."""
        kind, length = struct.unpack("!ci", self._exactly(5))
        if not 4 <= length <= _LONGEST:  # noqa: PLR2004 - the length counts itself
            raise self._failure("protocol")
        body = self._exactly(length - 4)
        if kind == b"E":
            # Fields by letter: PostgreSQL manual, "Error and Notice Message Fields".
            fields = _fields(body)
            raise MESSAGES.failure(f"FATAL:  {fields.get('M', '')}", self.request.where, fields.get("C", ""))
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
        """Translate errors of the network, TLS and SCRAM to failures."""
        try:
            yield
        except RotatorFailure:
            raise
        except ScramError as error:
            raise self._failure("protocol", str(error)) from None
        except (OSError, ValueError) as error:
            raise self._failure(reason_of(error)) from None

    def _failure(self, reason: str, detail: str = "") -> RotatorFailure:
        doing = f"Unable to log into database at {self.request.where}" + (f" ({detail})" if detail else "")
        return failure(reason, doing)


def _start(request: AuthenticationRequest) -> bytes:
    parameters = {
        "user": request.secret.text("username"),
        "database": request.dbname,
        "application_name": "rotators",
        "client_encoding": "UTF8",
    }
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return struct.pack("!i", _VERSION) + pairs + b"\0"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _fields(body: bytes) -> dict[str, str]:
    parts = (part.decode("utf-8", "replace") for part in body.split(b"\0") if part)
    return {part[0]: part[1:] for part in parts}
