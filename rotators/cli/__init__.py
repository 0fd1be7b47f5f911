"""The `rotators` command: a module for each command. This one joins them and turns errors into exit codes."""

from __future__ import annotations

import builtins
import io
import keyword
import os
import sys
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, TextIO

import click

from rotators import __version__
from rotators.cli.output import OutputForm, error_document, print_error, print_json, print_usage_error
from rotators.cli.signals import finish, interruptible
from rotators.cli.stopping import told
from rotators.core.errors import RotatorsError

COMMANDS = {
    "access": "Show who can read, write and rotate secrets.",
    "audit": "Show who reads secrets, and convert audit records.",
    "check": "Check whether a rotation would work, before it is scheduled.",
    "dashboard": "Show the page about all secrets in a browser.",
    "delete": "Schedule secrets for deletion, after a recovery window.",
    "diff": "Compare two versions of a secret, without their values.",
    "demo": "Rotate two credentials of a local PostgreSQL and show the result.",
    "deploy-local": "Deploy the stack into a local AWS and rotate with it.",
    "doctor": "Try the stored credentials and explain the state of a secret.",
    "engines": "List the engines and the servers that they were proved on.",
    "exec": "Run a program with a secret in its environment.",
    "export": "Write values of secrets to a file or into a pipe.",
    "history": "Show the versions of a secret, and who changed it when.",
    "import": "Store secrets from a file.",
    "invoke": "Invoke a function with an event from a JSON file.",
    "key": "Create, list and rotate KMS keys, and move secrets to another key.",
    "list": "List secrets by conditions; those that need attention come first.",
    "matrix": "Stop rotations at every operation, and recover them.",
    "new": "Create a package for your own credential type.",
    "outputs": "Show the outputs of a deployed stack.",
    "policy": "Check all secrets against your rules or a preset.",
    "receipt": "Verify signed receipts of rotations, and write missing ones.",
    "repair": "Repair a secret if no credential can be lost.",
    "replicate": "Replicate secrets to other Regions.",
    "report": "Write an HTML page about all secrets.",
    "restore": "Restore secrets that are scheduled for deletion.",
    "rename": "Copy a secret to a new name.",
    "rollback": "Return a secret and its target to an older version.",
    "rotate": "Rotate a secret now, show each step, and wait for the end.",
    "schedule": "Set the rotation schedule of secrets, or turn rotation off.",
    "schema": "Print the JSON Schema of an event or of a secret.",
    "show": "Show versions, stages, schedule and last failure of a secret.",
    "tag": "Set and remove tags of secrets.",
    "unreplicate": "Remove replicas of secrets from other Regions.",
    "up": "Keep a local AWS and a server running until Ctrl-C.",
}
"""The line in `rotators --help`, by name of the command."""


def _flush() -> None:
    stream: TextIO | None = sys.stdout  # None if it was closed before Python started
    if stream is not None:
        stream.flush()


def _discard_unwritable() -> None:
    """Replace an output that cannot be written, because Python would write to it again at the end."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Modules(UserDict[str, Any]):
    """Commands by name. A command's module is imported when the command is used."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        attribute = _attribute(name)
        command: click.Command = getattr(import_module(f"rotators.cli.{attribute}"), attribute)
        return command


def _attribute(name: str) -> str:
    """Return the module and function of a command. Names that Python reserves get an underscore (PEP 8)."""
    own = keyword.iskeyword(name) or hasattr(builtins, name)
    return f"{name}_" if own else name.replace("-", "_")


class _Group(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Group,
    commands=_Modules(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="rotators")
def cli() -> None:
    """Rotate secrets on AWS without locking out a user.

    demo, up, matrix and deploy-local start their own local AWS and server. The other commands use the local
    AWS if AWS_ENDPOINT_URL names it (`rotators up` prints this variable). Otherwise they use the real AWS.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit (console script).

    The exit status is 0 only if the command did what was asked, 1 if it did not, and 2 for bad usage.
    SIGTERM and SIGHUP end a command as Ctrl-C does.

    Args:
        arguments: the command and its arguments; None for those of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack these characters, or be closed
            stream.reconfigure(errors="backslashreplace")
    if sys.stdin is None:  # closed before Python started; a command that reads it finds nothing
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
    form = OutputForm()
    with interruptible(to_the_end=arguments is None):
        try:
            try:
                status = cli.main(given, prog_name="rotators", standalone_mode=False, obj=form)
            finally:
                _flush()  # here, because no code handles an error of the flush at the end of the process
        except (click.ClickException, click.Abort, KeyboardInterrupt, RotatorsError, OSError) as error:
            status = _told(error, as_json=form.name == "json")
    sys.exit(status)


def _told(error: BaseException, *, as_json: bool) -> int:
    """Print why a command ended, and return the exit status."""
    finish()
    if isinstance(error, click.ClickException):
        print_usage_error(error)
        return error.exit_code
    if isinstance(error, OSError):
        _discard_unwritable()
    if as_json:
        try:
            print_json({"error": error_document(told(error))})
        except OSError:  # the output cannot be written, as the error says
            _discard_unwritable()
    print_error(str(told(error)))
    return 1
