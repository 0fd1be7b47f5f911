"""The cold start of the rotate function, beside boto3 with a bare client, each in a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys

_BARE = "import boto3; boto3.client('secretsmanager', region_name='us-east-1')"
_OURS = "import functions.rotate; from rotators.aws import clients; clients.secrets_manager()"
_TIMED = "import time; started = time.perf_counter(); {}; print(time.perf_counter() - started)"


def measure(rounds: int) -> dict[str, float]:
    """Median milliseconds of both, taken in turns.

    Args:
        rounds: fresh processes for each.

    Returns:
        ``rotate_ms``, ``boto3_ms`` and their ``ratio``.
    """
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(_seconds(_BARE))
        ours.append(_seconds(_OURS))
    ours_ms, bare_ms = statistics.median(ours) * 1000, statistics.median(bare) * 1000
    return {"rotate_ms": round(ours_ms), "boto3_ms": round(bare_ms), "ratio": round(ours_ms / bare_ms, 2)}


def _seconds(code: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(code)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)
