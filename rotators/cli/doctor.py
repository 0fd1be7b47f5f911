"""`rotators doctor SECRET`: try the stored credentials, look at all that a rotation needs, and explain."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import click

from rotators.cli.auditing import AuditedStore
from rotators.cli.aws import ask_function, remote_options
from rotators.cli.output import Screen, age, console, json_option, table
from rotators.cli.stopping import exit_unless
from rotators.core.settings import Settings
from rotators.recovery.checkup import Document, check_up

idle_option = click.option(
    "--idle", is_flag=True, help="Examine a recent AWSPENDING too, because no rotation is running."
)


@click.command()
@click.argument("secret")
@idle_option
@remote_options
@json_option
def doctor(secret: str, idle: bool, function: str | None) -> None:
    """Try the stored credentials of SECRET and explain its state. Changes nothing and shows no value.

    SECRET is a name or ARN. Run it where the target can be reached, or with --remote. It stops when the
    state is known, and after MAX_REJECTED_LOGINS rejected logins (4). Exit status 0 means healthy.
    """
    out = console()
    with out.status(f"examining {secret} …"):
        document = examined(secret, idle=idle, function=function)
    out.document(document)
    show_checkup(document, out)
    exit_unless(document["healthy"])


def examined(secret: str, *, idle: bool, function: str | None) -> Document:
    """Examine a secret from this machine, or with the operate function.

    Args:
        secret: its name or ARN.
        idle: True if no rotation is known to run.
        function: name of the operate function; None to examine it from this machine.

    Returns:
        The result of ``Checkup.document``: JSON types, without a value of the secret.

    Raises:
        RotatorsError: see ``check_up`` and ``ask_function``.
    """
    if function is None:
        settings = Settings.from_environment(os.environ)
        return check_up(AuditedStore(), settings, secret, idle=idle).document()
    document: Document = ask_function(function, {"Action": "doctor", "SecretId": secret, "Idle": idle})
    return document


def show_checkup(document: Document, out: Screen) -> None:
    """Print the versions, the state in one sentence, and the action.

    Args:
        document: result of ``examined``.
        out: console to print on.
    """
    rows = [
        (
            each["version"][:8],
            ", ".join(each["stages"]) or "(none)",
            age(_time(each["created"])),
            _login(each),
        )
        for each in document["versions"]
    ]
    out.print(table(("version", "stages", "age", "login"), rows, document["name"]))
    out.print(f"admin      {document['admin']['login'] if document['admin'] else 'none'}")
    out.print(f"schedule   {_schedule(document)}")
    out.print(f"function   {_FUNCTION[document['function']]}")
    if failure := document["last_failure"]:
        out.print(
            f"failure    {failure['event']} {age(_time(failure['time']))} ago: {failure['message']}",
        )
    out.print(f"\n{document['state']}: {document['sentence']}")
    for note in document["notes"]:
        out.print(f"also: {note}")
    out.print(f"Next: {document['action']}")


def _login(version: dict[str, Any]) -> str:
    """Result of the logins with a version at both addresses, with the cause of a refusal."""
    words = [version["trial"], *([f"{version['direct']} at admin_host"] if version["direct"] else [])]
    if version["trial"] == "refused" and version["reason"]:
        words[0] += f" ({version['reason']})"
    return ", ".join(words)


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _schedule(document: dict[str, Any]) -> str:
    if not document["rotation_enabled"]:
        return "rotation is off"
    moment = _time(document["next_rotation"])
    until = f", next by {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
    return f"{document['schedule'] or 'none'}{until}"


_FUNCTION = {
    "yes": "Secrets Manager may invoke it",
    "no": "Secrets Manager may not invoke it",
    "unknown": "its policy may not be read",
    "none": "none",
}
