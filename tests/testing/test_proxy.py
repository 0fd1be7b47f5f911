"""The proxy of the kit forwards after it has closed connections, however often."""

from __future__ import annotations

import socket
import threading

from rotators.testing._proxy import Proxy

TIMES = 3_000
"""A proxy that took another client's connection for its own stopped once in some thousand times."""


def _echo(server: socket.socket) -> None:
    """Answer each connection with the first byte that it sends."""
    while True:
        try:
            near = server.accept()[0]
        except OSError:  # the end of the test
            return
        with near:
            try:
                near.sendall(near.recv(1))
            except OSError:  # cut
                continue


def test_new_connections_are_forwarded_after_each_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with Proxy(server.getsockname()[1]) as proxy:
            for _ in range(TIMES):
                proxy.cut()
                with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
        server.shutdown(socket.SHUT_RDWR)
