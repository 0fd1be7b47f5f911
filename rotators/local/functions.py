"""Local Lambda containers, from outside: start, feed, time out, restart, end.

A function has one container, started at its first invocation and kept warm; invocations of one function
wait for each other, those of different functions do not. Nothing that belongs to the server is held while
a handler runs, so a handler may call the server back.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import sysconfig
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.local.archives import Archives
from rotators.local.iam.door import KEY_PREFIX
from rotators.local.runtime import GONE, RuntimeProcess, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

_INIT_SECONDS = 60.0
_LOG_SECONDS = 2.0
_LOG_LIMIT = 2_000_000
_END_SECONDS = 2.0


@dataclass(frozen=True)
class FunctionConfig:
    """What a container is made from; when it changes, the next invocation starts a new one.

    Attributes:
        name, arn: of the function.
        handler: dotted path.
        timeout: seconds one invocation may take.
        memory: MB, told to the handler and not enforced.
        environment: the container's whole environment.
        code: the folder of a built artifact, which then runs in Lambda's own runtime client; None runs the
            handler from where this process imports it.
        layers: the folders of its layers' content, in the order in which they were named.
    """

    name: str
    arn: str
    handler: str
    timeout: float
    memory: int
    environment: Mapping[str, str] = field(repr=False)
    code: str | None = None
    layers: tuple[str, ...] = ()

    def layer_paths(self) -> list[str]:
        """Where layers have packages for Python (Lambda guide, python-layers): ``python`` in each."""
        return [os.path.join(layer, "python") for layer in self.layers]  # noqa: PTH118 - strings for PYTHONPATH


@dataclass(frozen=True)
class Invocation:
    """The end of one invocation.

    Attributes:
        request_id: a UUID.
        payload: the answer, JSON text: the handler's result, or Lambda's error document.
        failed: whether it is an error document.
        log: what was printed meanwhile, with Lambda's START and END lines.
    """

    request_id: str
    payload: str = field(repr=False)
    failed: bool
    log: str = field(repr=False)


class Functions:
    """All containers of one local AWS.

    Attributes:
        archives: the unpacked code of functions that were created from S3.
        stopped: whether `stop` was called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runners: dict[str, _Runner] = {}
        self._places: dict[str, str] = {}
        self.archives = Archives()
        self.stopped = False
        atexit.register(self.stop)

    def invoke(self, config: FunctionConfig, event: Any) -> Invocation:
        """Run a function once, and wait for it.

        Args:
            config: of the function, as it is now.
            event: anything JSON can hold.

        Returns:
            The answer, also when the handler failed, timed out or died.
        """
        return self._runner(config.name).invoke(config, event)

    def place(self, arn: str, code: str | None) -> None:
        """Note where a function's built artifact is; None for none."""
        with self._lock:
            self._places.pop(arn, None)
            if code:
                self._places[arn] = code

    def code(self, arn: str, archive: bytes | None) -> str | None:
        """The folder of a function's artifact, or None.

        Args:
            arn: of the function.
            archive: the zip file that the function was created from in S3, or None.
        """
        with self._lock:
            placed = self._places.get(arn)
        return self.archives.folder(archive) if archive and not placed else placed

    def log(self, name: str) -> str:
        """Everything a function printed so far, the last 2 MB of it; empty if it never ran."""
        return self._runner(name).log()

    def stop(self) -> None:
        """End all containers; later invocations would start new ones."""
        self.stopped = True
        with self._lock:
            runners = list(self._runners.values())
        for runner in runners:
            runner.stop()
        self.archives.remove()
        atexit.unregister(self.stop)

    def _runner(self, name: str) -> _Runner:
        with self._lock:
            return self._runners.setdefault(name, _Runner())


