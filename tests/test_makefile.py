"""make refuses wrong variables before it does anything, and deletes only files that it created."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Makefile", "artifact", "locks", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout that make may change."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for part in PARTS:
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, copy / part)
    return copy


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=kept, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["build", "ARCH=x86_64"], "There is no variable ARCH; choose from"),
        (["test", "VENV="], "VENV must name one folder"),
        (["test", "VENV=two folders"], "VENV must name one folder"),
        (["test", "PYTHON=missing-python"], "name it: make PYTHON="),
        (["dist", "ARCHITECTURE=arm64"], "builds for both processors"),
        (["artifact", "TRUST=missing"], "TRUST=missing: there is no such file"),
        (["artifact", "REQUIREMENTS=missing"], "REQUIREMENTS=missing: there is no such file"),
        (["build", "ARCHITECTURE=amd64"], "choose arm64 or x86_64"),
        (["dist", "DRIVERS=oracle"], "DRIVERS=oracle is unknown"),
        (["build-RotateFunction", "SERVICES=dynamo"], "did you mean dynamodb?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_refused_before_anything_is_made(
    checkout: Path, arguments: list[str], advice: str
) -> None:
    before = set(checkout.iterdir())
    done = make(checkout, *arguments)
    assert done.returncode == 2
    assert advice in done.stderr
    assert "Traceback" not in done.stderr
    assert set(checkout.iterdir()) == before


def test_an_environment_of_another_python_is_refused(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/bin/false")
    done = make(checkout, "test", "PYTHON=python3")
    assert done.returncode == 2
    assert "name another folder, such as VENV=" in done.stderr
    assert make(checkout, "PYTHON=python3").returncode == 0


@pytest.mark.parametrize("target", ["test", "install", "clean"])
def test_a_folder_without_environment_is_unchanged(checkout: Path, target: str) -> None:
    precious = checkout / "mine" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("precious", encoding="utf-8")
    done = make(checkout, target, "VENV=mine")
    assert (done.returncode == 0) == (target == "clean")
    assert [path.name for path in precious.parent.iterdir()] == ["precious.txt"]


def test_clean_removes_an_environment(checkout: Path) -> None:
    venv.create(checkout / "mine", with_pip=False)
    assert make(checkout, "clean", "VENV=mine").returncode == 0
    assert not (checkout / "mine").exists()


def test_the_help_lists_common_commands_first(checkout: Path) -> None:
    listed = make(checkout).stdout
    for target in ("install", "build", "dist", "artifact"):
        assert f"  make {target} " in listed
