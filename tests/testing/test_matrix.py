"""A part of the crash matrix in every run; `make crash-matrix` runs all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from rotators.local.aws import LocalAws
from rotators.testing.case import Kit
from rotators.testing.crash import CrashMatrix, Plan
from rotators.testing.crashes import RotatorCrashesV1
from rotators.testing.recorder import When
from rotators.testing.results import Container, Recovery
from rotators.testing.target import Target
from rotators.testing.targets.postgres import PostgresTarget

pytestmark = pytest.mark.processes

COMMITS = {"postgres": "COMMIT", "mariadb": "SET PASSWORD", "mysql": "ALTER USER"}
"""What makes the new password valid, with `single`."""


class TestAlternatingClone(RotatorCrashesV1):
    """Every stop while the clone is made, in this process; the processes die in the command below."""

    strategy = "alternating"
    with_admin = True
    kill = False
    plan: ClassVar[Plan] = Plan(starts=[0], every=9)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    command = [sys.executable, "-m", "rotators.cli", "matrix", "--json", "--every", "29"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
    for result in report["results"]:
        engine, strategy = result["name"].split()
        operation = result["operation"]
        place = (operation["step"], operation["name"], result["when"])
        inside = place == ("setSecret", COMMITS[engine], "after") or place[0] in {
            "testSecret",
            "finishSecret",
        }
        over = place == ("finishSecret", "UpdateSecretVersionStage", "after")
        promised = not strategy.startswith("single")
        assert result["usable"] == (promised or not inside or over), (result["name"], place)


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_with_single_the_current_value_dies_with_the_commit_and_not_before(
    request: pytest.FixtureRequest, aws: LocalAws, engine: str
) -> None:
    """Each place in setSecret, of which the report has some."""
    kind: Target = request.getfixturevalue("target" if engine == "postgres" else "maria_target")
    with Kit(aws, kind, strategy="single") as kit:
        crashes = CrashMatrix("window", kit)
        places = {
            (point.operation.name, str(point.when), crashes.stop(point).usable)
            for point in crashes.points(Plan(starts=[0]))
            if point.operation.step == "setSecret"
            and (point.recovery, point.container) == (Recovery.SAME_TOKEN, Container.FRESH)
        }
        crashes.close()
    assert {place for place in places if not place[2]} == {(COMMITS[engine], "after", False)}


@pytest.mark.parametrize("every", [1, 2, 9, 10])
def test_a_part_of_the_points_has_both_sides_of_operations(
    aws: LocalAws, target: PostgresTarget, every: int
) -> None:
    with Kit(aws, target, strategy="single") as kit:
        points = list(CrashMatrix("part", kit).points(Plan(starts=[0], every=every)))
    assert {point.when for point in points} == {When.BEFORE, When.AFTER}


def test_no_value_is_in_the_report(report: dict[str, Any]) -> None:
    assert "SCRAM" not in json.dumps(report)
    names = {result["operation"]["name"] for result in report["results"]}
    assert names <= {
        "ALTER ROLE", "ALTER USER", "BEGIN", "COMMIT", "CREATE OR REPLACE ROLE", "CREATE ROLE", "CREATE USER",
        "DescribeSecret", "GRANT", "GetSecretValue", "PutSecretValue", "SELECT", "SET", "SET DEFAULT ROLE",
        "SET PASSWORD", "SHOW", "UpdateSecretVersionStage", "connect",
    }  # fmt: skip


def test_all_engines_of_this_machine_are_in_the_report(report: dict[str, Any]) -> None:
    """MySQL is in no package of Debian's; the others must be there in CI."""
    run = {matrix["name"].split()[0] for matrix in report["matrices"]}
    assert run | report["not_run"].keys() == {"postgres", "mariadb", "mysql"}
    if os.environ.get("CI"):
        assert {"postgres", "mariadb"} <= run
