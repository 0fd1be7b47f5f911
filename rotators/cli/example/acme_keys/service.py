"""An example of a service: users with at most two API keys each. Replace it with your own.

``python -m acme_keys.service SECRET_FILE`` runs it on loopback, and writes a secret's first value.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self


class Service:
    """The service on a free port of loopback; use as a context manager.

    Attributes:
        users: digests of the keys, by user.
        port: port on which it listens.
    """

    def __init__(self) -> None:
        self.users: dict[str, set[str]] = {}
        handler = type("Handler", (_Handler,), {"users": self.users})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def set_keys(self, user: str, *keys: str) -> None:
        """Set the keys of a user, as an operator of the service would.

        Args:
            user: name of the user.
            *keys: all keys of the user, in clear text.
        """
        self.users[user] = {_digest(key) for key in keys}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    users: ClassVar[dict[str, set[str]]]

    def do_GET(self) -> None:
        self._answer(200 if self._user() else 401)

    def do_PUT(self) -> None:
        user, body = self._user(), self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if user:
            self.users[user] = {_digest(key) for key in json.loads(body)["keys"][:2]}
        self._answer(200 if user else 401)

    def _user(self) -> str | None:
        user = self.headers.get("X-User", "")
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return user if _digest(key) in self.users.get(user, ()) else None

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def main() -> None:
    """Run until Ctrl-C."""
    key = secrets.token_urlsafe(32)
    with Service() as service:
        service.set_keys("app", key)
        file = Path(sys.argv[1])
        file.touch(mode=0o600)
        value = {"engine": "acme-keys", "host": "127.0.0.1", "port": service.port, "ssl": False}
        file.write_text(json.dumps({**value, "username": "app", "api_key": key}))
        print(f"listens on 127.0.0.1:{service.port}; the first value is in {file}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
