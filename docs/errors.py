"""Prints docs/errors.md from the error classes: `python docs/errors.py > docs/errors.md` (`make docs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core import errors
from rotators.strategies.causes import CAUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = """\
# Errors

Every error carries a stable code, its cause, and the next action. The code is printed first
(`[target-unavailable/timeout] …`), stands in the log as `error_code`, and does not change between
releases. What follows the slash narrows the code. Values of secrets are masked in all of them.

*Retryable* means: the same call may succeed later with nothing changed by a human. Secrets Manager
repeats a failed rotation by itself while its window is open.

This page is made from the code by `make docs`; a test holds the two together.
"""


def classes(root: type[errors.RotatorsError]) -> Iterator[type[errors.RotatorsError]]:
    """The class and its descendants, parents first, in the order of the source."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


def page() -> str:
    """The whole page."""
    lines = [HEADER, "| code | error | what happened | next action | retryable |", "|---|---|---|---|---|"]
    for kind in classes(errors.RotatorsError):
        meaning = " ".join((kind.__doc__ or "").split("Args:")[0].split())
        retryable = "yes" if kind.retryable else ""
        lines.append(f"| `{kind.code}` | {kind.__name__} | {meaning} | {kind.remedy} | {retryable} |")
    lines += [
        "",
        "## Databases: why a login failed",
        "",
        "| code | what happened | next action |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{cause.kind.code}/{reason}` | {cause.text} | {cause.remedy or cause.kind.remedy} |"
        for reason, cause in CAUSES.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
