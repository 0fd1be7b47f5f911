"""Rotations in processes that are killed: ``python -m rotators.testing._killed MODULE:TARGET_CLASS``.

One process loads everything once and forks for each rotation, because starting a process takes a second. It
has no threads, so forking it is safe. It reads JSON lines ``{"arn", "token", "index", "when"}`` and answers
with the end of the rotation's process: ``killed``, or its message.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from typing import Any, Self

from rotators.local.errors import LocalStackError
from rotators.local.inprocess import InProcessFunction
from rotators.testing._case import STEPS, Case, step_event
from rotators.testing._recorder import Recorder, When, at
from rotators.testing._target import Target


class Killer:
    """Runs rotations in processes that are killed at a point; use as a context manager.

    It supports only installed rotators, and targets whose class can be imported.

    Args:
        target: its class names the operations.
    """

    def __init__(self, target: Target) -> None:
        kind = type(target)
        self._command = [sys.executable, "-m", __name__, f"{kind.__module__}:{kind.__qualname__}"]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def rotate_until(self, case: Case, token: str, index: int, when: When) -> None:
        """Rotate in a separate process, which is killed at the point.

        Args:
            case: case of the secret.
            token: token of the rotation.
            index: index of the operation.
            when: side of the operation.

        Raises:
            LocalStackError: the process ended in another way.
        """
        job = {"arn": case.arn, "token": token, "index": index, "when": str(when)}
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101 - the same
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline() or '"nothing: it has ended"')
        if said != "killed":
            raise LocalStackError(f"the process was to be killed and said {said}", remedy="Read its stderr.")


def _rotate(job: dict[str, Any], recorder: Recorder) -> None:
    """Run the child: it is killed, or its exit status reports that it was not."""
    function = InProcessFunction()
    recorder.begin(at(job["index"], When(job["when"]), lambda: os.kill(os.getpid(), signal.SIGKILL)))
    with redirect_stdout(io.StringIO()):
        for step in STEPS:
            with recorder.step(step):
                function.invoke(step_event(job["arn"], step, job["token"]))


def _serve(place: str) -> None:
    module, _, name = place.partition(":")
    target = getattr(importlib.import_module(module), name)
    with Recorder(target.operations) as recorder:
        InProcessFunction().warm_up()
        for line in sys.stdin:
            child = os.fork()
            if child == 0:
                try:
                    _rotate(json.loads(line), recorder)
                except Exception as error:  # noqa: BLE001 - the parent names the place to look
                    print(error, file=sys.stderr, flush=True)
                finally:
                    os._exit(1)
            _, status = os.waitpid(child, 0)
            ended = "killed" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
