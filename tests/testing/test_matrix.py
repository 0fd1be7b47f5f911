"""A part of the crash matrix in every run; `make crash-matrix` runs all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from rotators.testing.crash import Plan
from rotators.testing.crashes import RotatorCrashesV1


class TestAlternatingTwin(RotatorCrashesV1):
    """Every stop while the twin is made, in this process; the processes die in the command below."""

    strategy = "alternating"
    with_admin = True
    kill = False
    plan: ClassVar[Plan] = Plan(starts=[0], every=9)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    command = [sys.executable, "-m", "rotators.cli", "matrix", "--json", "--every", "9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_stop_ends_well_and_processes_were_really_killed(report: dict[str, Any]) -> None:
    for matrix in report["matrices"]:
        assert matrix["outcomes"] == {"ok": matrix["runs"]}
        assert matrix["killed"] > 0
        assert matrix["points"] > 5


def test_the_current_value_is_dead_only_between_commit_and_promotion(report: dict[str, Any]) -> None:
    """With `single`; with `alternating` never."""
    commit = ("setSecret", "ALTER ROLE", "after")
    for result in report["results"]:
        operation = result["operation"]
        place = (operation["step"], operation["name"], result["when"])
        inside = place == commit or operation["step"] in {"testSecret", "finishSecret"}
        over = place == ("finishSecret", "UpdateSecretVersionStage", "after")
        assert result["usable"] == (result["name"] == "alternating" or not inside or over), place


def test_no_value_is_in_the_report(report: dict[str, Any]) -> None:
    assert "SCRAM" not in json.dumps(report)
    names = {result["operation"]["name"] for result in report["results"]}
    assert names <= {
        "ALTER ROLE", "BEGIN", "COMMIT", "CREATE ROLE", "DescribeSecret", "GRANT", "GetSecretValue",
        "PutSecretValue", "SELECT", "UpdateSecretVersionStage", "connect",
    }  # fmt: skip
