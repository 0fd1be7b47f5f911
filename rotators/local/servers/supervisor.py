"""Watchdog: runs one server, and stops it and deletes its directory when the parent process ends.

It is run as a file, with the standard library only. The first line on stdin describes the server, each
further line asks for a restart; when stdin ends, the server is stopped and the directory removed. The kernel
closes that pipe in every case, so a normal exit, Ctrl-C, SIGTERM and SIGKILL need no separate code.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

_STOP_SECONDS = 5.0
_REMOVE_ATTEMPTS = 20


def main() -> None:
    """Start the server of the first line, restart it for every further line, and clean up at the end."""
    os.chdir("/")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    server: subprocess.Popen[bytes] | None = None
    try:
        try:
            server = _start(task)
            _say({"pid": server.pid})
        except (OSError, subprocess.SubprocessError) as error:
            _say({"error": f"{type(error).__name__}: {error}"})
        for line in sys.stdin:
            if server is not None:
                again: dict[str, Any] = json.loads(line)
                _stop(server, signal.Signals(again["stop_signal"]))
                time.sleep(again["down"])
                server = _start(task)
                _say({"pid": server.pid})
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if server is not None:
            _stop(server, signal.Signals(task["stop_signal"]))
        _remove(Path(task["directory"]))


def _start(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    with Path(task["log"]).open("ab") as log:
        return subprocess.Popen(
            task["command"],
            cwd=task["directory"],
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            umask=0o077,
            **task["identity"],
        )


def _stop(server: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if server.poll() is not None:
        return
    _signal(server.pid, stop_signal)
    # A paused process handles only SIGKILL until it is resumed.
    for pid in [*children(server.pid), server.pid]:
        _signal(pid, signal.SIGCONT)
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in [*children(server.pid), server.pid]:
            _signal(pid, signal.SIGKILL)
        server.wait()


def _remove(directory: Path) -> None:
    # More than once, because a process that is ending may still write.
    for _ in range(_REMOVE_ATTEMPTS):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)


def _say(answer: dict[str, Any]) -> None:
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        # The parent has ended; the rest of the buffer must not cause an error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process started and that still run.

    Args:
        pid: process id of the parent.
    """
    return [child for child, parent in _parents() if parent == pid]


def _parents() -> Iterator[tuple[int, int]]:
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, check=True)  # noqa: S607 - the path of ps differs between systems
        for row in listed.stdout.splitlines():
            child, parent = row.split()
            yield int(child), int(parent)
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            # The command's name, in parentheses, may itself contain spaces and parentheses.
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
