"""Serves the report as a page on loopback: read-only, and without values.

Another site in the same browser could make its own name resolve to 127.0.0.1 (DNS rebinding). Therefore the
server answers only requests whose Host header is its own address.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from rotators.core.errors import RotatorsError
from rotators.manage.page import POLICY, message

HOST = "127.0.0.1"

_DEFAULT_PORT = 80  # which browsers omit

_FRESH_SECONDS = 5.0
"""Age in seconds at which a page is created again, so that not every reload lists the secrets."""

_IDLE_SECONDS = 30.0
"""The longest wait for a request, because an open connection occupies a thread."""

_LOOK_SECONDS = 0.1
"""The time between two checks of the server whether it has to stop."""

_LAST_PAGE_SECONDS = 5.0
"""The longest wait at the end for a page that is being created; with throttling, this can take minutes."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Dashboard:
    """A web server with one page; use as a context manager.

    Args:
        page: creates the page; a RotatorsError becomes a page about the error.
        port: port of the server; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, page: Callable[[], str], port: int = 0) -> None:
        self._page = page
        self._lock = threading.Lock()
        self._made: tuple[float, tuple[HTTPStatus, str]] | None = None
        self._ended = False
        handler = type("Handler", (_Handler,), {"dashboard": self})
        self._server = _Server((HOST, port), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_SECONDS,), name="dashboard", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        # The caller may change the environment afterwards. A page that is still being created would then read
        # from another AWS.
        if self._lock.acquire(timeout=_LAST_PAGE_SECONDS):
            self._lock.release()

    @property
    def address(self) -> str:
        """The URL of the page."""
        return f"http://{HOST}:{self.port}/"

    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self._server.server_address[1])

    def answer(self) -> tuple[HTTPStatus, str]:
        """Return the status and the page; a page that is older than some seconds is created again.

        Returns:
            HTTP status, and a complete HTML document, which explains an error.
        """
        with self._lock:
            if self._ended:
                return HTTPStatus.SERVICE_UNAVAILABLE, message("Ended", "Start the command again.")
            if self._made is None or time.monotonic() - self._made[0] > _FRESH_SECONDS:
                made = self._make()
                # Waiting requests get this page, even if its creation took longer than this time.
                self._made = (time.monotonic(), made)
            return self._made[1]

    def _make(self) -> tuple[HTTPStatus, str]:
        try:
            return HTTPStatus.OK, self._page()
        except RotatorsError as error:
            return HTTPStatus.BAD_GATEWAY, message("The secrets could not be read", str(error))
        except Exception as error:  # noqa: BLE001 - a browser shows no reason for an empty response
            text = f"Unexpected {type(error).__name__}. Next: run `rotators report`, which shows the error."
            return HTTPStatus.INTERNAL_SERVER_ERROR, message("The page could not be made", text)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a closed connection is not an error, and the command uses the terminal."""


class _Handler(BaseHTTPRequestHandler):
    dashboard: Dashboard
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        here = f"Open {self.dashboard.address}"
        suffix = "" if self.dashboard.port == _DEFAULT_PORT else f":{self.dashboard.port}"
        own = {f"{name}{suffix}" for name in (HOST, "localhost")}
        if self.headers.get_all("Host", []) not in [[each] for each in own]:
            status, page = HTTPStatus.MISDIRECTED_REQUEST, message("Wrong host", here)
        elif self.path != "/":
            status, page = HTTPStatus.NOT_FOUND, message("No such page", here)
        else:
            status, page = self.dashboard.answer()
        self._send(status, page)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def send_error(self, code: int, *_: object, **__: object) -> None:
        """Answer an invalid request with a page of this project; called by the library."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._send(status, message(status.phrase, f"Open {self.dashboard.address}"))

    def _send(self, status: HTTPStatus, page: str) -> None:
        body = page.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "rotators"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Print nothing, because the command uses the terminal."""
