"""A built artifact inside AWS's own runtime client (`awslambdaric`), on a Python of Lambda's version.

The client asks a Runtime API for events and posts its answers; this module is that API's other side, on
loopback. Source: Lambda's guide, runtimes-api. Nothing of our own checkout is on the client's path.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.core.errors import LocalStackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.functions import FunctionConfig

_PREFIX = "/2018-06-01/runtime/"
_INIT_ERROR = "init/error"
_ACCEPTED = 202
_END_SECONDS = 2.0
GONE = object()
"""The answer of a process that has ended."""


def interpreter() -> str:
    """The Python that has the runtime client.

    Returns:
        ``RUNTIME_PYTHON`` of the environment, else that of ``.venv-lambda``, which make makes.

    Raises:
        LocalStackError: there is none.
    """
    named = os.environ.get("RUNTIME_PYTHON")
    found = named or str(Path(__file__).resolve().parents[2] / ".venv-lambda" / "bin" / "python")
    if not Path(found).exists():
        raise LocalStackError(
            "there is no Python with Lambda's runtime client here",
            remedy="Run `make runtime`, or set RUNTIME_PYTHON to a Python 3.13 that has awslambdaric.",
            reason="no-runtime",
        )
    return found


def ended(process: subprocess.Popen[bytes], patience: float) -> str:
    """End a process, unless it ends by itself in time.

    Args:
        process: of a container.
        patience: seconds that it has for that.

    Returns:
        How it ended, in Lambda's words.
    """
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"


class RuntimeProcess:
    """One container: the runtime client with the artifact, and the API that feeds it.

    Args:
        config: of the function; its ``code`` is the artifact's folder.
        write_log: takes each line that it prints.

    Raises:
        LocalStackError: there is no interpreter for it.
    """

    def __init__(self, config: FunctionConfig, write_log: Callable[[str], None]) -> None:
        self._config = config
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._api = _Api(self._next, self._answered)
        # We keep the pipe's other end as well: our line that ends an invocation then stands after its last.
        source, self._log = os.pipe()
        self._reader = threading.Thread(target=_read, args=(source, write_log), daemon=True)
        self._reader.start()
        self._process = subprocess.Popen(
            [interpreter(), "-m", "awslambdaric", config.handler],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=config.code,
            env=self._environment(),
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> Any:
        """Feed one event.

        Args:
            request: ``event``, ``id``, ``arn``.
            seconds: until it is cut off.

        Returns:
            ``{"result": …}`` or ``{"error": …}``; None when none came in time, GONE when the process ended.
        """
        self._events.put(request | {"deadline": round((time.time() + seconds) * 1000)})
        return self.answer(seconds)

    def answer(self, seconds: float) -> Any:
        """The next answer; the first one of a process says whether its import went well."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def end(self, patience: float = 0.0) -> str:
        """End the process, unless it ends by itself in time; tells how it ended, in Lambda's words."""
        how = ended(self._process, patience)
        self._events.put(None)
        self._api.stop()
        os.close(self._log)
        self._reader.join(_END_SECONDS)
        return how

    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in self._config.environment.items() if key != "PYTHONPATH"}
        layers = {"PYTHONPATH": os.pathsep.join(paths)} if (paths := self._config.layer_paths()) else {}
        return {
            **own,
            **layers,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "LAMBDA_TASK_ROOT": str(self._config.code),
        }

    def _next(self) -> dict[str, Any] | None:
        if self._api.asked == 1:
            self._answers.put({"ready": True})
        return self._events.get()

    def _answered(self, path: str, body: Any) -> None:
        if path == _INIT_ERROR:
            self._answers.put({"init_error": body})
            return
        _, request_id, kind = path.split("/")
        os.write(self._log, f"END RequestId: {request_id}\n".encode())
        self._answers.put({"id": request_id, "result" if kind == "response" else "error": body})

    def _watch(self) -> None:
        self._process.wait()
        self._answers.put(GONE)


class _Api:
    """The Runtime API: one client, which asks for the next event and posts an answer, in turns."""

    def __init__(
        self, next_event: Callable[[], dict[str, Any] | None], answered: Callable[[str, Any], None]
    ) -> None:
        self.asked = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.asked += 1
                request = next_event()
                if request is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", request["id"])
                self.send_header("Lambda-Runtime-Deadline-Ms", str(request["deadline"]))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", request["arn"])
                self._body(json.dumps(request["event"]).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answered(self.path.removeprefix(_PREFIX), json.loads(body or b"null"))
                self.send_response(_ACCEPTED)
                self._body(b"")

            def _body(self, body: bytes) -> None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: a container that was ended has left its connection."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _read(source: int, write_log: Callable[[str], None]) -> None:
    with os.fdopen(source, "rb") as lines:
        for line in lines:
            write_log(line.decode(errors="replace"))
