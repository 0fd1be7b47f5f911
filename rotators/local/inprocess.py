"""The rotation function inside this process, with the state of a warm or of a new container.

`functions/` runs handlers in separate processes, as Lambda does. To observe or stop a step while it runs, run
it here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rotators.aws import clients, secrets
from rotators.aws.secrets import SecretStore
from rotators.core.contracts import Rotator
from rotators.core.progress import progress
from rotators.core.registry import load
from rotators.core.request import RotationRequest
from rotators.core.rotation import Rotation, Versions
from rotators.core.settings import Settings
from rotators.core.steps import Report, run_step
from rotators.handlers.rotate import handler


class InProcessFunction:
    """Runs rotation events in the calling thread, with the AWS that the environment names.

    Args:
        rotator: used for every secret; the secret's own choice among the installed ones when left out.
    """

    def __init__(self, rotator: Rotator | None = None) -> None:
        self._rotator = rotator

    def invoke(self, event: Mapping[str, object]) -> None:
        """Run one step, by the path of ``functions.rotate.handler``.

        Args:
            event: event of the step, as for Lambda.

        Raises:
            RotatorsError: the step failed.
        """
        if self._rotator is None:
            handler(event)
            return
        settings = Settings.from_environment(os.environ)
        run_step(RotationRequest.from_event(event), SecretStore(), settings, Report(), self._rotator)

    def rotation(self, arn: str, token: str) -> Rotation:
        """Return the record that a rotator gets in setSecret.

        Args:
            arn: ARN of the secret.
            token: token of the rotation; createSecret has stored its value.
        """
        versions = Versions.of(SecretStore(), arn, token)
        settings = Settings.from_environment(os.environ)
        return Rotation(versions.current(), settings, versions.required_pending(), versions=versions)

    def warm_up(self) -> None:
        """Make the boto3 client, which opens no connection yet."""
        clients.secrets_manager()

    def restart(self) -> None:
        """Delete the state that a new container lacks: values, running rotations, and loaded rotators.

        The boto3 clients are kept: they only have connections, and take a tenth of a second to create.
        """
        secrets._values.clear()  # noqa: SLF001 - the state of a container is private
        progress.clear()
        load.cache_clear()
