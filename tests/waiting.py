"""Waiting for facts that send no event, such as those of another process."""

from __future__ import annotations

import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.01


def until(holds: Callable[[], bool]) -> None:
    """Wait without a time limit: the run's limit ends a wait that never succeeds."""
    while not holds():
        time.sleep(_PAUSE_SECONDS)
