"""The extras of pyproject.toml that the artifact uses: each has a separate lock with its name.

    python artifact/extras.py       # prints the extras whose locks an artifact can use

For a new credential type with a driver, only pyproject.toml gets an extra.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HANDLERS = "handlers"
"""The extra whose packages every artifact contains."""

_DEFAULTS = "lambda"  # names the drivers that an artifact contains by default
_NOT_DRIVERS = {HANDLERS, _DEFAULTS, "audit", "local", "receipts"}
_OWN = re.compile(r"rotators\[([\w,-]+)\]")


def drivers() -> list[str]:
    """The extras that are drivers of credential types, sorted."""
    return sorted(set(_extras()) - _NOT_DRIVERS)


def default_drivers() -> list[str]:
    """The drivers that an artifact contains by default, sorted."""
    named = {name for found in _OWN.findall(" ".join(_extras()[_DEFAULTS])) for name in found.split(",")}
    return sorted(named - _NOT_DRIVERS)


def _extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    return extras


if __name__ == "__main__":
    print(HANDLERS, *drivers())
