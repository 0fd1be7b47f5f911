"""The workflows on GitHub run pinned actions with the fewest rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # here by way of the AWS CLI; its stubs are not

WORKFLOWS = Path(__file__).resolve().parent.parent / ".github" / "workflows"
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


def jobs(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    assert content["permissions"] == {}
    found: dict[str, Any] = content["jobs"]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_only_the_job_that_publishes_may_write(name: str) -> None:
    for title, job in jobs(name).items():
        assert job["permissions"] == {"contents": "write" if title == "publish" else "read"}


def test_a_release_runs_pinned_actions_only() -> None:
    for job in jobs("release.yml").values():
        assert all(PINNED.fullmatch(step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_job_that_may_write_waits_for_the_gate_and_runs_no_code_of_the_repository() -> None:
    publish = jobs("release.yml")["publish"]
    assert set(publish["needs"]) == {"gate", "build"}
    assert not [step for step in publish["steps"] if "checkout" in step.get("uses", "")]
