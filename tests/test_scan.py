"""Results that `make scan` accepts and refuses, for reports in checkov's format."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scan import NO_COMMENT, complaints, results, without_skips

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"PASSED": "passed_checks", "FAILED": "failed_checks", "SKIPPED": "skipped_checks"}


def report(outcome: str, comment: str | None = None) -> dict[str, Any]:
    """The parts of checkov's report on a key that the scan reads."""
    check = {
        "check_id": "CKV_AWS_7",
        "check_name": "Ensure rotation for customer created CMKs is enabled",
        "check_result": {"result": outcome} | ({} if comment is None else {"suppress_comment": comment}),
        "file_path": "/template.yaml",
        "resource": "AWS::KMS::Key.Key",
    }
    return {"check_type": "cloudformation", "results": {KINDS[outcome]: [check]}}


NOTHING = {"passed": 0, "failed": 0, "skipped": 0, "parsing_errors": 0, "resource_count": 0}
"""checkov's complete report if no file has a resource; its exit status is 0."""


def said(scanned: dict[str, Any], bare: dict[str, Any]) -> list[str]:
    return list(complaints("template.yaml", results(scanned), results(bare)))


def test_a_passed_check_is_accepted() -> None:
    assert said(report("PASSED"), report("PASSED")) == []


def test_a_finding_with_a_reason_is_accepted() -> None:
    assert said(report("SKIPPED", "The key signs only."), report("FAILED")) == []


@pytest.mark.parametrize(
    ("scanned", "bare", "words"),
    [
        pytest.param(report("FAILED"), report("FAILED"), "Fix it", id="finding"),
        pytest.param(report("SKIPPED", NO_COMMENT), report("FAILED"), "without a reason", id="no-comment"),
        pytest.param(report("SKIPPED", " "), report("FAILED"), "without a reason", id="empty-comment"),
        pytest.param(report("SKIPPED", "It signs."), report("PASSED"), "Remove the skip", id="stale-skip"),
        pytest.param(NOTHING, NOTHING, "checked nothing", id="not-a-template"),
    ],
)
def test_refused(scanned: dict[str, Any], bare: dict[str, Any], words: str) -> None:
    (sentence,) = said(scanned, bare)
    assert sentence.startswith("template.yaml")
    assert words in sentence


@pytest.mark.parametrize("key", ["checkov:", '"checkov":', "'checkov' :"])
def test_a_template_without_skips_names_checkov_nowhere(key: str) -> None:
    bare = without_skips(f"Metadata: {{ {key} {{ skip: [] }} }}\n")
    assert "checkov" not in bare
    assert bare.endswith("{ skip: [] } }\n")


def test_make_scans_every_template() -> None:
    asked = ["make", "--no-print-directory", "--dry-run", "scan"]
    commands = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (command,) = [line for line in commands.splitlines() if "tests/scan.py" in line]
    named = {path for pattern in command.split() if "template" in pattern for path in ROOT.glob(pattern)}
    assert named == {ROOT / "template.yaml", *(ROOT / "examples").rglob("template.yaml")}
    assert len(named) >= 5
