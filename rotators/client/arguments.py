"""Arguments that are checked when they are given, not when they first matter."""

from __future__ import annotations

import math

from rotators.core.errors import InvalidInput


def number_between(least: float, most: float = math.inf, **given: float) -> None:
    """Check numbers.

    Args:
        least: allowed, as is ``most``.
        most: no bound when left out.
        **given: by the names that the caller knows.

    Raises:
        InvalidInput: one is no number, or out of bounds; it is named.
    """
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and least <= value <= most):
            bound = f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
            raise InvalidInput(f"{name} must be a number, {bound}", remedy="Correct the argument.")


def secret_named(secret_id: object) -> None:
    """Check the name or ARN of a secret.

    Raises:
        InvalidInput: it is empty or no text.
    """
    if not isinstance(secret_id, str) or not secret_id:
        raise InvalidInput("a secret's name or ARN must be a text", remedy="Correct the argument.")
