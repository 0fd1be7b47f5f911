"""Server processes that end with this process, and their user."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rotators.local.errors import LocalStackError, ServerStartFailed
from rotators.local.servers import supervisor

_STOP_SECONDS = 120.0
# The variables that a server needs; other variables of this process may contain credentials.
_ENVIRONMENT = ("PATH", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ICU_DATA")


class ServerProcess:
    """A running server that ends, and whose directory is removed, when this process ends in any way.

    Args:
        command: Program and arguments, without passwords, because every user can list them.
        directory: Its working directory; removed when it ends.
        log: File to which its stdout and stderr are appended.
        stop_signal: Makes it end at once.
        uid: Numeric id of its user; None for the user of this process.

    Attributes:
        pid: Process id of the server.

    Raises:
        ServerStartFailed: The program could not be started. A started program is not yet ready.
    """

    def __init__(
        self,
        command: list[str],
        *,
        directory: Path,
        log: Path,
        stop_signal: signal.Signals,
        uid: int | None = None,
    ) -> None:
        self._owner = os.getpid()
        # Its own session: Ctrl-C in the terminal must reach only this process, which then stops the server in
        # order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,
            text=True,
        )
        atexit.register(self.stop)
        try:
            request = {
                "command": command,
                "directory": str(directory),
                "log": str(log),
                "stop_signal": int(stop_signal),
                "identity": identity(uid),
            }
            self.pid = self._asked(request, command[0])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove its directory. May be called again.

        Raises:
            LocalStackError: the server did not end within two minutes.
        """
        # A forked child inherits this object and its exit hook, but must not stop the server.
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or stdout.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise LocalStackError(
                f"the server of process {self._process.pid} did not end in {_STOP_SECONDS:.0f} seconds",
                remedy="End it yourself.",
            ) from None
        finally:
            stdout.close()

    def restart(self, stop_signal: signal.Signals, down: float) -> None:
        """Stop the server, and start it again.

        Args:
            stop_signal: signal that makes it end in order.
            down: seconds in between.

        Raises:
            ServerStartFailed: it could not be started again.
        """
        self.pid = self._asked({"stop_signal": int(stop_signal), "down": down}, "the server")

    def _asked(self, request: dict[str, Any], name: str) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ServerStartFailed("the supervising process has no pipes")
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=stdin, flush=True)
        answer: dict[str, Any] = json.loads(stdout.readline() or '{"error": "its supervisor ended"}')
        if "error" in answer:
            raise ServerStartFailed(f"{name} could not be started: {answer['error']}")
        return int(answer["pid"])


def identity(uid: int | None) -> dict[str, Any]:
    """Return the arguments with which ``subprocess`` runs a program as another user.

    Args:
        uid: the user's numeric id, also taken as its group's; ``None`` changes nothing.

    Returns:
        Keyword arguments of :func:`subprocess.run` and :class:`subprocess.Popen`.
    """
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
