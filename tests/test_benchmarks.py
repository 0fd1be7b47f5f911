"""The benchmarks run, and their counts are the documented ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent


def figures(*command: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", *command, "--json"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_stampede_on_the_cache_is_one_call() -> None:
    found = figures("benchmarks.cache", "--rounds", "1", "--seconds", "0.05")
    counted = {name: each["api_calls_of_100_threads_on_a_cold_key"] for name, each in found["caches"].items()}
    assert counted.pop("rotators.client") == 1
    assert min(counted.values()) >= 1
    assert all(ratio > 0 for each in found["ratios"].values() for ratio in each.values())


def test_commands_about_all_secrets_are_measured() -> None:
    found = figures("benchmarks.manage", "--secrets", "120", "--rounds", "1")
    assert found["pages"] == 2
    assert all(each["ratio"] > 0 for each in found["commands"].values())


def test_questions_about_records_are_measured() -> None:
    found = figures("benchmarks.audit", "--records", "3000")
    assert (found["records"], found["files"], found["gaps"]) == (3_000, 2, 0)
    assert found["steps"].keys() == {"parse", "load", "who", "unused", "previous", "anomalies"}
    assert found["steps"]["previous"]["rows"] > 0


def test_an_application_sees_no_rotation_and_others_do() -> None:
    only = ("--only", "rotations", "--strategy", "single", "--pace", "1 s between steps")
    rows = figures("benchmarks.availability", "--rotations", "1", *only, BENCH_THREADS="2")["rotations"]
    failed = {row["client"]: row["new"]["failed"] + row["pool"]["failed"] for row in rows}
    assert failed["ours"] == 0
    assert failed["cached"] > 0
    assert all(row["new"]["attempts"] > 0 < row["pool"]["attempts"] for row in rows)
