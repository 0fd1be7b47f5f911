"""A container: the process of one function, and the Runtime API that sends it events.

A function from a source folder, or whose code came in a request, runs on this interpreter with
`runtime_client.py`. A built artifact (registered, or from S3) runs in AWS's own runtime client
(`awslambdaric`), on a Python of Lambda's version, and imports nothing of this checkout. Both ask the Runtime
API for events and post their answers (Lambda guide, runtimes-api).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rotators.local.errors import LocalStackError
from rotators.local.functions import runtime_client

_PREFIX = "/2018-06-01/runtime/"
_INIT_ERROR = "init/error"
_ACCEPTED = 202
_END_SECONDS = 2.0
_END_MARK = "END RequestId: "
GONE = object()
"""The answer of a process that has ended."""


@dataclass(frozen=True)
class FunctionConfig:
    """Configuration of a function. When it changes, the next invocation starts a new container.

    Attributes:
        arn: Of the function.
        handler: Dotted path.
        timeout: Seconds that one invocation may take.
        environment: The container's whole environment.
        code: Folder of a built artifact, which then runs in Lambda's own runtime client. None: the handler is
            run from where this process imports it.
        uploaded: Folder of code that came in a request, as the handler's task root. It runs on this
            interpreter, which has boto3 as Lambda's runtime does.
        layers: Folders with the content of its layers, in the order in which they were named.
    """

    arn: str
    handler: str
    timeout: float
    environment: Mapping[str, str] = field(repr=False)
    code: str | None = None
    uploaded: str | None = None
    layers: tuple[str, ...] = ()


def interpreter() -> str:
    """Find the Python that has Lambda's runtime client.

    Returns:
        ``RUNTIME_PYTHON`` of the environment, else that of ``.venv-lambda``, which `make runtime` creates.

    Raises:
        LocalStackError: There is none.
    """
    named = os.environ.get("RUNTIME_PYTHON")
    found = named or str(Path(__file__).resolve().parents[3] / ".venv-lambda" / "bin" / "python")
    if not Path(found).exists():
        raise LocalStackError(
            "no Python with Lambda's runtime client was found",
            remedy="Run `make runtime`, or set RUNTIME_PYTHON to a Python 3.13 that has awslambdaric.",
            reason="no-runtime",
        )
    return found


class FunctionContainer:
    """One running container.

    Args:
        config: Configuration of the function.
        write_log: Called with each line that the process prints.

    Raises:
        LocalStackError: No interpreter for a built artifact.
    """

    def __init__(self, config: FunctionConfig, write_log: Callable[[str], None]) -> None:
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._posted: dict[str, Any] = {}
        self._api = _RuntimeApi(self._next, self._post)
        source, log = os.pipe()
        # A file object, because a descriptor that is closed twice may belong to another file the second time.
        self._log = os.fdopen(log, "wb", buffering=0)
        self._reader = threading.Thread(target=self._read, args=(source, write_log), daemon=True)
        self._reader.start()
        self._process = subprocess.Popen(
            _command(config),
            stdin=subprocess.PIPE,  # ends with this process in every case
            stdout=self._log,
            stderr=self._log,
            cwd=config.code or config.uploaded,
            env=_environment(config) | {"AWS_LAMBDA_RUNTIME_API": self._api.address},
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def alive(self) -> bool:
        """Return True while the process runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> Any:
        """Send one event and wait for the answer.

        Args:
            request: ``event``, ``id``, ``arn``.
            seconds: Time limit.

        Returns:
            ``{"result": …}`` or ``{"error": …}``; None after the time limit, GONE when the process ended.
        """
        self._events.put(request | {"deadline": round((time.time() + seconds) * 1000)})
        return self.answer(seconds)

    def answer(self, seconds: float) -> Any:
        """Wait for the next answer.

        Args:
            seconds: Time limit.

        Returns:
            The first is ``{"ready": True}`` or ``{"init_error": …}``; see ``ask`` for the others.
        """
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def end(self, patience: float = 0.0) -> str:
        """End the process. May be called again.

        Args:
            patience: Seconds in which it may end by itself.

        Returns:
            The way it ended, in Lambda's words.
        """
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._events.put(None)
        self._api.stop()
        if self._process.stdin:
            self._process.stdin.close()
        self._log.close()
        self._reader.join(_END_SECONDS)  # a child of the handler may hold the pipe
        return f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"

    def _next(self) -> dict[str, Any] | None:
        """Return the event that the process requests; its first request shows that the import succeeded."""
        if self._api.asked == 1:
            self._answers.put({"ready": True})
        return self._events.get()

    def _post(self, path: str, body: Any) -> None:
        if path == _INIT_ERROR:
            self._answers.put({"init_error": body})
            return
        _, request_id, kind = path.split("/")
        self._posted[request_id] = {"result" if kind == "response" else "error": body}
        # Written after the output of the process. The reader returns the answer when it reaches this line, so
        # that the log of an answered invocation is complete.
        with suppress(ValueError):  # the container has ended
            self._log.write(f"{_END_MARK}{request_id}\n".encode())

    def _read(self, source: int, write_log: Callable[[str], None]) -> None:
        with os.fdopen(source, "rb") as lines:
            for line in lines:
                text = line.decode(errors="replace")
                write_log(text)
                if answer := self._posted.pop(text.rpartition(_END_MARK)[2].strip(), None):
                    self._answers.put(answer)

    def _watch(self) -> None:
        self._process.wait()
        self._answers.put(GONE)


def _command(config: FunctionConfig) -> list[str]:
    if config.code:
        return [interpreter(), "-m", "awslambdaric", config.handler]
    if config.uploaded:
        # Run by its path, because the code may contain its own `rotators`. -P: this folder must not hide
        # modules.
        return [sys.executable, "-P", runtime_client.__file__, config.handler]
    return [sys.executable, "-m", "rotators.local.functions.runtime_client", config.handler]


def _environment(config: FunctionConfig) -> dict[str, str]:
    """Return the container's environment with the layers' Python packages (Lambda guide, python-layers)."""
    given = dict(config.environment)
    paths = [os.path.join(layer, "python") for layer in config.layers]  # noqa: PTH118 - strings for PYTHONPATH
    own = given.pop("PYTHONPATH", "")
    if config.code:
        given |= {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "LAMBDA_TASK_ROOT": config.code}
    elif own:
        paths.append(own)
    if config.uploaded:
        given["LAMBDA_TASK_ROOT"] = config.uploaded
        paths.insert(0, config.uploaded)
    return given | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


class _RuntimeApi:
    """The Runtime API for one client, which asks for the next event and posts an answer, in turns."""

    def __init__(
        self, next_event: Callable[[], dict[str, Any] | None], post: Callable[[str, Any], None]
    ) -> None:
        self.asked = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet per answer
            disable_nagle_algorithm = True

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
                post(self.path.removeprefix(_PREFIX), json.loads(body or b"null"))
                self.send_response(_ACCEPTED)
                self._body(b"")

            def _body(self, body: bytes) -> None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Print nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Print nothing, because a stopped container has closed its connection."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self.address = f"127.0.0.1:{self._port}"
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        with suppress(ConnectionRefusedError):  # stopped already
            socket.create_connection(("127.0.0.1", self._port)).close()  # ends the wait for connections
        self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        # Not serve_forever, which wakes up many times a second in each container.
        while not self._stopped:
            self._server.handle_request()
