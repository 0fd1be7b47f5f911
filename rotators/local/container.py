"""The inside of a local Lambda container: `python -m rotators.local.container HANDLER`.

One process serves one function, one event at a time, as in Lambda. It speaks JSON lines:

- stdin brings ``{"event", "id", "arn", "seconds"}``; the end of stdin ends the process at once, so that
  no container outlives the process that started it, however that one ended;
- what was stdout answers: ``{"ready": true}`` or ``{"init_error": …}`` once, then per event
  ``{"id", "result"}`` or ``{"id", "error"}``;
- stderr is the log. Whatever the handler prints to stdout goes there too, so it can never be mistaken for
  an answer. ``END RequestId: …`` closes the lines of one event.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

Handler = Callable[[Any, "Context"], Any]

_INPUT, _OUTPUT, _LOG = 0, 1, 2


@dataclass(frozen=True)
class Context:
    """Lambda's context object, as far as handlers commonly read it.

    Attributes:
        function_name: of this function.
        function_version: always ``$LATEST``.
        invoked_function_arn: as the caller named it.
        memory_limit_in_mb: the configured memory (not enforced), as Lambda gives it: a string.
        aws_request_id: of this invocation.
        log_group_name, log_stream_name: where its log goes.
        deadline: on the monotonic clock of this machine, in seconds.
    """

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float

    def get_remaining_time_in_millis(self) -> int:
        """How long until the container is killed, in milliseconds; never below 0."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def main(handler_path: str) -> None:
    """Serve events until stdin ends.

    Args:
        handler_path: dotted path of the handler, ``package.module.function``.
    """
    # Ctrl-C reaches the whole process group; the parent decides what it means for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(_OUTPUT), "w", encoding="utf-8")
    os.dup2(_LOG, _OUTPUT)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    source = os.fdopen(os.dup(_INPUT), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _INPUT)
    threading.Thread(target=_read, args=(source, requests), daemon=True).start()
    try:
        handler = load(handler_path)
    except BaseException as error:  # noqa: BLE001 - even SystemExit at import is an init error to Lambda
        _send(answers, {"init_error": _import_error(handler_path, error)})
        return
    _send(answers, {"ready": True})
    while True:
        _serve(handler, requests.get(), answers)


def load(handler_path: str) -> Handler:
    """Import a handler.

    Args:
        handler_path: ``package.module.function``; Lambda's ``package/module.function`` too.

    Returns:
        The function.

    Raises:
        ImportError, AttributeError: there is no such module or function.
    """
    module, _, name = handler_path.replace("/", ".").rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler


def _read(source: TextIO, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in source:
        requests.put(json.loads(line))
    os._exit(0)  # the main thread may be deep inside a handler, and nobody waits for its answer


def _serve(handler: Handler, request: dict[str, Any], answers: TextIO) -> None:
    answer: dict[str, Any] = {"id": request["id"]}
    try:
        answer["result"] = handler(request["event"], _context(request))
        line = json.dumps(answer)
    except Exception as error:  # noqa: BLE001 - the boundary that turns any error into Lambda's answer
        line = json.dumps({"id": request["id"], "error": describe(error)})
    sys.stdout.flush()
    sys.stderr.flush()
    # The log's end marker goes first: who has the answer can wait for the marker and has the whole log.
    os.write(_LOG, f"END RequestId: {request['id']}\n".encode())
    answers.write(line + "\n")
    answers.flush()


def describe(error: BaseException) -> dict[str, Any]:
    """An error in Lambda's shape.

    Args:
        error: what the handler raised.

    Returns:
        ``errorMessage``, ``errorType`` and ``stackTrace``, a list of lines without this module's own.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_list(own),
    }


def _import_error(handler_path: str, error: BaseException) -> dict[str, Any]:
    described = describe(error)
    module, _, name = handler_path.rpartition(".")
    if isinstance(error, ImportError):
        described["errorMessage"] = f"Unable to import module '{module}': {error}"
        described["errorType"] = "Runtime.ImportModuleError"
    elif isinstance(error, AttributeError):
        described["errorMessage"] = f"Handler '{name}' missing on module '{module}': {error}"
        described["errorType"] = "Runtime.HandlerNotFound"
    return described


def _context(request: dict[str, Any]) -> Context:
    return Context(
        function_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        function_version="$LATEST",
        invoked_function_arn=request["arn"],
        memory_limit_in_mb=os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        aws_request_id=request["id"],
        log_group_name=os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
        log_stream_name=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        deadline=time.monotonic() + request["seconds"],
    )


def _send(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
