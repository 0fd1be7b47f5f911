"""Serves moto's application on loopback, with one additional route.

Moto's ThreadedMotoServer is not used: it prints every request, and waits forever if its port is taken.
"""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wrappers import Response

from rotators.iam.errors import PolicyUnsupported
from rotators.local.errors import ServerStartFailed
from rotators.local.options import Options
from rotators.local.redshift import serverless
from rotators.local.wsgi import Application, as_json, body_of, refused

STAGE_PATH = "/rotators-local/stage"
HOST = "127.0.0.1"
_LOCALHOST = "localhost"
_OWN_NAMES = (HOST, _LOCALHOST, "host.docker.internal")  # containers use the last name for this machine

Stage = Callable[[str, str, str], bool]
BeforeFirst = Callable[[str], None]
Around = Callable[[Application], Application]

_logger = logging.getLogger(__name__)


class _Handler(MotoRequestHandler):
    """Moto's handler without a log line per request.

    A connection serves requests until its client closes it.
    """

    def run_wsgi(self) -> None:
        """Answer a request with one packet."""
        environ = self.make_environ()
        if environ.get("wsgi.input_terminated"):
            self.close_connection = True  # the application may leave a part of the body unread
        else:
            environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0)))
        application: Any = self.server.app  # has werkzeug's type, which requires an unused parameter below
        head: list[str] = []

        def start_response(status: str, headers: Iterable[tuple[str, str]]) -> None:
            head[:] = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]

        content = b"".join(application(environ, start_response))
        if not any(line.lower().startswith("content-length:") for line in head):
            head.append(f"Content-Length: {len(content)}")
        head.append(f"Date: {self.date_time_string()}")
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + content)


class _Server(ThreadedWSGIServer):
    """A server with a thread per connection; it can end the connections that are open."""

    daemon_threads = True

    def __init__(self, port: int, application: Application, descriptor: int) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(HOST, port, application, _Handler, fd=descriptor)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread, until one of its ends closes it."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """End all connections, because a stopped server must not answer on those that clients kept."""
        for connection in list(self._connections):
            with suppress(OSError):  # its client has closed it
                connection.shutdown(socket.SHUT_RDWR)


class _Service:
    """A service of moto. Requests without a path need no routing, so they do not pass Flask."""

    def __init__(self, name: Any) -> None:
        self._app = create_backend_app(name)
        views = {
            rule.rule: self._app.view_functions[rule.endpoint] for rule in self._app.url_map.iter_rules()
        }
        root = getattr(views.get("/"), "callback", None)
        self._dispatch = root if getattr(root, "__name__", "") == "dispatch" else None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._dispatch is None or environ["PATH_INFO"] != "/":
            return self._app(environ, start_response)
        request = BackendRequest(environ)
        try:
            status, headers, content = self._dispatch(request, request.raw_url, request.headers)
        except HTTPException as error:
            return error(environ, start_response)
        except PolicyUnsupported:
            raise
        except Exception:
            _logger.exception("moto failed")
            return InternalServerError()(environ, start_response)
        return Response(content, status, headers)(environ, start_response)


class _Moto(DomainDispatcherApplication):
    """Moto's applications. The one for a host is looked up once, because moto lists its folders each time."""

    def __init__(self, before: BeforeFirst, options: Options) -> None:
        super().__init__(_Service)  # type: ignore[arg-type] # moto calls it as it would call Flask
        self._before = before
        self._options = options

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if serverless.is_for(environ):
            return serverless.answer(environ, start_response, self._options)
        return super().__call__(environ, start_response)

    @lru_cache(maxsize=1024)  # noqa: B019 - one per process
    def get_backend_for_host(self, host: str | None) -> Any:
        """Return the name of the service for a host."""
        service = super().get_backend_for_host(host)
        self._before(service)
        return service


def _is_of_another_site(environ: Mapping[str, Any]) -> bool:
    """Return True for a request that a browser sends for a page of another site.

    It could create a function, whose code runs on this machine. moto allows it to all sites (CORS), and a
    site can make its own name resolve to this machine (DNS rebinding). SDKs send neither ``Origin`` nor
    ``Sec-Fetch-Site``.
    """
    host = str(environ.get("HTTP_HOST", HOST))
    name = host.rpartition(":")[0] if ":" in host else host
    if name not in _OWN_NAMES and not name.endswith(f".{_LOCALHOST}"):
        return True
    if environ.get("HTTP_ORIGIN", f"http://{host}") != f"http://{host}":
        return True
    return environ.get("HTTP_SEC_FETCH_SITE", "none") not in {"none", "same-origin"}


class Endpoint:
    """Moto's server in its own thread.

    Args:
        port: to bind; 0 for a free one.
        stage: handles the additional route, with secret, token and Region.
        around: wraps moto's application; decides which requests pass, and records them.
        before: called with a service's name before the first request for one of its hosts.
        options: options of the local AWS.

    Raises:
        ServerStartFailed: the port cannot be bound.
    """

    def __init__(
        self, port: int, stage: Stage, around: Around, before: BeforeFirst, options: Options
    ) -> None:
        self._stage, self._moto = stage, around(_Moto(before, options))
        # Bound here, because werkzeug prints and exits if a port is taken.
        try:
            bound = socket.create_server((HOST, port))
        except OSError:
            raise ServerStartFailed(
                f"the local AWS could not bind {HOST}:{port}",
                remedy=(
                    "Stop the program that uses this port, or choose another port (0 means any free port)."
                ),
            ) from None
        with bound:
            self._server = _Server(port, self._answer, bound.fileno())
        self._port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self._port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _is_of_another_site(environ):
            return refused("AccessDenied", "Web pages may not use the local AWS.", environ, start_response)
        if environ.get("PATH_INFO") == STAGE_PATH:
            body = json.loads(body_of(environ))
            staged = self._stage(body["SecretId"], body["ClientRequestToken"], body["Region"])
            return as_json({"staged": staged}, start_response)
        try:
            return self._moto(environ, start_response)
        except PolicyUnsupported as error:  # of an unknown kind
            return refused("PolicyUnsupported", str(error), environ, start_response)

    def stop(self) -> None:
        """Stop accepting requests, and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.end_connections()
