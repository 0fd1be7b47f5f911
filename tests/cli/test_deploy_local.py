"""A complete deployment without an account: build, package, deploy, rotate with the AWS CLI, remove."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotators.cli.deployed import built
from rotators.local.errors import LocalStackError
from tests import artifact
from tests.cli.command import command

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "rotators", "deploy-local"]


def test_the_deployed_stack_rotates_and_reports_it() -> None:
    artifact.built()
    done = subprocess.run(
        [*COMMAND, "--json"],
        cwd=ROOT,
        env={**os.environ, "RUNTIME_PYTHON": artifact.runtime()},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [(each["strategy"], each["old_password"], each["new_password"]) for each in told["rotations"]] == [
        ("single", "refused", "accepted"),
        ("alternating", "refused", "accepted"),
    ]
    assert told["rotated"] == 3
    message = told["failure_message"]
    assert message["subject"] == "Rotation failed: demo/single (setSecret)"
    assert "Error code:     credentials-rejected\n" in message["body"]
    assert "rotators doctor demo/single --remote\n" in message["body"]
    assert {"AWS::Lambda::Function", "AWS::CloudWatch::Alarm"} <= {each["type"] for each in told["resources"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--parameter", "nonsense"], "KEY=VALUE"), (["--template", "/nowhere.yaml"], "does not exist")],
)
def test_bad_arguments_are_refused_at_once(arguments: list[str], words: str) -> None:
    done = command("deploy-local", "--template", str(ROOT / "template.yaml"), *arguments)
    assert done.status == 2
    assert words in done.stderr


def test_a_wrong_make_variable_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST", "missing")
    with pytest.raises(LocalStackError, match="TRUST=missing: there is no such file"):
        built(artifact.ROOT, "x86_64")
