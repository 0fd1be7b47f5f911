"""Rotations in processes that die: ``python -m rotators.testing.killed MODULE:TARGET_CLASS``.

One process loads everything once and forks for each rotation, for a start from nothing takes a second. It
has no threads, so forking it is safe. It reads JSON lines ``{"arn", "token", "index", "when"}`` and answers
with how the rotation's process ended: ``killed``, or what it said.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Self

from rotators.core.errors import LocalStackError
from rotators.local.inprocess import InProcessFunction
from rotators.testing.case import STEPS
from rotators.testing.recorder import Operation, Recorder, When

if TYPE_CHECKING:
    from rotators.testing.case import Case
    from rotators.testing.target import Target


class Killer:
    """Runs rotations in processes that are killed at a point; use as a context manager.

    Only installed rotators can be run so, and targets whose class can be imported.

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
        """Rotate in a process of its own, which is killed at the point.

        Args:
            case: the secret.
            token: the rotation's.
            index: of the operation.
            when: on which side of it.

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


class _KillAt:
    def __init__(self, index: int, when: str) -> None:
        self._point = (index, When(when))

    def __call__(self, operation: Operation, when: When) -> None:
        if (operation.index, when) == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


def _rotate(job: dict[str, Any], recorder: Recorder) -> None:
    """The child: it ends by the kill, or tells by its status that it was not."""
    function = InProcessFunction()
    recorder.begin(_KillAt(job["index"], job["when"]))
    with redirect_stdout(io.StringIO()):
        for step in STEPS:
            event = {
                "Step": step,
                "SecretId": job["arn"],
                "ClientRequestToken": job["token"],
                "RotationToken": str(uuid.uuid4()),
            }
            with recorder.step(step):
                function.invoke(event)


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
                finally:
                    os._exit(1)
            _, status = os.waitpid(child, 0)
            ended = "killed" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
