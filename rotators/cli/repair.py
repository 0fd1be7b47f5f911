"""`rotators repair SECRET`: do what `rotators doctor` says, if no credential can be lost."""

from __future__ import annotations

import os

import click

from rotators.aws import clients
from rotators.cli.auditing import AuditedStore, audited
from rotators.cli.aws import ask_function, remote_options
from rotators.cli.doctor import idle_option, show_checkup
from rotators.cli.output import Screen, console, counted, json_option
from rotators.cli.signals import finish
from rotators.cli.stopping import STOPS, end, error_member, exit_unless, state_of
from rotators.core.settings import Settings
from rotators.recovery.checkup import Document, Mending

_AGAIN = "repeat the command; it examines the secret again, and makes the remaining changes."


@click.command()
@click.argument("secret")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@idle_option
@remote_options
@json_option
def repair(secret: str, dry_run: bool, idle: bool, function: str | None) -> None:
    """Repair SECRET: move stages, or make the target accept the current password again.

    SECRET is a name or ARN. Nothing is deleted. If a credential could be lost, the command changes nothing
    and names the action that a person must take. Exit status 0 means that the secret is healthy (with
    --dry-run: that it would be repaired).
    """
    out = console()
    with out.status(f"examining {secret} …"):
        if function is None:
            document = _mended(secret, idle=idle, dry_run=dry_run)
        else:
            event = {"Action": "repair", "SecretId": secret, "Idle": idle, "DryRun": dry_run}
            document = ask_function(function, event)
    out.document(document)
    _show_acts(document, out, "would " if dry_run else "")
    if dry_run or not document["acts"]:
        known = clients.short_id(document["name"], document["arn"])
        again = f"Next: `rotators repair {known}` does it." if document["acts"] else ""
        out.print("Nothing was changed. " + again if dry_run else "Nothing to do.")
        return
    show_checkup(document, out)
    exit_unless(document["healthy"])


def _mended(secret: str, *, idle: bool, dry_run: bool) -> Document:
    mending = Mending(AuditedStore(), Settings.from_environment(os.environ), secret, idle)
    try:
        document = mending.run(dry_run=True) if dry_run else _recorded(mending)
        finish()
    except STOPS as stopped:
        finish()
        if not mending.begun:
            raise
        _tell_stopped(mending.told(), stopped)
        end(stopped)
    return document


def _recorded(mending: Mending) -> Document:
    """Repair, with an audit record of it."""
    with audited(mending.secret) as facts:
        try:
            document = mending.run(dry_run=False)
        finally:
            facts["moved"] = mending.moved
        facts.update({"secret": document["arn"], "result": document["state"]})
    return document


def _tell_stopped(told: Document, stopped: BaseException) -> None:
    """Print the changes of a stopped repair. The next change, or the final examination, was not made."""
    out = console()
    state = {"healthy": False, "state": state_of(stopped), "error": error_member(stopped), "next": _AGAIN}
    out.document({"dry_run": False, **told, **state})
    _show_acts(told, out, "")
    made = f"{len(told['made'])} of {counted(len(told['acts']), 'change')} made"
    out.print(f"{made}, {state_of(stopped)}; the next change may have been made.")
    out.next(_AGAIN)


def _show_acts(document: Document, out: Screen, would: str) -> None:
    out.print(f"{document['before']['state']}: {document['before']['sentence']}")
    for act in document["acts"]:
        out.print(f"  {would}{act}")
