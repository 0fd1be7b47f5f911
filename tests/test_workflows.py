"""Workflows run pinned actions with minimal permissions, and the issue forms are valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # here by way of the AWS CLI; its stubs are not

WORKFLOWS = Path(__file__).resolve().parent.parent / ".github" / "workflows"
FORMS = WORKFLOWS.parent / "ISSUE_TEMPLATE"
NOT_INSTALLED = {
    # The image of the runner contains these.
    *("chromium", "chromium-driver", "make", "postgresql", "python3-venv"),
    # Only root can run this server, so its tests are skipped.
    *("samba", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules"),
}
"""Packages of the gate that a workflow does not install."""

PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def jobs(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    assert content["permissions"] == {}
    found: dict[str, Any] = content["jobs"]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_only_the_job_that_publishes_may_write(name: str) -> None:
    for title, job in jobs(name).items():
        assert job["permissions"] == {"contents": "write" if title == "publish" else "read"}


@pytest.mark.parametrize("name", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_actions_are_pinned_by_hash_with_their_version(name: str) -> None:
    text = (WORKFLOWS / name).read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


def test_every_supported_python_is_tested() -> None:
    project = tomllib.loads((WORKFLOWS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tested = jobs("ci.yml")["tests"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={tested[0]}"
    assert tested == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("name", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_jobs_install_the_servers_of_the_gate(name: str) -> None:
    """A missing server is a failure in CI."""
    gate = (WORKFLOWS.parents[1] / ".ci" / "run").read_text(encoding="utf-8")
    servers = {package for wanted in re.findall(r"wanted\+=\((.*)\)", gate) for package in wanted.split()}
    for job in jobs(name).values():
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        installed = re.findall(r"install --no-install-recommends (.*)", commands)
        expected = [servers - NOT_INSTALLED] if re.search(r"make (test|coverage)|\.ci/run", commands) else []
        assert [set(packages.split()) for packages in installed] == expected


def test_an_action_has_one_hash_in_all_workflows() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS.iterdir())
    hashes: dict[str, set[str]] = {}
    for action, pin in re.findall(r"uses: ([^@\s]+)@(.*)", text):
        hashes.setdefault(action, set()).add(pin)
    assert {action: pins for action, pins in hashes.items() if len(pins) > 1} == {}


@pytest.mark.parametrize("name", sorted(path.name for path in FORMS.glob("[0-9]*.yml")))
def test_an_issue_form_has_what_github_requires(name: str) -> None:
    form = yaml.safe_load((FORMS / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"].get("label") for part in form["body"] if part["type"] != "markdown")


def test_the_form_for_failed_rotations_requires_the_doctor() -> None:
    form = yaml.safe_load((FORMS / "1-failed-rotation.yml").read_text(encoding="utf-8"))
    required = [
        part["attributes"]["label"] for part in form["body"] if part.get("validations", {}).get("required")
    ]
    assert "`rotators doctor SECRET --json`" in required


def test_the_writing_job_runs_no_repository_code() -> None:
    publish = jobs("release.yml")["publish"]
    assert set(publish["needs"]) == {"gate", "build"}
    assert not [step for step in publish["steps"] if "checkout" in step.get("uses", "")]
