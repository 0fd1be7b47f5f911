"""The `rotators` command: each command is a module; this one joins them and turns errors into exit codes."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from rotators import __version__
from rotators.cli.check import check
from rotators.cli.demo import demo
from rotators.cli.deploy_local import deploy_local
from rotators.cli.doctor import doctor
from rotators.cli.invoke import invoke
from rotators.cli.matrix import matrix
from rotators.cli.new import new
from rotators.cli.output import print_error, print_json, print_usage_error
from rotators.cli.outputs import outputs
from rotators.cli.repair import repair_command
from rotators.cli.rotate import rotate
from rotators.cli.show import show
from rotators.cli.up import up
from rotators.core.errors import RotatorsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rotators")
def cli() -> None:
    """Rotate secrets on AWS without locking anybody out.

    demo, up, matrix and deploy-local bring their own local AWS and PostgreSQL. The other commands talk to
    whatever AWS the environment names: the local one (AWS_ENDPOINT_URL, as `rotators up` prints it) or the
    real one.
    """


for _command in (
    demo,
    up,
    invoke,
    rotate,
    show,
    check,
    doctor,
    repair_command,
    new,
    matrix,
    deploy_local,
    outputs,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: run one command and exit.

    The exit status is 0 only if the command did what was asked, 1 if it did not, and 2 for bad usage.

    Args:
        arguments: the command and its arguments; those of the process when left out.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack our characters, or be closed
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(given, prog_name="rotators", standalone_mode=False))
    except click.ClickException as error:
        print_usage_error(error)
        sys.exit(error.exit_code)
    except RotatorsError as error:
        if "--json" in given:
            told = {"code": error.full_code, "cause": error.cause, "next": error.remedy}
            print_json({"error": told})
        print_error(str(error))
        sys.exit(1)
    except click.Abort:
        print_error("interrupted. Next: repeat the command; a rotation that has begun goes on without it.")
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror}. Next: check disk, terminal and permissions.")
        sys.exit(1)
