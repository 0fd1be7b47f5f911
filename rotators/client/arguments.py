"""Arguments that are checked when they are given, not when they first matter."""

from __future__ import annotations

from rotators.core.errors import InvalidInput

MOST = 1e8


def number_between(least: float, most: float = MOST, **given: float) -> None:
    """Check numbers.

    Args:
        least: allowed, as is ``most``.
        most: three years of seconds when left out, so that every clock and timer takes it.
        **given: by the names that the caller knows.

    Raises:
        InvalidInput: one is no number, or out of bounds; it is named.
    """
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and least <= value <= most):
            raise InvalidInput(
                f"{name} must be a number from {least:g} to {most:g}", remedy="Correct the argument."
            )


def secret_named(secret_id: object) -> None:
    """Check the name or ARN of a secret.

    Raises:
        InvalidInput: it is empty or no text.
    """
    if not isinstance(secret_id, str) or not secret_id:
        raise InvalidInput("a secret's name or ARN must be a text", remedy="Correct the argument.")


def require_kind(credentials: object, kind: type) -> None:
    """Check that credentials are those for threads, or those for asyncio, as wanted.

    Raises:
        InvalidInput: they are not.
    """
    if not isinstance(credentials, kind):
        raise InvalidInput(f"credentials must be {kind.__name__}", remedy="Correct the argument.")
