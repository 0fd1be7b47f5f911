"""One rotation event: parse it, run the step, log and count the result."""

from __future__ import annotations

import os

from rotators.aws.secrets import SecretStore
from rotators.core.request import RotationRequest
from rotators.core.settings import Settings
from rotators.core.steps import Report, run_step
from rotators.handlers.telemetry import observed

_LONGEST = 64  # most characters that a secret may add to the log


def handler(event: object, context: object = None) -> None:
    """Run the step of an event, and log and count it.

    Args:
        event: Secrets Manager's event.
        context: Lambda's context; its ids are in the audit record.

    Raises:
        RotatorsError: the step failed; nothing more needs to be done by the caller than to raise it.
    """
    with observed("rotate", context) as observation:
        request = RotationRequest.from_event(event)
        observation.add(secret=request.secret_id, token=request.token, step=str(request.step))
        settings = Settings.from_environment(os.environ)

        report = Report()
        try:
            observation.add(outcome=str(run_step(request, SecretStore(), settings, report)))
        finally:
            observation.add(rejected_logins=len(report.rejections), **_chosen(report))
            observation.records = [{"versions": [request.token], "moved": report.moved}]


def _chosen(report: Report) -> dict[str, str]:
    """Return the names of the rotator and the strategy, if there are any, with limited length."""
    names = {"rotator": report.rotator, "strategy": report.strategy}
    return {key: name[:_LONGEST] for key, name in names.items() if name}
