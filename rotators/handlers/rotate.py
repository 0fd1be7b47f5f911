"""One rotation event, from the door to the core: parse, load, call, tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rotators.aws.store import SecretStore
from rotators.core.finder import MASK
from rotators.core.registry import load, rotator_name, strategy_name
from rotators.core.request import RotationRequest
from rotators.core.settings import Settings
from rotators.core.steps import run_step
from rotators.handlers.telemetry import observed

if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.secret import Secret

_LONGEST = 64  # of what a secret may put into the log


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


def rotate(event: object) -> None:
    """Run the step that an event asks for, and log and count it.

    Args:
        event: Secrets Manager's event.

    Raises:
        RotatorsError: the step failed; nothing more needs to be done by the caller than to raise it.
    """
    with observed("rotate") as observation:
        request = RotationRequest.from_event(event)
        observation.add(secret=request.secret_id, token=request.token, step=str(request.step))
        settings = Settings.from_environment(os.environ)

        def choose(secret: Secret) -> Rotator:
            name = rotator_name(secret, settings)
            observation.add(
                rotator=_loggable(name, secret), strategy=_loggable(strategy_name(secret), secret)
            )
            return load(name)

        rejections: list[str] = []
        try:
            outcome = run_step(request, SecretStore(), choose, settings, rejections)
        finally:
            observation.add(rejected_logins=len(rejections))
        observation.add(outcome=str(outcome))


def _loggable(name: str, secret: Secret) -> str:
    """A word of a secret as it may be logged: not if the secret holds it in a private place too."""
    return MASK if name in secret.sensitive() else name[:_LONGEST]
