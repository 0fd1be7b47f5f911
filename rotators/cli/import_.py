"""`rotators import`: store secrets from a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rotators.aws.secrets import SecretVersion
from rotators.cli.auditing import record_read
from rotators.cli.changing import ChangePlan, carry_out, yes_option
from rotators.cli.output import counted, json_option
from rotators.core.errors import RotatorsError, SealedValueError, SecretNotFound
from rotators.manage.changes import Change, storing
from rotators.manage.errors import FileUnreadable, WouldOverwrite
from rotators.manage.formats import FORMATS, Content, read
from rotators.manage.values import current_values, unopened

_MOST_NAMED = 20
_OPENED_BY_NOBODY = {"altered", "other-secret"}


@click.command("import")
@click.argument("file")
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", help="Format of the file.")
@click.option("--to", "name", metavar="NAME", help="Name of the secret, for dotenv, chamber and vault.")
@click.option("--new-key", metavar="KEY", help="KMS key of new secrets (default: aws/secretsmanager).")
@click.option("--overwrite", is_flag=True, help="Replace values of secrets that exist.")
@yes_option
@json_option
def import_(  # noqa: PLR0913, PLR0917 - options of the command
    file: str, form: str, name: str | None, new_key: str | None, overwrite: bool, yes: bool
) -> None:
    """Store the secrets of FILE; - reads standard input. Secrets that have the same value are not changed.

    Existing values are replaced only with --overwrite. Nothing is stored without --yes.
    """
    secrets = read(form, _text(file), name)
    plan = _plan(secrets, new_key)
    replaced = [change.secret for change in plan if change.words == "overwrite"]
    if replaced and not overwrite:
        named = ", ".join(replaced[:_MOST_NAMED]) + (", …" if len(replaced) > _MOST_NAMED else "")
        raise WouldOverwrite(f"another value is stored in {counted(len(replaced), 'secret')}: {named}")
    carry_out(ChangePlan(plan, len(secrets), len(secrets) - len(plan)), yes=yes)


def _text(file: str) -> str:
    try:
        # Read as bytes, because text mode would change the line ends.
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError:
        raise FileUnreadable("the file is not UTF-8") from None


def _plan(secrets: dict[str, Content], key: str | None) -> list[Change]:
    known = current_values(secrets)
    return [
        change
        for name, content in secrets.items()
        for change in storing(name, content, _existing(name, known[name]), key)
    ]


def _existing(name: str, version: SecretVersion | RotatorsError) -> SecretVersion | None:
    """Return the present value. A secret that may not be read cannot be compared, so the import stops.

    A sealed value that cannot be opened is different from every other value.
    """
    if isinstance(version, SecretNotFound) and not name.startswith("arn:"):
        return None
    if isinstance(version, SealedValueError) and version.reason in _OPENED_BY_NOBODY:
        return unopened(name)
    if isinstance(version, RotatorsError):
        raise version
    record_read(version.arn, version.version)
    return version
