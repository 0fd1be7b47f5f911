"""`rotators export`: write values of secrets to a file or into a pipe."""

from __future__ import annotations

import datetime as dt
import errno
import os
import sys
from pathlib import Path

import click

from rotators.cli.auditing import record_read
from rotators.cli.output import console, counted, print_document
from rotators.cli.selecting import nothing_selected, require_conditions, selector_options
from rotators.core.errors import RotatorsError
from rotators.manage.errors import FormatUnsuited, TerminalRefused
from rotators.manage.formats import FORMATS, Content, written
from rotators.manage.selector import Selector, refuse_unread
from rotators.manage.values import values_of


@click.command()
@selector_options
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", help="Format of the file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="File to write; only you can read it (mode 0600). - is standard output.",
)
@click.option("--show", is_flag=True, help="Print the values even on a terminal.")
def export(selector: Selector, form: str, output: str | None, show: bool) -> None:
    """Write the AWSCURRENT values of secrets, in clear text.

    Secrets are named, or selected by the conditions of `rotators list`. Values are written to a file that
    only you can read, or into a pipe. They are printed on a terminal only with --show. The formats dotenv,
    chamber and vault accept only one secret.
    """
    output = None if output == "-" else output
    if output is None and sys.stdout is None:
        raise TerminalRefused("the output is closed", remedy="Write the values to a file (-o FILE).")
    if output is None and sys.stdout.isatty() and not show:
        raise TerminalRefused("the output is a terminal")
    require_conditions(selector)
    secrets = _values(selector)
    text = written(form, secrets)
    if output is None:
        print_document(text)
        return
    _write(output, text)
    out = console()
    out.print(f"{counted(len(secrets), 'secret')} written to {output}, in clear text.")
    out.next("delete the file as soon as it is no longer needed.")


def _values(selector: Selector) -> dict[str, Content]:
    """Return the values by name. An export without one of the selected secrets would look complete."""
    selection = selector.select(dt.datetime.now(dt.UTC))
    found: dict[str, Content] = {}
    unread, twice = [], ""
    for entry, value in values_of(selection):
        if isinstance(value, RotatorsError):
            unread.append((entry.name, value))
            continue
        record_read(value.arn, value.version)
        twice = entry.name if entry.name in found else twice
        found[entry.name] = value.content
    if twice:
        raise FormatUnsuited(
            f"secrets in two Regions have the name {twice}",
            remedy="Export each Region to its own file.",
        )
    refuse_unread([*selection.unread, *unread])
    if not found:
        raise nothing_selected()
    return found


def _write(path: str, text: str) -> None:
    """Write a file that only this user can read; a device or a pipe stays as it is.

    A file of that name is replaced when the new one is complete: others may have the old one open.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")
        return
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    new = target.with_name(f".{target.name}.part")
    new.unlink(missing_ok=True)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
