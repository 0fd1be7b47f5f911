"""`rotators exec`: run a program with a secret in its environment."""

from __future__ import annotations

import os
import shutil
import signal
from typing import NoReturn

import click

from rotators.aws import clients
from rotators.aws.secrets import SecretsManager
from rotators.cli.auditing import record_read
from rotators.cli.signals import handled
from rotators.manage.environment import variables
from rotators.manage.errors import EnvironmentUnsuited, ProgramNotStarted


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("secret")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--map", "pairs", multiple=True, metavar="VARIABLE=MEMBER", help="May be repeated.")
@click.option("--prefix", default="", metavar="PREFIX", help="Prefix of the variables without --map.")
@click.option("--stage", metavar="STAGE", help="Stage of the version (default: AWSCURRENT).")
def exec_(
    secret: str, command: tuple[str, ...], pairs: tuple[str, ...], prefix: str, stage: str | None
) -> NoReturn:
    """Run COMMAND with members of SECRET as environment variables: rotators exec SECRET -- COMMAND.

    Without --map, each member that is a string, number or boolean becomes a variable in capital letters. The
    program replaces this process, so it receives the signals and determines the exit status. No value is
    passed in arguments. The program keeps the value until it ends; if it runs longer than until the next
    rotation, use the client instead.
    """
    mapping = dict(_pair(text) for text in pairs)
    if len(mapping) < len(pairs):
        raise EnvironmentUnsuited("--map names a variable twice")
    if stage == "":
        raise click.UsageError("The stage after --stage is empty.")
    with clients.in_region_of(secret):
        version = SecretsManager().one(secret, stage, None)
    record_read(version.arn, version.version)
    environment = os.environ | variables(version.secret, mapping, prefix)
    # Found with the path of this process, because the secret may contain another one.
    program = shutil.which(command[0]) or command[0]
    try:
        # Python ignores these signals, and the program would inherit that.
        with handled((signal.SIGPIPE, signal.SIGXFSZ), signal.SIG_DFL):
            os.execve(program, command, environment)  # noqa: S606 - the user's own command, without a shell
    except OSError as error:
        raise ProgramNotStarted(f"{command[0]} could not be started: {error.strerror}") from None


def _pair(text: str) -> tuple[str, str]:
    variable, equals, member = text.partition("=")
    if not equals or not member:
        raise EnvironmentUnsuited(f"{text!r} is not a mapping", remedy="Write VARIABLE=MEMBER.")
    return variable, member