class _Runner:
    """One function's container and the log of all its containers."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._log = _Log()
        self._process: _Process | RuntimeProcess | None = None
        self._config: FunctionConfig | None = None

    def log(self) -> str:
        return self._log.text()

    def invoke(self, config: FunctionConfig, event: Any) -> Invocation:
        request_id = str(uuid.uuid4())
        with self._turn:
            begin = self._log.mark()
            self._log.add(f"START RequestId: {request_id} Version: $LATEST\n")
            document, failed = self._answer(config, request_id, event)
            return Invocation(request_id, json.dumps(document), failed, self._log.text(begin))

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.end()

    def _answer(self, config: FunctionConfig, request_id: str, event: Any) -> tuple[Any, bool]:
        process, error = self._ready(config)
        if error is not None or process is None:
            return error, True
        seconds = config.timeout
        answer = process.ask(
            {"id": request_id, "event": event, "arn": config.arn, "seconds": seconds}, seconds
        )
        if answer is None:
            self.stop()
            message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            self._log.add(message + "\n")
            return {"errorType": "Sandbox.Timedout", "errorMessage": message}, True
        if answer is GONE:
            return self._exited(process, request_id), True
        self._log.wait_for(f"END RequestId: {request_id}\n")
        return (answer["error"], True) if "error" in answer else (answer["result"], False)

    def _ready(self, config: FunctionConfig) -> tuple[_Process | RuntimeProcess | None, Any]:
        """A warm container, or why there is none."""
        if self._process and (self._config != config or not self._process.alive()):
            self.stop()
        if self._process:
            return self._process, None
        process = RuntimeProcess(config, self._log.add) if config.code else _Process(config, self._log)
        first = process.answer(_INIT_SECONDS)
        if isinstance(first, dict) and "ready" in first:
            self._process, self._config = process, config
            return process, None
        process.end()
        if isinstance(first, dict):
            return None, first["init_error"]
        return None, {"errorType": "Runtime.ExitError", "errorMessage": "Error: Runtime failed to start"}

    def _exited(self, process: _Process | RuntimeProcess, request_id: str) -> dict[str, str]:
        how = process.end(_END_SECONDS)
        self._process = None
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        self._log.add(message + "\n")
        return {"errorType": "Runtime.ExitError", "errorMessage": message}


class _Process:
    """One running container."""

    def __init__(self, config: FunctionConfig, log: _Log) -> None:
        own_path = config.environment.get("PYTHONPATH", "")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __package__ + ".container", config.handler],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**config.environment, "PYTHONPATH": os.pathsep.join([*config.layer_paths(), own_path])},
        )
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read_answers, daemon=True),
            threading.Thread(target=self._read_log, args=(log,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> Any:
        """The answer; None when none came in time, GONE when the process ended."""
        stdin = self._process.stdin
        if stdin is None:
            return GONE
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            return GONE
        return self.answer(seconds)

    def answer(self, seconds: float) -> Any:
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def end(self, patience: float = 0.0) -> str:
        """End the process, unless it ends by itself in time; tells how it ended, in Lambda's words."""
        how = ended(self._process, patience)
        _close(self._process.stdin)
        for thread, stream in zip(self._threads, (self._process.stdout, self._process.stderr), strict=True):
            thread.join(_END_SECONDS)
            if not thread.is_alive():  # else a child of the handler holds the pipe, and closing would wait
                _close(stream)
        return how

    def _read_answers(self) -> None:
        stream = self._process.stdout
        for line in stream or ():
            self._answers.put(json.loads(line))
        self._answers.put(GONE)

    def _read_log(self, log: _Log) -> None:
        stream = self._process.stderr
        for line in stream or ():
            log.add(line.decode(errors="replace"))


def _close(stream: Any) -> None:
    if stream is not None:
        try:
            stream.close()
        except BrokenPipeError:
            return  # what was still to be sent has nobody to read it


class _Log:
    """Text that grows, bounded at its beginning."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._text = ""
        self._dropped = 0

    def add(self, text: str) -> None:
        with self._changed:
            self._text += text
            excess = len(self._text) - _LOG_LIMIT
            if excess > 0:
                self._text, self._dropped = self._text[excess:], self._dropped + excess
            self._changed.notify_all()

    def mark(self) -> int:
        with self._changed:
            return self._dropped + len(self._text)

    def text(self, mark: int = 0) -> str:
        with self._changed:
            return self._text[max(0, mark - self._dropped) :]

    def wait_for(self, text: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: text in self._text, _LOG_SECONDS)


def lambda_environment(
    name: str, handler: str, memory: int, *, endpoint: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment Lambda gives a function: nothing of ours but what finding the same code needs.

    Args:
        name: of the function.
        handler: dotted path.
        memory: in MB.
        endpoint: the variables that lead to the local AWS.
        own: the function's configured variables; they win over ours, but not over Lambda's reserved ones.

    Returns:
        The whole environment of its container.
    """
    kept = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return {
        **kept,
        **endpoint,
        # Each function has its role's keys; the door tells callers apart by them.
        "AWS_ACCESS_KEY_ID": f"{KEY_PREFIX}{name}",
        # A Lambda function has no such files; the developer's profile must not change what it does.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **own,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(_import_path()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "LAMBDA_TASK_ROOT": os.getcwd(),  # noqa: PTH109 - a string is wanted
        "_HANDLER": handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
    }


# SYSTEMROOT: sockets on Windows need it.
_INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")


def _import_path() -> list[str]:
    """Where our process imports from, without what the same interpreter finds by itself."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    entries = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the working directory
    return [entry for entry in entries if not any(entry.startswith(place) for place in own)]
