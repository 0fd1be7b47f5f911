"""`rotators demo`: rotate credentials of a real PostgreSQL on this machine."""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

import click
from rich.columns import Columns

from rotators.aws.views import read_secret
from rotators.cli.output import (
    Screen,
    console,
    json_option,
    print_error,
    step_line,
    styled,
    versions_table,
    view_document,
)
from rotators.cli.stack import PostgresStack, Seeded

_ROTATION_SECONDS = 60.0
# A password of `alternating` stays valid until the user's next turn, so that one rotates twice.
_ROTATIONS = {"single": 1, "alternating": 2}
_WANTED = ("refused", "accepted")  # the old password, the new one


@click.command()
@json_option
def demo() -> None:
    """Start a local AWS and a PostgreSQL, rotate two credentials, and show the results."""
    out = console()
    started = time.monotonic()
    with out.status("starting a local AWS and PostgreSQL …"):
        stack = PostgresStack().__enter__()
    try:
        out.print(*step_line("local AWS and PostgreSQL", time.monotonic() - started))
        document = _rotate_all(stack, out)
    finally:
        stack.__exit__()
    document["seconds"] = round(time.monotonic() - started, 2)
    out.document(document)
    _finish(document, out)


def _rotate_all(stack: PostgresStack, out: Screen) -> dict[str, Any]:
    begun = time.monotonic()
    with out.status("storing secrets through the store function …"):
        seeded = stack.seed()
    out.print(*step_line("secrets stored and their credentials tested", time.monotonic() - begun))
    return {"secrets": [_rotate_one(stack, secret, out) for secret in seeded]}


def _rotate_one(stack: PostgresStack, secret: Seeded, out: Screen) -> dict[str, Any]:
    old, before = stack.value(secret.arn), read_secret(secret.arn)
    out.rule(f"{secret.name}, strategy {secret.strategy}", align="left")
    rotations = [_rotation(stack, secret, out) for _ in range(_ROTATIONS[secret.strategy])]
    after, new = read_secret(secret.arn), stack.value(secret.arn)
    accepted = ["accepted" if stack.server.logs_in(value) else "refused" for value in (old, new)]
    columns = [versions_table(before, "before"), versions_table(after, "after")]
    out.print(Columns(columns, padding=(0, 4)))
    for which, found, wanted in zip(("old", "new"), accepted, _WANTED, strict=True):
        out.print(f"  {which} password:", styled(found, "green" if found == wanted else "red"))
    return {
        "name": secret.name,
        "strategy": secret.strategy,
        "rotations": rotations,
        "before": view_document(before)["versions"],
        "after": view_document(after)["versions"],
        "old_password": accepted[0],
        "new_password": accepted[1],
    }


def _rotation(stack: PostgresStack, secret: Seeded, out: Screen) -> dict[str, Any]:
    token = str(uuid.uuid4())
    stack.aws.client("secretsmanager").rotate_secret(SecretId=secret.arn, ClientRequestToken=token)
    with out.status("rotating …"):
        outcome = stack.aws.wait_for_rotation(secret.arn, token, _ROTATION_SECONDS)
    for step in outcome.steps:
        out.print(*step_line(step.step, step.seconds, step.error_message))
    return {
        "token": token,
        "result": outcome.result,
        "message": outcome.message,
        "steps": [
            {"step": step.step, "ms": round(step.seconds * 1000), "ok": step.ok} for step in outcome.steps
        ],
    }


def _finish(document: dict[str, Any], out: Screen) -> None:
    bad = [
        secret["name"]
        for secret in document["secrets"]
        if (secret["old_password"], secret["new_password"]) != _WANTED
    ]
    if bad:
        print_error(f"{', '.join(bad)} was not rotated correctly. Next: run with --json.")
        sys.exit(1)
    out.print(f"\nFinished in {document['seconds']:.1f} s; nothing is left running.")
    out.print("Next: `rotators up` keeps such a stack running; docs/how-to/deploying.md describes AWS.")
