"""`rotators repair SECRET`: do what `rotators doctor` says, if no credential can be lost."""

from __future__ import annotations

import os
import sys

import click

from rotators.aws.secrets import SecretStore
from rotators.cli.auditing import audited
from rotators.cli.aws import ask_function, remote_options
from rotators.cli.doctor import idle_option, show_checkup
from rotators.cli.output import console, json_option, print_json
from rotators.core.audit import StageMove
from rotators.core.settings import Settings
from rotators.recovery.checkup import Document, mended


@click.command()
@click.argument("secret")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@idle_option
@remote_options
@json_option
def repair(secret: str, dry_run: bool, idle: bool, function: str | None, as_json: bool) -> None:
    """Repair SECRET: move stages, or make the target accept the current password again.

    SECRET is a name or ARN. Nothing is deleted. If a credential could be lost, nothing is changed and the
    action for a person is named. Exit status 0 means that the secret is healthy (with --dry-run: that it
    would be repaired).
    """
    out = console(quiet=as_json)
    with out.status(f"examining {secret} …"):
        document = _mended(secret, idle=idle, dry_run=dry_run, function=function)
    if as_json:
        print_json(document)
    out.print(f"{document['before']['state']}: {document['before']['sentence']}", soft_wrap=True)
    for act in document["acts"]:
        out.print(f"  {'would ' if dry_run else ''}{act}", soft_wrap=True)
    if dry_run or not document["acts"]:
        again = f"Next: `rotators repair {document['name']}` does it." if document["acts"] else ""
        out.print("Nothing was changed. " + again if dry_run else "Nothing to do.", soft_wrap=True)
        return
    show_checkup(document, out)
    if not document["healthy"]:
        sys.exit(1)


def _mended(secret: str, *, idle: bool, dry_run: bool, function: str | None) -> Document:
    if function is not None:
        event = {"Action": "repair", "SecretId": secret, "Idle": idle, "DryRun": dry_run}
        answer: Document = ask_function(function, event)
        return answer
    store, settings = SecretStore(), Settings.from_environment(os.environ)
    if dry_run:
        return mended(store, settings, secret, idle=idle, dry_run=True)
    moved: list[StageMove] = []
    with audited(secret) as facts:
        facts["moved"] = moved
        document = mended(store, settings, secret, idle=idle, dry_run=False, moved=moved)
        facts.update({"secret": document["arn"], "result": document["state"]})
    return document
