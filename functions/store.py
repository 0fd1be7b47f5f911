"""The function that creates and updates secrets."""

from __future__ import annotations

from typing import Any

from rotators.handlers.store import store


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Create or update a secret, idempotent by its token; see ``rotators.handlers.store.store``.

    Args:
        event: ``Name``, a value and options; see events/store-*.json.
        context: Lambda's context; not used.

    Returns:
        ARN, version and what was done; never the value.

    Raises:
        RotatorsError: it was not done, or not wholly; repeating the event with the same token finishes it.
    """
    del context
    return store(event)
