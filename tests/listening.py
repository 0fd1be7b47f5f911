"""Servers on loopback whose answers come from a function, for logins to servers with unexpected answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def listening(act: Callable[[socket.socket], object]) -> Iterator[int]:
    """Act on each connection in turn, and close it; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    channel, _ = listener.accept()
                except OSError:
                    return
                with channel, suppress(OSError):  # the other side closes the connection
                    act(channel)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
