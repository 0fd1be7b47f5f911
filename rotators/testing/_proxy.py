"""Proxy between a rotator and its target that can close or stall connections, and a port without server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

_BLOCK = 65536


class Proxy:
    """Forwards connections on loopback; use as a context manager.

    Args:
        port: port of the target, on 127.0.0.1.

    Attributes:
        port: port where the proxy listens.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._accepted: set[object] = set()
        self._ended = False
        self._changed = threading.Condition()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        _send_at_once(self._listener)  # its connections inherit this
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.flow()
        _end(self._listener)
        self._hang_up()

    def cut(self) -> None:
        """Close all open connections."""
        with self._changed:
            self._accepted.clear()  # an earlier client may have had the number of the present one
        # A client is connected before it is accepted. Connections are accepted in order, so this one is the
        # last.
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or last.getsockname() in self._accepted)
            self._hang_up()

    def _hang_up(self) -> None:
        with self._changed:
            while self._open:
                _end(self._open.pop())

    def silence(self) -> None:
        """Accept connections and bytes, and forward nothing."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forward again, including the bytes that were held back."""
        self._flowing.set()

    def _accept(self) -> None:
        with suppress(OSError):  # the end of the block, or a target without a server
            while True:
                self._forward()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _forward(self) -> None:
        near, client = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        _send_at_once(far)
        with self._changed:
            self._open += [near, far]
            self._accepted.add(client)
            self._changed.notify_all()
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # a close on either side ends both
            while block := source.recv(_BLOCK):
                self._flowing.wait()
                sink.sendall(block)
        _end(source)
        _end(sink)


def _send_at_once(channel: socket.socket) -> None:
    """Let no block wait for the acknowledgement of the one before, which receivers delay by 40 ms."""
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _end(channel: socket.socket) -> None:
    with suppress(OSError):  # shut already
        channel.shutdown(socket.SHUT_RDWR)
    channel.close()
