"""`rotators check SECRET`: check that a rotation would work, before it is scheduled."""

from __future__ import annotations

import os

import click
from click.core import ParameterSource

from rotators.cli.auditing import AuditedStore
from rotators.cli.aws import ask_function, remote_option, stack_option
from rotators.cli.output import Screen, console, json_option, table
from rotators.cli.stopping import exit_unless
from rotators.core.settings import Settings
from rotators.recovery.checking import Document, preflight


@click.command()
@click.argument("secret")
@remote_option
@stack_option
@json_option
def check(secret: str, remote: bool, stack: str) -> None:
    """Check whether a rotation of SECRET would work. Changes nothing and shows no value.

    SECRET is a name or ARN. Checks the function and its permissions, the network route, TLS, logins,
    the admin's rights, the second user, password rules and the schedule. Run it where the database can be
    reached, or with --remote. Exit status 0 means that no check failed.
    """
    out = console()
    with out.status(f"checking {secret} …"):
        document = _checked(secret, stack, remote=remote)
    out.document(document)
    show_preflight(document, out)
    exit_unless(document["ready"])


def _checked(secret: str, stack: str, *, remote: bool) -> Document:
    named = click.get_current_context().get_parameter_source("stack") is ParameterSource.COMMANDLINE
    default = f"{stack}-rotate"
    function = default if named else None
    if not remote:
        settings = Settings.from_environment(os.environ)
        return preflight(AuditedStore(), settings, secret, function=function, default=default)
    event = {"Action": "check", "SecretId": secret, **({"Function": function} if function else {})}
    document: Document = ask_function(f"{stack}-operate", event)
    return document


def show_preflight(document: Document, out: Screen) -> None:
    """Print every check and the first thing to do.

    Args:
        document: result of ``preflight``.
        out: console to print on.
    """
    rows = [(each["name"], each["result"], each["detail"]) for each in document["checks"]]
    out.print(table(("check", "result", "detail"), rows, document["name"]))
    out.print(f"Next: {document['next']}")
