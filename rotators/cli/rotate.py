"""`rotators rotate SECRET`: ask the service for a rotation and wait for its end."""

from __future__ import annotations

import sys
import time
import uuid
from dataclasses import dataclass

import click

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.cli.aws import last_failure, read_secret
from rotators.cli.output import console, json_option, print_json, versions_table, view_document

_POLL_SECONDS = 0.25


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
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for the end.")
@json_option
def rotate(secret: str, timeout: float, as_json: bool) -> None:
    """Rotate a secret now, and wait until the new version is current."""
    out = console()
    token = str(uuid.uuid4())
    arn = start(secret, token)
    if as_json:
        ended = wait(arn, token, timeout)
        print_json(
            {
                "outcome": ended.outcome,
                "message": ended.message,
                "token": token,
                **view_document(read_secret(arn)),
            }
        )
    else:
        with out.status(f"rotating {secret} …"):
            ended = wait(arn, token, timeout)
        out.print(versions_table(read_secret(arn), secret))
        out.print(_closing(secret, ended), soft_wrap=True, markup=False)
    if ended.outcome != "rotated":
        sys.exit(1)


def start(secret: str, token: str) -> str:
    """Ask for a rotation.

    Returns:
        The secret's ARN.

    Raises:
        RequestRefused: rotation is not configured, or an earlier one is not over.
    """
    with translated("RotateSecret", secret):
        return clients.secrets_manager().rotate_secret(SecretId=secret, ClientRequestToken=token)["ARN"]


def wait(arn: str, token: str, timeout: float) -> Ended:
    """Wait until a rotation is over.

    Args:
        arn: the secret.
        token: the rotation's.
        timeout: seconds.
    """
    started, begun = time.monotonic(), time.time() - 1
    while True:
        view = read_secret(arn)
        seconds = time.monotonic() - started
        if view.holder("AWSCURRENT") == token:
            return Ended("rotated", seconds)
        failure = last_failure(arn)
        if failure and failure.time.timestamp() >= begun:
            return Ended("failed", seconds, failure.message)
        if view.holder("AWSPENDING") != token:
            return Ended("abandoned", seconds)
        if seconds > timeout:
            return Ended("pending", seconds)
        time.sleep(_POLL_SECONDS)


def _closing(secret: str, ended: Ended) -> str:
    if ended.outcome == "rotated":
        return f"Rotated in {ended.seconds:.1f} s. Next: `rotators show {secret}` shows schedule and history."
    if ended.outcome == "failed":
        return f"Failed: {ended.message}\nNext: mend what it names, then `rotators rotate {secret}` again."
    if ended.outcome == "abandoned":
        return f"Abandoned: the value was changed meanwhile. Next: `rotators rotate {secret}` again."
    return (
        f"Not over after {ended.seconds:.0f} s. Next: `rotators show {secret}` later; "
        "CloudTrail names a failure within minutes."
    )
