"""The built artifact, for whatever test runs it: made once, by make, as users make it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@lru_cache
def built(architecture: str = "x86_64") -> Path:
    """The artifact's folder; kept in build/ until a source changes."""
    require_python()
    done = _make("artifact", f"ARCHITECTURE={architecture}")
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / done.stdout.split()[-1]


@lru_cache
def runtime() -> str:
    """A Python of Lambda's version with Lambda's runtime client."""
    require_python()
    return str(ROOT / ".venv-lambda" / "bin" / "python")


@lru_cache
def install_tools() -> None:
    """Install what `make dist` and the tests of packages run."""
    done = _make("tools")
    assert done.returncode == 0, done.stderr


@lru_cache
def require_python() -> None:
    """Skip where no Python of Lambda's version can be had; fail in CI, whose machine has one."""
    done = _make("runtime")
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(done.stderr.strip())


def _make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Not the developer's own choices: these tests are about the default artifact.
    kept = {name: value for name, value in os.environ.items() if name not in _CHOICES}
    # One process of the run builds; the others find it built.
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
