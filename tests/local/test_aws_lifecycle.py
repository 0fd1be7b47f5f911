"""The local AWS starts, stops, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.local import lifecycles

_RUN = [sys.executable, "-W", "error", "-m", "tests.local.lifecycles"]


@pytest.mark.parametrize("case", lifecycles.CASES, ids=lambda case: case.__name__)
def test_in_a_process_of_its_own(case: Callable[[], None]) -> None:
    done = subprocess.run([*_RUN, case.__name__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_moto_is_imported_only_at_the_start() -> None:
    code = "import sys, rotators.local.aws; sys.exit('moto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open")
@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_container_outlives_its_parent(end: signal.Signals | None) -> None:
    with subprocess.Popen(
        [*_RUN, "stay" if end else "leave"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end:
            parent.send_signal(end)
        parent.wait()
    with contextlib.suppress(ProcessLookupError):  # the process has already ended
        ended = os.pidfd_open(pid)
        select.select([ended], [], [])
        os.close(ended)
