"""`rotators rotate SECRET`: ask the service for a rotation, and show its steps until it is over."""

from __future__ import annotations

import sys
import uuid
from typing import Any

import click

from rotators.aws import clients
from rotators.aws.failures import LoggedStep
from rotators.aws.faults import translated
from rotators.aws.views import SecretView, read_secret
from rotators.cli.auditing import audited
from rotators.cli.output import (
    console,
    first_rotation,
    json_option,
    print_json,
    step_line,
    versions_table,
    view_document,
)
from rotators.cli.watching import Ended, Watch
from rotators.core.errors import RequestRefused, RotationNotEnabled, SecretDeleted
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
def rotate(secret: str, timeout: float, enable: bool, as_json: bool) -> None:
    """Rotate SECRET now, show each step with its duration, and wait until the new version is current.

    SECRET is a name or ARN. Exit status 0 means that the new version is current. A rotation that takes
    longer than --timeout goes on.
    """
    out = console(quiet=as_json)
    before = read_secret(secret)
    if before.deleted:
        raise SecretDeleted(
            f"{before.name} is scheduled for deletion",
            remedy=f"`rotators restore {before.id} --yes` restores it; then rotate.",
        )
    _check_enabled(before, enable=enable)
    with out.status(f"rotating {secret} …"):
        watch = Watch(before, lambda step: out.print(*_line(step), soft_wrap=True))
        with audited(before.arn, "RotateSecret") as facts:
            token = start(before.arn)
            facts["versions"] = [token]
        ended = watch.wait(token, timeout)
    after = read_secret(before.arn)
    if as_json:
        print_json(_document(token, ended, after))
    out.print(versions_table(after, secret))
    out.print(*_closing(clients.short_id(secret, after.arn), ended), sep="\n", soft_wrap=True)
    if ended.outcome != "rotated":
        sys.exit(1)


def _check_enabled(view: SecretView, *, enable: bool) -> None:
    if view.rotation_enabled or (enable and view.function_arn):
        return
    if view.function_arn:
        raise RotationNotEnabled(
            f"rotation of {view.name} was cancelled",
            remedy=f"`rotators rotate {view.id} --enable` rotates it and switches rotation on again; "
            "leave it if it was cancelled on purpose.",
        )
    raise RotationNotEnabled(f"{view.name} has no rotation function", remedy=first_rotation(view.id))


def start(arn: str) -> str:
    """Request a rotation.

    Args:
        arn: ARN of the secret.

    Returns:
        The token of the rotation that runs now. If an earlier rotation is unfinished, it is the token of that
        one, because the service resumes it (API:RotateSecret).

    Raises:
        RequestRefused: rotation is not configured.
    """
    token = str(uuid.uuid4())
    try:
        with translated("RotateSecret", arn):
            clients.secrets_manager().rotate_secret(SecretId=arn, ClientRequestToken=token)
    except RequestRefused as error:
        pending = read_secret(arn).holder(Stage.PENDING)
        if error.reason != "rotation-in-progress" or pending is None:
            raise
        return pending
    return token


def _line(step: LoggedStep) -> tuple[Any, ...]:
    return step_line(step.step, step.seconds, "" if step.failure else None)


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
            "Abandoned: the label AWSPENDING was taken from the new version meanwhile.",
            f"Next: `rotators show {secret}`; then `rotators rotate {secret}` again.",
        ]
    return [
        f"Not over after {ended.seconds:.0f} s; the rotation goes on.",
        f"Next: `rotators show {secret}` tells how it ended.",
    ]
