"""Endpoint in front of a working Secrets Manager that can be throttled, slow, or down.

    with Trouble(aws.endpoint) as trouble:
        client = boto3.client("secretsmanager", endpoint_url=trouble.endpoint)
        trouble.throttled = 0.5

It is for tests of programs that read secrets. Every request is counted, whether answered or not.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_THROTTLING = b'{"__type":"ThrottlingException","message":"Rate exceeded"}'
_JSON = "application/x-amz-json-1.1"
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "server", "date"})


class Trouble:
    """An endpoint that forwards requests to another one, or fails them; use as a context manager.

    Args:
        endpoint: URL of the working one, ``http://127.0.0.1:PORT``.

    Attributes:
        throttled: fraction of requests, 0 to 1, that is answered with HTTP 400 ThrottlingException, at equal
            distances: with 0.5 every second one.
        delay: seconds before any answer.
        down: True to close connections without an answer.
        calls: number of requests by operation.
    """

    def __init__(self, endpoint: str) -> None:
        self.throttled, self.delay, self.down = 0.0, 0.0, False
        self.calls: Counter[str] = Counter()
        self._due = 0.0
        self._lock = threading.Lock()
        target = urlsplit(endpoint).netloc

        class Handler(_Handler):
            trouble, netloc = self, target

        self._server = _Server(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        """Return the URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, operation: str) -> None:
        """Count a request.

        Args:
            operation: name of the API operation.
        """
        with self._lock:
            self.calls[operation] += 1

    def throttles(self) -> bool:
        """Return True if the next request is throttled."""
        with self._lock:
            self._due += self.throttled
            if self._due < 1:
                return False
            self._due -= 1
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # room for many simultaneous connections


class _Handler(BaseHTTPRequestHandler):
    trouble: Trouble
    netloc: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise a body waits for the acknowledgement of its headers

    def do_POST(self) -> None:
        """Count the request, then fail it or forward it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trouble = self.trouble
        trouble.count(self.headers.get("X-Amz-Target", "").rpartition(".")[2])
        time.sleep(trouble.delay)
        if trouble.down:
            self.close_connection = True
        elif trouble.throttles():
            self._answer(400, {"Content-Type": _JSON}, _THROTTLING)
        else:
            self._answer(*self._passed_on(body))

    def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.netloc, timeout=120)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
