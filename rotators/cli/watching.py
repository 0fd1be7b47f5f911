"""Watch a rotation until it ends: by the secret's stages, the function's log, and CloudTrail.

Only times from AWS are compared, because the clock of this machine may be wrong, and a rotation may end
before the first poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rotators.aws.failures import LoggedStep, log_group, logged_steps
from rotators.aws.views import UNTOLD, SecretView, last_failure, read_secret
from rotators.core.states import Stage

_POLL_SECONDS = 0.25
_LOOK_SECONDS = 1.0  # between two reads of the function's log; an account may make a few per second
_TRAIL_SECONDS = 5.0  # between two requests to CloudTrail; an account may make two per second
_LATE_SECONDS = 5.0  # delay of a log line after the event that it reports
_MARGIN_SECONDS = 60.0  # difference between the clocks of two AWS services
_LAST_STEP = "finishSecret"


@dataclass(frozen=True)
class Ended:
    """Result of a rotation.

    Attributes:
        outcome: ``rotated``, ``failed``, ``abandoned`` or ``pending`` (not complete in time).
        seconds: duration of the wait.
        message: message of the function or the service about a failure.
        steps: the steps that the function logged.
    """

    outcome: str
    seconds: float
    message: str
    steps: tuple[LoggedStep, ...]


class Watch:
    """Watches the next rotation of a secret. Create it before the rotation is requested.

    Args:
        before: the secret before the rotation.
        on_step: called with each step as soon as it is in the function's log.
    """

    def __init__(self, before: SecretView, on_step: Callable[[LoggedStep], object]) -> None:
        self._before = before
        self._on_step = on_step
        self._started = time.monotonic()
        self._next_look = self._next_question = 0.0
        # A resumed rotation keeps its token, and its earlier failures are in the log.
        pending = before.holder(Stage.PENDING)
        self._known = {step.event_id for step in self._logged(pending)} if pending else set()
        self._old_failure = last_failure(before.arn)
        self._steps: list[LoggedStep] = []

    def wait(self, token: str, timeout: float, *, begun: bool = False) -> Ended:
        """Wait until the rotation ends.

        Args:
            token: token of the rotation.
            timeout: longest wait in seconds.
            begun: True if its version has had AWSPENDING already.

        Returns:
            The result; its outcome is ``pending`` if the rotation did not end in time.

        Raises:
            StoreError: the secret cannot be read.
        """
        self._started, seen = time.monotonic(), begun
        while True:
            view = read_secret(self._before.arn)
            if view.holder(Stage.CURRENT) == token:
                self._await_last_step(token)
                return self._ended("rotated")
            if message := self._failure(token):
                return self._ended("failed", message)
            pending = view.holder(Stage.PENDING) == token
            if seen and not pending:
                return self._ended("abandoned")
            seen = seen or pending
            if self._elapsed() > timeout:
                return self._ended("pending")
            time.sleep(_POLL_SECONDS)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _ended(self, outcome: str, message: str = "") -> Ended:
        return Ended(outcome, self._elapsed(), message, tuple(self._steps))

    def _failure(self, token: str) -> str | None:
        """Return the message about a failure of this rotation, or None if no failure is known."""
        if self._elapsed() >= self._next_look:
            self._next_look = self._elapsed() + _LOOK_SECONDS
            self._read_steps(token)
        if self._failed():
            return self._failed()
        if self._elapsed() >= self._next_question:
            self._next_question = self._elapsed() + _TRAIL_SECONDS
            return self._reported_failure(token)
        return None

    def _failed(self) -> str | None:
        return next((step.failure.message for step in self._steps if step.failure), None)

    def _reported_failure(self, token: str) -> str | None:
        """Return CloudTrail's message; on real AWS it is some minutes late, and names only the step."""
        failure = last_failure(self._before.arn)
        if failure is None or failure == self._old_failure or failure.time < self._before.read_at:
            return None
        if failure.event != "RotationFailed":
            return None
        self._read_steps(token)  # the log has the cause, and may have received it meanwhile
        if self._failed():
            return self._failed()
        group = log_group(self._before.function_arn) if self._before.function_arn else ""
        return f"{failure.message}. Next: read the function's log group {group}"

    def _read_steps(self, token: str) -> None:
        for step in self._logged(token):
            if step.event_id not in self._known:
                self._known.add(step.event_id)
                self._steps.append(step)
                self._on_step(step)

    def _logged(self, token: str) -> list[LoggedStep]:
        if self._before.function_arn is None:
            return []
        try:
            return logged_steps(self._before.function_arn, token, self._since())
        except UNTOLD:
            return []

    def _since(self) -> float:
        return self._before.read_at.timestamp() - _MARGIN_SECONDS

    def _await_last_step(self, token: str) -> None:
        """Read the log to its end. A function of another project may not log its steps."""
        until = time.monotonic() + _LATE_SECONDS
        self._read_steps(token)
        while self._steps and self._steps[-1].step != _LAST_STEP and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            self._read_steps(token)
