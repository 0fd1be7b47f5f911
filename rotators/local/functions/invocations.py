"""Invocations of Lambda functions: starts, calls, times out, restarts and ends their containers.

A function has one container, started at its first invocation and kept warm; invocations of one function wait
for each other, those of different functions do not. No lock of the server is held while a handler runs, so a
handler may call the server.
"""

from __future__ import annotations

import atexit
import json
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rotators.local.errors import LocalStackError
from rotators.local.functions.archives import Archives
from rotators.local.functions.containers import GONE, FunctionConfig, FunctionContainer

_INIT_SECONDS = 120.0
_LOG_LIMIT = 2_000_000
_END_SECONDS = 2.0


@dataclass(frozen=True)
class Invocation:
    """The end of one invocation.

    Attributes:
        request_id: a UUID.
        payload: the answer, JSON text: the handler's result, or Lambda's error document.
        failed: True if it is an error document.
        log: text printed meanwhile, with Lambda's START and END lines.
    """

    payload: str = field(repr=False)
    failed: bool
    log: str = field(repr=False)


class Functions:
    """All containers of one local AWS.

    Attributes:
        archives: the unpacked code of functions that were created from S3.
        stopped: True if `stop` was called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runners: dict[str, Runner] = {}
        self._places: dict[str, str | None] = {}
        self.archives = Archives()
        self.stopped = False
        atexit.register(self.stop)

    def place(self, arn: str, code: str | None) -> None:
        """Note where a function's built artifact is.

        Args:
            arn: ARN of the function.
            code: its folder, or None if there is none.
        """
        with self._lock:
            self._places[arn] = code

    def code(self, arn: str, archive: bytes | None) -> str | None:
        """Return the folder of a function's artifact, or None.

        Args:
            arn: ARN of the function.
            archive: the zip file that the function was created from in S3, or None.
        """
        with self._lock:
            placed = self._places.get(arn)
        return self.archives.folder(archive) if archive and not placed else placed

    def stop(self) -> None:
        """End all containers; later invocations would start new ones."""
        self.stopped = True
        with self._lock:
            runners = list(self._runners.values())
        for runner in runners:
            runner.stop()
        self.archives.remove()
        atexit.unregister(self.stop)

    def runner(self, name: str) -> Runner:
        """Return the container and the log of a function, created on first use.

        Args:
            name: name of the function.
        """
        with self._lock:
            return self._runners.setdefault(name, Runner())


class Runner:
    """One function's container and the log of all its containers."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._log = _Log()
        self._process: FunctionContainer | None = None
        self._config: FunctionConfig | None = None

    def log(self) -> str:
        """Return the last 2 MB of what the function printed; empty if it never ran."""
        return self._log.text()

    def wait_for_log(self, name: str, text: str, timeout: float, times: int) -> str:
        """Wait until the function ``name`` has printed a text. See ``LocalAws.wait_for_log``."""
        if not self._log.wait_for(text, timeout, times):
            often = f" {times} times" if times > 1 else ""
            raise LocalStackError(
                f"{name} did not print {text!r}{often} within {timeout:g} s",
                remedy="Read the function's log.",
                reason="timeout",
            )
        return self._log.text()

    def invoke(self, config: FunctionConfig, event: Any) -> Invocation:
        """Run the function once, and wait for it.

        Args:
            config: config of the function, as it is now.
            event: JSON types.

        Returns:
            The answer, also if the handler failed, timed out or ended its process.
        """
        request_id = str(uuid.uuid4())
        with self._turn:
            begin = self._log.mark()
            self._log.add(f"START RequestId: {request_id} Version: $LATEST\n")
            document, failed = self._answer(config, request_id, event)
            return Invocation(json.dumps(document), failed, self._log.text(begin))

    def stop(self) -> None:
        """End the container, if there is one."""
        process, self._process = self._process, None
        if process:
            process.end()

    def _answer(self, config: FunctionConfig, request_id: str, event: Any) -> tuple[Any, bool]:
        process, error = self._ready(config)
        if error is not None or process is None:
            return error, True
        answer = process.ask({"id": request_id, "event": event, "arn": config.arn}, config.timeout)
        if answer is None:
            self.stop()
            how = f"Task timed out after {config.timeout:.2f} seconds"
            return self._ended("Sandbox.Timedout", request_id, how), True
        if answer is GONE:
            self._process = None
            how = f"Runtime exited with error: {process.end(_END_SECONDS)}"
            return self._ended("Runtime.ExitError", request_id, how), True
        return (answer["error"], True) if "error" in answer else (answer["result"], False)

    def _ready(self, config: FunctionConfig) -> tuple[FunctionContainer | None, Any]:
        """Return a warm container, or the answer that explains why there is none."""
        if self._process and (self._config != config or not self._process.alive()):
            self.stop()
        if self._process:
            return self._process, None
        process = FunctionContainer(config, self._log.add)
        first = process.answer(_INIT_SECONDS)
        if isinstance(first, dict) and "ready" in first:
            self._process, self._config = process, config
            return process, None
        process.end()
        if isinstance(first, dict):
            return None, first["init_error"]
        return None, {"errorType": "Runtime.ExitError", "errorMessage": "Error: Runtime failed to start"}

    def _ended(self, kind: str, request_id: str, how: str) -> dict[str, str]:
        """Return Lambda's answer and log line about an invocation that ended without an answer."""
        message = f"RequestId: {request_id} Error: {how}"
        self._log.add(message + "\n")
        return {"errorType": kind, "errorMessage": message}


class _Log:
    """A log that drops its oldest text."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[str] = deque()
        self._length = self._dropped = 0

    def add(self, text: str) -> None:
        with self._changed:
            self._pieces.append(text)
            self._length += len(text)
            while self._length - self._dropped > _LOG_LIMIT:
                self._dropped += len(self._pieces.popleft())
            self._changed.notify_all()

    def mark(self) -> int:
        """Return the position of the next text, for `text`."""
        return self._length

    def text(self, mark: int = 0) -> str:
        with self._changed:
            return "".join(self._pieces)[max(0, mark - self._dropped) :]

    def wait_for(self, text: str, timeout: float, times: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: "".join(self._pieces).count(text) >= times, timeout)
