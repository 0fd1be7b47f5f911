"""The built artifact for all tests that run it, built once by make, as users build it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@lru_cache
def built(architecture: str = "x86_64", *, plain: bool = False) -> Path:
    """The artifact's folder; kept in build/ until a source changes.

    Args:
        architecture: the processor.
        plain: True to build without byte code, which takes most of the time.
    """
    require_python()
    done = _make("artifact", f"ARCHITECTURE={architecture}", f"PLAIN={'1' if plain else ''}")
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / done.stdout.split()[-1]


@lru_cache
def runtime() -> str:
    """A Python of Lambda's version with Lambda's runtime client."""
    require_python()
    return str(ROOT / ".venv-lambda" / "bin" / "python")


@lru_cache
def install_tools() -> None:
    """Install the tools of `make dist` and of the package tests."""
    done = _make("tools")
    assert done.returncode == 0, done.stderr


@lru_cache
def require_python() -> None:
    """Skip if no Python of Lambda's version is available; fail in CI, whose machine has one."""
    done = _make("runtime")
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(done.stderr.strip())


def _make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Without the developer's choices, because these tests check the default artifact.
    kept = {name: value for name, value in os.environ.items() if name not in _CHOICES}
    # One process of the run builds the artifact; the others use it.
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run(
            ["make", "--silent", *arguments], cwd=ROOT, env=kept, check=False, capture_output=True, text=True
        )


_CHOICES = {
    "ARCHITECTURE",
    "DRIVERS",
    "MAKEFLAGS",
    "MFLAGS",
    "PLAIN",
    "REQUIREMENTS",
    "SERVICES",
    "TRUST",
}
