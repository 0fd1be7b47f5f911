"""The runtime client of functions that run from a source folder: `python -m … HANDLER`.

One process serves one function, one event at a time. Like AWS's `awslambdaric`, which runs built artifacts,
it asks the Runtime API for events and posts the answers (Lambda guide, runtimes-api). The process ends when
its stdin ends, so that no container outlives the process that started it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any

Handler = Callable[[Any, "Context"], Any]

_RUNTIME = "/2018-06-01/runtime"
_STDIN = 0


@dataclass(frozen=True)
class Context:
    """Lambda's context object, with the members that handlers commonly read.

    Attributes:
        function_name: Name of the function.
        function_version: Always ``$LATEST``.
        invoked_function_arn: ARN by which the function was called.
        memory_limit_in_mb: Configured memory (not enforced), as text like Lambda's.
        aws_request_id: Id of the invocation.
        log_group_name, log_stream_name: Names of the function's log.
        deadline: End of the invocation, in milliseconds since the epoch.
    """

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: int

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the container is killed; never below 0."""
        return max(0, self.deadline - round(time.time() * 1000))


def main(handler_path: str) -> None:
    """Serve events until stdin ends.

    Args:
        handler_path: Dotted path of the handler, ``package.module.function``.
    """
    # Ctrl-C reaches the whole process group; the parent ends its containers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owner = os.dup(_STDIN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), _STDIN)
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load(handler_path)
    except BaseException as error:  # noqa: BLE001 - Lambda reports even SystemExit as an error of the import
        _request(api, "POST", "init/error", json.dumps(_import_error(handler_path, error)))
        return
    while True:
        headers, event = _request(api, "GET", "invocation/next")
        outcome, answer = _answer(handler, json.loads(event), headers)
        sys.stdout.flush()
        sys.stderr.flush()
        _request(api, "POST", f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/{outcome}", answer)


def load(handler_path: str) -> Handler:
    """Import a handler.

    Args:
        handler_path: ``package.module.function``; like Lambda, also ``package/module.function``.

    Returns:
        The function.

    Raises:
        ImportError, AttributeError: No such module or function.
    """
    module, _, name = handler_path.replace("/", ".").rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler


def describe(error: BaseException) -> dict[str, Any]:
    """Describe an error as Lambda does.

    Args:
        error: Exception raised by the handler.

    Returns:
        ``errorMessage``, ``errorType`` and ``stackTrace``, a list of lines without those of this module.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_list(own),
    }


def _end_with(owner: int) -> None:
    """End the process when the pipe ends; its main thread may be running a handler."""
    os.read(owner, 1)
    os._exit(0)


def _request(
    api: HTTPConnection, method: str, path: str, body: str | None = None
) -> tuple[HTTPMessage, bytes]:
    api.request(method, f"{_RUNTIME}/{path}", body)
    response = api.getresponse()
    return response.headers, response.read()


def _answer(handler: Handler, event: Any, headers: HTTPMessage) -> tuple[str, str]:
    try:
        return "response", json.dumps(handler(event, _context(headers)))
    except Exception as error:  # noqa: BLE001 - every error becomes Lambda's answer
        return "error", json.dumps(describe(error))


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


def _context(headers: HTTPMessage) -> Context:
    return Context(
        function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        function_version="$LATEST",
        invoked_function_arn=headers["Lambda-Runtime-Invoked-Function-Arn"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        aws_request_id=headers["Lambda-Runtime-Aws-Request-Id"],
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        deadline=int(headers["Lambda-Runtime-Deadline-Ms"]),
    )


if __name__ == "__main__":
    main(sys.argv[1])
