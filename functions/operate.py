"""The function that examines and repairs secrets for operators, where the targets can be reached."""

from __future__ import annotations

from typing import Any

from rotators.handlers.operate import operate


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Run ``doctor``, ``repair`` or ``check``; see ``rotators.handlers.operate.operate``.

    Args:
        event: ``Action``, ``SecretId`` and options; see events/operate-*.json.
        context: Lambda's context; not used.

    Returns:
        The document that the command of the same name shows; it holds no value of a secret.

    Raises:
        RotatorsError: the action failed; the text names cause and next action.
    """
    del context
    return operate(event)
