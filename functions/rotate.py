"""The rotation function: what Secrets Manager invokes, once for each step."""

from __future__ import annotations

from rotators.handlers.rotate import rotate


def handler(event: object, context: object = None) -> None:
    """Run one step of a rotation (``Step``, ``SecretId``, ``ClientRequestToken``, ``RotationToken``).

    Args:
        event: Secrets Manager's event; see events/rotate-*.json.
        context: Lambda's context; not used.

    Raises:
        RotatorsError: the step failed; Secrets Manager stops the rotation and repeats it later.
    """
    del context
    rotate(event)
