"""The function that reads secrets through a cache."""

from __future__ import annotations

from typing import Any

from rotators.handlers.retrieve import retrieve


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Read one secret or many; see ``rotators.handlers.retrieve.retrieve``.

    Args:
        event: ``SecretId`` or ``SecretIds`` and options; see events/retrieve-*.json.
        context: Lambda's context; not used.

    Returns:
        The value or values, with version and labels. The answer is clear text: do not log it.

    Raises:
        RotatorsError: nothing was read.
    """
    del context
    return retrieve(event)
