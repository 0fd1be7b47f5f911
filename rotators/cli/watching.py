"""Watch a rotation until it is over: by the secret's labels, the function's log, and CloudTrail.

Only times that AWS gave are compared, because the clock of this machine may be wrong, and a rotation may end
before the first look.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotators.aws.failures import LoggedStep, log_group, logged_steps
from rotators.aws.views import UNTOLD, SecretView, last_failure, read_secret
from rotators.core.states import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_SECONDS = 0.25
_LOOK_SECONDS = 1.0  # between two looks into the function's log, of which an account has a few each second
_TRAIL_SECONDS = 5.0  # between two questions to CloudTrail, of which an account has two each second
_LATE_SECONDS = 5.0  # a log line may come that much later than what it reports
_MARGIN_SECONDS = 60.0  # between the clocks of two AWS services
_LAST_STEP = "finishSecret"


@dataclass(frozen=True)
class Ended:
    """How a rotation ended.

    Attributes:
        outcome: ``rotated``, ``failed``, ``abandoned`` or ``pending`` (not over in time).
        seconds: how long we waited.
        message: the function's or the service's words about a failure.
        steps: the steps that the function logged.
    """

    outcome: str
    seconds: float
    message: str
    steps: tuple[LoggedStep, ...]


class Watch:
    """Watches the next rotation of a secret. Make it before the rotation is requested.

    Args:
        before: the secret before the rotation.
        on_step: called with each step as soon as it is in the function's log.
    """

    def __init__(self, before: SecretView, on_step: Callable[[LoggedStep], object]) -> None:
        self._before = before
        self._on_step = on_step
        self._started = time.monotonic()
        self._next_look = self._next_question = 0.0
        # A rotation that is taken up again keeps its token, and its earlier failures are in the log.
        pending = before.holder(Stage.PENDING)
        self._known = {step.event_id for step in self._logged(pending)} if pending else set()
        self._old_failure = last_failure(before.arn)
        self._steps: list[LoggedStep] = []

    def wait(self, token: str, timeout: float) -> Ended:
        """Wait until the rotation is over.

        Args:
            token: the rotation's.
            timeout: seconds.
        """
        self._started, seen = time.monotonic(), False
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
        """What is known about a failure of this rotation; None when nothing says that it failed."""
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
        """What CloudTrail says; it lags some minutes behind on real AWS, and names only the step."""
        failure = last_failure(self._before.arn)
        if failure is None or failure == self._old_failure or failure.time < self._before.read_at:
            return None
        if failure.event != "RotationFailed":
            return None
        self._read_steps(token)  # the log knows the cause, and may have got it meanwhile
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
        """Read the log to its end; a function that is not ours may log no steps at all."""
        until = time.monotonic() + _LATE_SECONDS
        self._read_steps(token)
        while self._steps and self._steps[-1].step != _LAST_STEP and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            self._read_steps(token)
