"""A test server with the protocol of MySQL, controlled by the test; no MySQL server is needed.

It sends the greeting, receives the answer, and then calls the test's function. It records all packets.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = b"\x00\x00\x00\x02\x00\x00\x00"
_CAPABILITIES = 0x81BFF7FF & ~0x0800  # all except TLS, compression and the newer end of results


class Channel:
    """The server's side of a connection: packets with their numbers, and the received packets."""

    def __init__(self, stream: socket.socket, received: list[bytes]) -> None:
        self._stream = stream
        self._number = 0
        self.received = received

    def send(self, payload: bytes) -> None:
        self._stream.sendall(len(payload).to_bytes(3, "little") + bytes([self._number]) + payload)
        self._number = (self._number + 1) % 256

    def receive(self) -> bytes:
        """Receive the next packet; an empty one at the end of the connection."""
        header = self._exactly(4)
        payload = self._exactly(int.from_bytes(header[:3], "little")) if header else b""
        self._number = (header[3] + 1) % 256 if header else 0
        self.received.append(payload)
        return payload

    def command(self) -> bytes:
        """Receive the next command, with its first byte."""
        self._number = 0
        return self.receive()

    def switch(self, plugin: str, salt: bytes = b"s" * 20) -> bytes:
        """Request another plugin; return the answer."""
        self.send(b"\xfe" + plugin.encode() + b"\0" + salt + b"\0")
        return self.receive()

    def rows(self, *rows: tuple[str, ...]) -> None:
        """Answer a query; without rows, the result has one column."""
        columns = len(rows[0]) if rows else 1
        self.send(bytes([columns]))
        for _ in range(columns):
            names = b"\x03def" + b"\x00" * 4 + b"\x00" + b"\x0c"
            self.send(names + b"\x2d\x00\x00\x04\x00\x00\xfd\x00\x00\x00\x00\x00")
        self.send(b"\xfe\x00\x00\x02\x00")
        for row in rows:
            self.send(b"".join(bytes([len(value.encode())]) + value.encode() for value in row))
        self.send(b"\xfe\x00\x00\x02\x00")

    def error(self, number: int, text: str = "no") -> None:
        self.send(b"\xff" + number.to_bytes(2, "little") + b"#HY000" + text.encode())

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._stream.recv(count - len(data))
            if not more:
                return b""
            data += more
        return data


def greeting(plugin: str, version: str = "8.4.0", number: int = 7) -> bytes:
    """The first packet of a server without TLS."""
    low, high = (_CAPABILITIES & 0xFFFF).to_bytes(2, "little"), (_CAPABILITIES >> 16).to_bytes(2, "little")
    return (
        b"\x0a" + version.encode() + b"\0" + number.to_bytes(4, "little") + b"a" * 8 + b"\0"
        + low + b"\x2d\x02\x00" + high + bytes([21]) + bytes(10) + b"b" * 12 + b"\0" + plugin.encode() + b"\0"
    )  # fmt: skip


@contextmanager
def fake_server(
    serve: Callable[[Channel], object], first: bytes = b"", *, connections: int = 1
) -> Iterator[tuple[int, list[bytes]]]:
    """The port of such a server, and all packets that it receives.

    Args:
        serve: handles the connection after the answer to the greeting.
        first: the greeting; by default that of MySQL 8.4 with caching_sha2_password.
        connections: number of clients that are served, one after the other.
    """
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Inherited by connections; otherwise most packets wait for the delayed acknowledgement of one before.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def run() -> None:
            for _ in range(connections):
                try:
                    stream, _address = listener.accept()
                    with stream:
                        channel = Channel(stream, received)
                        channel.send(first or greeting("caching_sha2_password"))
                        channel.receive()
                        serve(channel)
                except OSError:
                    pass  # the client closed the connection, as most of these tests expect

        threading.Thread(target=run, daemon=True).start()
        yield listener.getsockname()[1], received
