"""`rotators rotate SECRET`: request a rotation from the service, and show its steps until it ends."""

from __future__ import annotations

import uuid
from typing import Any

import click

from rotators.aws import clients
from rotators.aws.failures import LoggedStep
from rotators.aws.faults import translated
from rotators.aws.views import SecretView, read_secret
from rotators.cli.auditing import audited
from rotators.cli.output import (
    Screen,
    console,
    error_document,
    first_rotation,
    json_option,
    step_line,
    versions_table,
    view_document,
)
from rotators.cli.signals import finish
from rotators.cli.stopping import STOPS, end, exit_unless, told
from rotators.cli.watching import Ended, Watch
from rotators.core.errors import (
    RequestRefused,
    RotationNotEnabled,
    RotatorsError,
    SecretDeleted,
    ServiceUnavailable,
)
from rotators.core.states import Stage


@click.command()
@click.argument("secret")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds to wait."
)
@click.option(
    "--enable", is_flag=True, help="Rotate even if rotation was cancelled. This turns rotation on again."
)
@json_option
def rotate(secret: str, timeout: float, enable: bool) -> None:
    """Rotate SECRET now, show each step with its duration, and wait until the new version is current.

    SECRET is a name or ARN. Exit status 0 means that the new version is current. A rotation that takes
    longer than --timeout continues.
    """
    before = read_secret(secret)
    if before.deleted:
        raise SecretDeleted(
            f"{before.name} is scheduled for deletion",
            remedy=f"`rotators restore {before.id} --yes` restores it; then rotate.",
        )
    _check_enabled(before, enable=enable)
    asked = _Asked(before, console())
    with asked.out.status(f"rotating {secret} …"):
        stopped = asked.run(timeout)
    if stopped is not None:
        _tell_stopped(asked, stopped)
        end(stopped)
    _show(asked, secret)
    exit_unless(asked.ended.outcome == "rotated")


class _Asked:
    """A rotation that the command requests.

    Args:
        before: the secret.
        out: console on which steps are shown.

    Attributes:
        token: token of the rotation; None while no rotation can have begun.
        ended: result of the rotation.
        after: the secret after it.
    """

    ended: Ended
    after: SecretView

    def __init__(self, before: SecretView, out: Screen) -> None:
        self.before, self.out = before, out
        self.token: str | None = None

    def run(self, timeout: float) -> BaseException | None:
        """Rotate, and wait.

        Args:
            timeout: seconds.

        Returns:
            The error or signal that stopped the command after the rotation may have begun; or None.

        Raises:
            RotatorsError: no rotation has begun.
        """
        try:
            if self._rotate(timeout):
                self.out.print("Waited for the test of a changed schedule; the rotation begins now.")
                self._rotate(timeout)
            finish()
        except STOPS as stopped:
            if self.token is None:
                raise
            finish()
            return stopped
        return None

    def _rotate(self, timeout: float) -> bool:
        """Rotate once. Return True if this was the test of a changed schedule instead of a rotation.

        For a test, the service creates an AWSPENDING version and then removes it (API:RotateSecret). It
        refuses a rotation meanwhile, as it does while a rotation runs.
        """
        watch = Watch(self.before, self._show_step)
        wanted = str(uuid.uuid4())
        with audited(self.before.arn, "RotateSecret") as facts:
            try:
                self._start(wanted)
            finally:
                if self.token is not None:
                    facts["versions"] = [self.token]
        self.ended = watch.wait(str(self.token), timeout, begun=self.token != wanted)
        self.after = read_secret(self.before.arn)
        removed = not self.after.unlisted and all(each.id != self.token for each in self.after.versions)
        return self.ended.outcome == "abandoned" and removed

    def _show_step(self, step: LoggedStep) -> None:
        self.out.print(*step_line(step.step, step.seconds, "" if step.failure else None))

    def _start(self, token: str) -> None:
        self.token = token
        try:
            self.token = start(self.before.arn, token)
        except RotatorsError as error:
            if not isinstance(error, ServiceUnavailable):  # its answer may have been lost
                self.token = None
            raise


def _tell_stopped(asked: _Asked, stopped: BaseException) -> None:
    """Print the known facts about a rotation that continues without the command."""
    next_ = f"`rotators show {asked.before.id}` shows how it ended."
    error = error_document(told(stopped))
    asked.out.document({"outcome": "unknown", "token": asked.token, "error": error, "next": next_})
    asked.out.print(f"The rotation {asked.token} may have begun, and continues. Next: {next_}")


def _show(asked: _Asked, secret: str) -> None:
    asked.out.document(_document(str(asked.token), asked.ended, asked.after))
    closing = _closing(clients.short_id(secret, asked.after.arn), asked.ended)
    asked.out.print(versions_table(asked.after, secret))
    asked.out.print(*closing, sep="\n")


def _check_enabled(view: SecretView, *, enable: bool) -> None:
    if view.rotation_enabled or (enable and view.function_arn):
        return
    if view.function_arn:
        raise RotationNotEnabled(
            f"rotation of {view.name} was cancelled",
            remedy=(
                f"`rotators rotate {view.id} --enable` rotates it and turns rotation on again; do not "
                "use it if rotation was cancelled on purpose."
            ),
        )
    raise RotationNotEnabled(f"{view.name} has no rotation function", remedy=first_rotation(view.id))


def start(arn: str, token: str, *, again: bool = True) -> str:
    """Request a rotation.

    Args:
        arn: ARN of the secret.
        token: token of the rotation.
        again: True to request it a second time if an obstacle has ended meanwhile.

    Returns:
        The token of the rotation that runs now. If an earlier rotation is unfinished, it is the token of that
        one, because the service resumes it (API:RotateSecret).

    Raises:
        RequestRefused: rotation is not configured.
    """
    try:
        with translated("RotateSecret", arn):
            clients.secrets_manager().rotate_secret(SecretId=arn, ClientRequestToken=token)
    except RequestRefused as error:
        pending = read_secret(arn).holder(Stage.PENDING)
        if error.reason == "rotation-in-progress" and pending is not None:
            return pending
        if error.reason != "rotation-in-progress" or not again:
            raise
        return start(arn, token, again=False)
    return token


def _document(token: str, ended: Ended, after: SecretView) -> dict[str, Any]:
    steps = [
        {"step": step.step, "ms": round(step.seconds * 1000), "ok": step.failure is None}
        for step in ended.steps
    ]
    outcome = {"outcome": ended.outcome, "message": ended.message, "token": token, "steps": steps}
    return {**outcome, **view_document(after)}


def _closing(secret: str, ended: Ended) -> list[str]:
    if ended.outcome == "rotated":
        return [f"Rotated in {ended.seconds:.1f} s. Next: `rotators show {secret}` shows its schedule."]
    if ended.outcome == "failed":
        return [f"Failed: {ended.message}", f"Then: `rotators rotate {secret}` again."]
    if ended.outcome == "abandoned":
        return [
            "Abandoned: the stage AWSPENDING was taken from the new version (or a schedule's test ended).",
            f"Next: `rotators show {secret}`; then `rotators rotate {secret}` again.",
        ]
    return [
        f"Not finished after {ended.seconds:.0f} s; the rotation continues.",
        f"Next: `rotators show {secret}` shows how it ended.",
    ]
