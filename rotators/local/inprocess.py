"""The rotation function inside this process: as warm as a container may be, or as fresh as a new one.

`functions.py` runs handlers in processes of their own, as Lambda does. Whoever wants to see or stop what a
step does on its way needs it here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rotators.aws import clients, store
from rotators.aws.store import SecretStore
from rotators.core.progress import progress
from rotators.core.registry import load
from rotators.core.request import RotationRequest
from rotators.core.settings import Settings
from rotators.core.steps import Report, run_step
from rotators.handlers.rotate import handler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.contracts import Rotator


class InProcessFunction:
    """Runs rotation events where it is called; the environment says which AWS.

    Args:
        rotator: used for every secret; the secret's own choice among the installed ones when left out.
    """

    def __init__(self, rotator: Rotator | None = None) -> None:
        self._rotator = rotator

    def invoke(self, event: Mapping[str, object]) -> None:
        """Run one step, by the path of ``functions.rotate.handler``.

        Raises:
            RotatorsError: the step failed.
        """
        rotator = self._rotator
        if rotator is None:
            handler(event)
            return
        settings = Settings.from_environment(os.environ)
        run_step(RotationRequest.from_event(event), SecretStore(), settings, Report(), rotator)

    def warm_up(self) -> None:
        """Make the boto3 client, which opens no connection yet."""
        clients.secrets_manager()

    def restart(self) -> None:
        """Forget what a new container would not know: values, rotations under way, and loaded rotators.

        The boto3 clients stay: they remember connections, and take a tenth of a second to make.
        """
        store._values.clear()  # noqa: SLF001 - what dies with a container is private to it
        progress.clear()
        load.cache_clear()
