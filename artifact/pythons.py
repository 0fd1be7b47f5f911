"""Finds a Python of Lambda's version, which writes the byte code and runs Lambda's runtime client.

python artifact/pythons.py      # prints its path
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from refusal import refuse

VERSION = "3.13"
"""Lambda's Python version, the same as in the template's Runtime."""

_UV = Path(__file__).resolve().parent.parent / ".venv-uv" / "bin"


def find_python() -> str:
    """Find an interpreter of Lambda's version: on PATH, in pyenv, or by uv.

    Returns:
        Its path.

    Raises:
        SystemExit: there is none, and none could be downloaded.
    """
    named = os.environ.get("LAMBDA_PYTHON")
    candidates = [named] if named else [f"python{VERSION}", *_pyenv_s()]
    for candidate in candidates:
        if _runs(candidate):
            return shutil.which(candidate) or candidate
    uv = shutil.which("uv", path=f"{_UV}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv and not named:
        subprocess.run([uv, "python", "install", "--quiet", VERSION], check=False)
        found = subprocess.run(
            [uv, "python", "find", "--quiet", VERSION], check=False, capture_output=True, text=True
        ).stdout.strip()
        if found and _runs(found):
            return found
    return refuse(
        f"No Python {VERSION} works here. Without it the artifact has no byte code, and each cold start "
        f"compiles all modules. Install it (python{VERSION} on PATH, `pyenv install {VERSION}`, or "
        f"`uv python install {VERSION}`), or name one: LAMBDA_PYTHON=/path/to/python."
    )


def _pyenv_s() -> list[str]:
    """Pyenv's interpreters of the version: in PYENV_ROOT or its default, and next to the running one."""
    places = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"]
    places.append(Path(sys.base_prefix).resolve().parent)
    return [str(found) for place in places for found in place.glob(f"{VERSION}.*/bin/python")]


def _runs(python: str) -> bool:
    test = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {VERSION!r})"
    try:
        return subprocess.run([python, "-c", test], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    print(find_python())
