"""The local AWS starts, stops, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.local import lifecycles

_RUN = [sys.executable, "-W", "error", "-m", "tests.local.lifecycles"]


@pytest.fixture(scope="module")
def ended() -> dict[str, tuple[int, str]]:
    """Exit status and stderr of each case's process."""
    done = subprocess.run(_RUN, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (status, said) for name, status, said in lines}


@pytest.mark.parametrize("case", lifecycles.CASES, ids=lambda case: case.__name__)
def test_it_passes_in_a_separate_process(case: Callable[[], None], ended: dict[str, tuple[int, str]]) -> None:
    assert ended[case.__name__] == (0, "")


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
