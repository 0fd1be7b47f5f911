"""Moto's application served on loopback, with one route of our own.

Not moto's ThreadedMotoServer: that one prints every request, and waits for ever when its port is taken.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from rotators.core.errors import ServerStartFailed
from rotators.local.iam.door import Door

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

STAGE_PATH = "/rotators-local/stage"
HOST = "127.0.0.1"

Stage = Callable[[str, str, str], bool]


class _QuietHandler(MotoRequestHandler):
    """Moto's handler without a line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class _Application:
    """Moto's application, and POST /rotators-local/stage."""

    def __init__(self, stage: Stage, door: Door) -> None:
        self._moto = door.guarded(DomainDispatcherApplication(create_backend_app))
        self._stage = stage

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != STAGE_PATH:
            return self._moto(environ, start_response)
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        staged = self._stage(body["SecretId"], body["ClientRequestToken"], body["Region"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"staged": staged}).encode()]


class Server:
    """The server in its own thread.

    Args:
        port: to bind; 0 for a free one.
        stage: answers the route of our own, with secret, token and Region.
        door: which requests for moto pass.

    Raises:
        ServerStartFailed: the port cannot be bound.
    """

    def __init__(self, port: int, stage: Stage, door: Door) -> None:
        # Bound here, for werkzeug prints and exits when a port is taken.
        try:
            bound = socket.create_server((HOST, port))
        except OSError:
            raise ServerStartFailed(
                f"the local AWS could not bind {HOST}:{port}",
                remedy="Stop what listens there, or choose another port (0 takes a free one).",
            ) from None
        with bound:
            self._server: BaseWSGIServer = make_server(
                HOST,
                port,
                _Application(stage, door),
                threaded=True,
                request_handler=_QuietHandler,
                fd=bound.fileno(),
            )
        self._port: int = self._server.socket.getsockname()[1]
        self._server.daemon_threads = True  # type: ignore[attr-defined] # of its threaded subclass
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self._port}"

    def stop(self) -> None:
        """Take no more requests, and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
