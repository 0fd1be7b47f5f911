"""`rotators show SECRET`: versions, stages, schedule and the last failure; never a value."""

from __future__ import annotations

from dataclasses import replace

import click

from rotators.aws import clients
from rotators.aws.failures import newest_failure
from rotators.aws.views import FailedRotation, SecretView, last_failure, read_secret, steps_of
from rotators.cli.output import (
    Screen,
    age,
    aws_options,
    console,
    first_rotation,
    json_option,
    versions_table,
    view_document,
)
from rotators.core.states import Stage


@click.command()
@click.argument("secret")
@json_option
def show(secret: str) -> None:
    """Show versions, stages, ages, schedule and last failure of SECRET (name or ARN). No value is read."""
    with clients.in_region_of(secret):
        _show(read_secret(secret), console())


def _show(view: SecretView, out: Screen) -> None:
    found = last_failure(view.arn)
    failure = replace(found, message=_why(view, found)) if found else None
    out.document({**view_document(view), "last_failure": failure and vars(failure)})
    out.print(versions_table(view, f"{view.name}"))
    out.print(f"rotation   {_rotation(view)}")
    out.print(f"last       {age(view.last_rotated)} ago" if view.last_rotated else "last       never")
    if view.next_rotation:
        out.print(f"next       {view.next_rotation:%Y-%m-%d %H:%M} UTC at the latest")
    if failure:
        out.print(f"failure    {failure.event} {age(failure.time)} ago: {failure.message}")
    out.next(_advice(view, failure))


def _why(view: SecretView, failure: FailedRotation) -> str:
    """Return the cause from the function's log; the service names only the step that failed."""
    failed = newest_failure(steps_of(view, view.holder("AWSPENDING")))
    return (failed or failure).message


def _rotation(view: SecretView) -> str:
    if view.deleted:
        return f"none: the secret was deleted {age(view.deleted)} ago"
    if view.primary_region:
        return f"none: this is a replica; the primary secret is in {view.primary_region}"
    if not view.rotation_enabled:
        return "off"
    window = f", window {view.window}" if view.window else ""
    function = (view.function_arn or "managed by the service").rsplit(":", 1)[-1]
    return f"on, {view.schedule or 'no schedule'}{window}, by {function}"


def _advice(view: SecretView, failure: FailedRotation | None) -> str:
    if view.deleted:
        return f"`rotators restore {view.id} --yes` restores it if it is needed."
    if view.primary_arn:
        return f"`rotators show {view.primary_arn}` shows the primary secret; only that secret is rotated."
    if view.holder(Stage.CURRENT) is None:
        return (
            f"store the working credential: `aws secretsmanager put-secret-value {aws_options(view.id)} "
            "--secret-string file://value.json`; delete the file afterwards."
        )
    return _rotation_advice(view, failure)


def _rotation_advice(view: SecretView, failure: FailedRotation | None) -> str:
    if not view.rotation_enabled and view.function_arn:
        return f"rotation was cancelled; `rotators rotate {view.id} --enable` turns it on again."
    if not view.rotation_enabled:
        return first_rotation(view.id)
    if failure:
        return f"correct the cause that the failure names, then `rotators rotate {view.id}`."
    if view.holder(Stage.PENDING) not in {None, view.holder(Stage.CURRENT)}:
        return f"a rotation is in progress or was interrupted; `rotators rotate {view.id}` continues it."
    return f"`rotators rotate {view.id}` rotates it now."
