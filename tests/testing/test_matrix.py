"""A part of the crash matrix in every run; `make crash-matrix` runs all of it."""

from __future__ import annotations

import json
import os
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
    command = [sys.executable, "-m", "rotators.cli", "matrix", "--json", "--every", "11"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_every_stop_ends_well_and_processes_were_really_killed(report: dict[str, Any]) -> None:
    for matrix in report["matrices"]:
        assert matrix["outcomes"] == {"ok": matrix["runs"]}
        assert matrix["killed"] > 0
        assert matrix["points"] > 5


def test_the_current_value_is_dead_only_between_commit_and_promotion(report: dict[str, Any]) -> None:
    """With `single`; with `alternating` and `dual` never."""
    commits = {("ALTER ROLE", "after"), ("SET", "after"), ("ALTER USER", "after")}
    for result in report["results"]:
        operation = result["operation"]
        place = (operation["step"], operation["name"], result["when"])
        promised = "single" not in result["name"]
        changed = operation["step"] in {"testSecret", "finishSecret"} or (
            operation["step"] == "setSecret" and result["usable"] is False
        )
        if not result["usable"]:
            assert not promised, place
            assert changed, place
            assert operation["step"] != "setSecret" or place[1:] in commits, place
        elif not promised and operation["step"] in {"testSecret", "finishSecret"}:
            assert place == ("finishSecret", "UpdateSecretVersionStage", "after")


def test_no_value_is_in_the_report(report: dict[str, Any]) -> None:
    assert "SCRAM" not in json.dumps(report)
    names = {result["operation"]["name"] for result in report["results"]}
    assert names <= {
        "ALTER ROLE", "ALTER USER", "BEGIN", "COMMIT", "CREATE", "CREATE ROLE", "DescribeSecret", "GRANT",
        "GetSecretValue", "PutSecretValue", "SELECT", "SET", "UpdateSecretVersionStage", "connect",
    }  # fmt: skip


def test_all_engines_of_this_machine_are_in_the_report(report: dict[str, Any]) -> None:
    """MySQL is in no package of Debian's; the others must be there in CI."""
    run = {matrix["name"].split()[0] for matrix in report["matrices"]}
    assert run | report["not_run"].keys() == {"postgres", "mariadb", "mysql"}
    if os.environ.get("CI"):
        assert {"postgres", "mariadb"} <= run
