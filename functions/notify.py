"""The function that tells the alarm topic about rotations that did not succeed."""

from __future__ import annotations

from typing import Any

from rotators.handlers.notify import notify


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Send one readable message for a failed rotation; see ``rotators.handlers.notify.notify``.

    Args:
        event: RotationFailed, RotationAbandoned or TestRotationFailed, from EventBridge.
        context: Lambda's context; not used.

    Returns:
        What was done: ``Action`` and ``Subject``, and ``MessageId`` if a message was sent.

    Raises:
        RotatorsError: nothing was sent; Lambda repeats the event.
    """
    del context
    return notify(event)
