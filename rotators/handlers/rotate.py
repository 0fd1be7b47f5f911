"""One rotation event: parse it, run the step, log and count the result."""

from __future__ import annotations

import os

from rotators.aws.store import SecretStore
from rotators.core.request import RotationRequest
from rotators.core.settings import Settings
from rotators.core.steps import Report, run_step
from rotators.handlers.telemetry import observed

_LONGEST = 64  # of what a secret may put into the log


def handler(event: object, context: object = None) -> None:
    """Run the step that an event asks for, and log and count it.

    Args:
        event: Secrets Manager's event.
        context: Lambda's context; not used.

    Raises:
        RotatorsError: the step failed; nothing more needs to be done by the caller than to raise it.
    """
    del context
    with observed("rotate") as observation:
        request = RotationRequest.from_event(event)
        observation.add(secret=request.secret_id, token=request.token, step=str(request.step))
        settings = Settings.from_environment(os.environ)

        report = Report()
        try:
            observation.add(outcome=str(run_step(request, SecretStore(), settings, report)))
        finally:
            observation.add(rejected_logins=len(report.rejections), **_chosen(report))


def _chosen(report: Report) -> dict[str, str]:
    """The names of the rotator and the strategy, if one was chosen, not longer than a log needs."""
    if not report.rotator:
        return {}
    return {"rotator": report.rotator[:_LONGEST], "strategy": report.strategy[:_LONGEST]}
