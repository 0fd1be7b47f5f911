"""The libraries of the extras, from pyproject.toml and the installed packages."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import extras

EXTRAS: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["optional-dependencies"]


def modules_of(extra: str) -> set[str]:
    """The top-level modules of the packages that an extra names, with those of the extras that it names."""
    packages = _packages_of(extra)
    return {module for module, owners in _owners().items() if packages.intersection(owners)}


def drivers() -> set[str]:
    """The top-level modules of all drivers."""
    return set().union(*map(modules_of, extras.drivers()))


@cache
def _owners() -> dict[str, set[str]]:
    return {module: {*map(_canonical, names)} for module, names in packages_distributions().items()}


def _packages_of(extra: str) -> set[str]:
    found: set[str] = set()
    for requirement in EXTRAS[extra]:
        parts = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", requirement)
        assert parts
        if parts[1] == "rotators":
            found.update(*map(_packages_of, parts[2].split(",")))
        else:
            found.add(_canonical(parts[1]))
    return found


def _canonical(name: str) -> str:
    """The form in which names of packages are compared."""
    return re.sub("[-_.]+", "-", name).lower()
