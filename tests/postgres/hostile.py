"""A test server with PostgreSQL's protocol up to SCRAM; it records what clients send."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rotators.local.servers.tls import Certificates


def message(kind: bytes, body: bytes) -> bytes:
    """Return a message of the server."""
    return kind + struct.pack("!i", len(body) + 4) + body


def request(code: int, rest: bytes = b"") -> bytes:
    """Return an authentication request."""
    return message(b"R", struct.pack("!i", code) + rest)


SASL = request(10, b"SCRAM-SHA-256\0\0")
MD5 = request(5, b"salt")
CLEAR = request(3)
TRUST = request(0)


def scram(iterations: str | int, salt: str = "c2FsdHNhbHRzYWx0c2FsdA==") -> Callable[[bytes], bytes]:
    """Answers a client's first message with a number of iterations."""

    def answer(first: bytes) -> bytes:
        found = re.search(rb"r=([!-+\--~]+)$", first)
        nonce = found[1].decode() if found else ""
        own = base64.b64encode(b"fixed nonce").decode()
        return request(11, f"r={nonce}{own},s={salt},i={iterations}".encode())

    return answer


class Hostile:
    """Listens on loopback and serves every connection with the same script.

    Args:
        script: what to send after the client's start-up message and after each of its messages: bytes, or a
            function of the client's message. The connection is closed after the script.
        certificates: certificates for TLS; without them, requests for TLS are refused.

    Attributes:
        port: port on which it listens.
        received: the bodies of the clients' messages, except start-up messages.
        connections: number of connections.
    """

    def __init__(
        self, script: Sequence[bytes | Callable[[bytes], bytes]], certificates: Certificates | None = None
    ) -> None:
        self._script = script
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificates.certificate, certificates.key)
        self.received: list[bytes] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError, struct.error), channel:
                self._talk(channel)

    def _talk(self, channel: socket.socket) -> None:
        while True:
            (length,) = struct.unpack("!i", channel.recv(4, socket.MSG_WAITALL))
            (code,) = struct.unpack("!i", channel.recv(length - 4, socket.MSG_WAITALL)[:4])
            if code != 80877103:
                break
            channel.sendall(b"S" if self._context else b"N")
            if self._context:
                with self._context.wrap_socket(channel, server_side=True) as secured:
                    _read(secured, 4)
                    self._answer(secured)
                return
        self._answer(channel)

    def _answer(self, channel: socket.socket) -> None:
        if isinstance(channel, ssl.SSLSocket):
            channel.recv(65536)  # the rest of the start-up message
        said = b""
        for position, reply in enumerate(self._script):
            channel.sendall(reply(said) if callable(reply) else reply)
            if position == len(self._script) - 1:
                channel.shutdown(socket.SHUT_WR)
            head = _read(channel, 5)
            said = _read(channel, struct.unpack("!i", head[1:])[0] - 4)
            self.received.append(said)


def _read(channel: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = channel.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data
