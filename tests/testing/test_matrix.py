"""A small part of the crash matrix; the gate runs another part, and `make crash-matrix` all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from rotators.testing._case import Kit
from rotators.testing._crash import CrashMatrix, Plan
from rotators.testing._recorder import When
from rotators.testing._targets.postgres import PostgresTarget
from tests.world import in_one_piece

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    command = [sys.executable, "-m", "rotators", "matrix", "--json", "--every", "29", "--engine", "postgres"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def place(stop: dict[str, Any]) -> tuple[str, str, str]:
    """Step, operation and side of a stop in the report."""
    return stop["operation"]["step"], stop["operation"]["name"], stop["when"]


def test_every_stop_recovers_and_processes_were_killed(report: dict[str, Any]) -> None:
    for matrix in report["matrices"]:
        assert matrix["outcomes"] == {"ok": matrix["runs"]}
        assert matrix["killed"] > 0
        assert matrix["points"] > 3


def test_current_fails_only_between_commit_and_promotion(report: dict[str, Any]) -> None:
    """This applies to `single`; with `alternating` and `dual` it never fails."""
    for name, rotations in {(result["name"], result["rotations"]) for result in report["results"]}:
        group = [each for each in report["results"] if (each["name"], each["rotations"]) == (name, rotations)]
        stops = sorted(group, key=lambda stop: (stop["operation"]["index"], stop["when"] == "after"))
        failing = [place(stop) for stop in stops if not stop["usable"]]
        if name.split()[1].startswith("single"):
            assert all(step != "createSecret" for step, _, _ in failing), name
            assert all(place(stop) in failing for stop in stops if place(stop)[0] == "testSecret"), name
            assert in_one_piece([stop["usable"] for stop in stops]), (name, failing)
            assert ("finishSecret", "UpdateSecretVersionStage", "after") not in failing, name
        else:
            assert not failing, name


@pytest.mark.parametrize("every", [1, 2, 9, 10])
def test_a_sample_has_both_sides_of_operations(aws: LocalAws, target: PostgresTarget, every: int) -> None:
    with Kit(aws, target, strategy="single") as kit:
        points = list(CrashMatrix("part", kit).points(Plan(starts=[0], every=every)))
    assert {point.when for point in points} == {When.BEFORE, When.AFTER}


def test_no_value_is_in_the_report(report: dict[str, Any]) -> None:
    assert "SCRAM" not in json.dumps(report)
    operations = {result["operation"]["name"] for result in report["results"]}
    assert operations <= {
        "ALTER ROLE", "BEGIN", "COMMIT", "CREATE ROLE", "DescribeSecret", "GRANT", "GetSecretValue",
        "PutSecretValue", "SELECT", "SET", "SHOW", "UpdateSecretVersionStage", "connect",
    }  # fmt: skip
