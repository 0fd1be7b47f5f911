"""`rotators rotate SECRET`: ask the service for a rotation and wait for its end."""

from __future__ import annotations

import sys
import time
import uuid
from dataclasses import dataclass

import click

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import last_error, read_secret
from rotators.cli.output import console, json_option, print_json, versions_table, view_document
from rotators.core.errors import RequestRefused, RotationNotEnabled

_POLL_SECONDS = 0.25
_LOOK_SECONDS = 2.0  # between two looks into the function's log


@dataclass(frozen=True)
class Ended:
    """How a rotation ended.

    Attributes:
        outcome: ``rotated``, ``failed``, ``abandoned`` or ``pending`` (not over in time).
        seconds: how long we waited.
        message: the service's words about a failure.
    """

    outcome: str
    seconds: float
    message: str = ""


@click.command()
@click.argument("secret")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds to wait."
)
@click.option("--enable", is_flag=True, help="Also when rotation was cancelled; it is on again afterwards.")
@json_option
def rotate(secret: str, timeout: float, enable: bool, as_json: bool) -> None:
    """Rotate a secret now, and wait until the new version is current."""
    out = console()
    view = read_secret(secret)
    if not view.rotation_enabled and not enable:
        raise RotationNotEnabled(
            f"rotation of {view.name} is off",
            remedy="If it was cancelled on purpose, leave it; `--enable` rotates and switches it on again.",
        )
    token = start(view.arn)
    if as_json:
        ended = wait(view.arn, token, timeout)
        document = {"outcome": ended.outcome, "message": ended.message, "token": token}
        print_json({**document, **view_document(read_secret(view.arn))})
    else:
        with out.status(f"rotating {secret} …"):
            ended = wait(view.arn, token, timeout)
        out.print(versions_table(read_secret(view.arn), secret))
        out.print(*_closing(secret, ended), sep="\n", soft_wrap=True)
    if ended.outcome != "rotated":
        sys.exit(1)


def start(arn: str) -> str:
    """Ask for a rotation.

    Returns:
        The token of the rotation that runs now: a new one, or, when an earlier one is not over, that one's,
        for the service takes it up again (API:RotateSecret).

    Raises:
        RequestRefused: rotation is not configured.
    """
    token = str(uuid.uuid4())
    try:
        with translated("RotateSecret", arn):
            clients.secrets_manager().rotate_secret(SecretId=arn, ClientRequestToken=token)
    except RequestRefused as error:
        pending = read_secret(arn).holder("AWSPENDING")
        if error.reason != "rotation-in-progress" or pending is None:
            raise
        return pending
    return token


def wait(arn: str, token: str, timeout: float) -> Ended:
    """Wait until a rotation is over.

    Args:
        arn: the secret.
        token: the rotation's.
        timeout: seconds.
    """
    started, begun = time.monotonic(), time.time()
    look = 1.0
    while True:
        view = read_secret(arn)
        seconds = time.monotonic() - started
        if view.holder("AWSCURRENT") == token:
            return Ended("rotated", seconds)
        if view.holder("AWSPENDING") != token:
            return Ended("abandoned", seconds)
        if seconds >= look:
            look = seconds + _LOOK_SECONDS
            message = last_error(view, token, begun)
            if message:
                return Ended("failed", seconds, message)
        if seconds > timeout:
            return Ended("pending", seconds)
        time.sleep(_POLL_SECONDS)


def _closing(secret: str, ended: Ended) -> list[str]:
    if ended.outcome == "rotated":
        return [f"Rotated in {ended.seconds:.1f} s. Next: `rotators show {secret}` shows its schedule."]
    if ended.outcome == "failed":
        return [f"Failed: {ended.message}", f"Then: `rotators rotate {secret}` again."]
    if ended.outcome == "abandoned":
        return [f"Abandoned: the value was changed meanwhile. Next: `rotators rotate {secret}` again."]
    return [
        f"Not over after {ended.seconds:.0f} s. Next: `rotators show {secret}` later, and the function's log."
    ]
