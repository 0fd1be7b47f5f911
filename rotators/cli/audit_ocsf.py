"""`rotators audit ocsf`: prints audit records as events of OCSF, which a SIEM reads."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from rotators.cli.output import counted, print_json_line
from rotators.manage.errors import FileUnreadable, RecordInvalid
from rotators.manage.ocsf import ocsf_event, record_in

_MOST_NAMED = 10
_GZIP = b"\x1f\x8b"


@click.command(short_help="Print audit records as events of OCSF.")
@click.argument("file")
def ocsf(file: str) -> None:
    """Print the audit records of FILE as OCSF events, one JSON document per line; - reads standard input.

    FILE is the file of ROTATORS_AUDIT_FILE, or a log of the functions; it may be compressed with gzip. Lines
    without a record are skipped. Exit status 1 means that a record could not be read; the others are printed.
    """
    printed, unread, named = 0, 0, []
    for number, line in enumerate(_lines(file), 1):
        try:
            record = record_in(line)
            if record is not None:
                print_json_line(ocsf_event(record))
                printed += 1
        except RecordInvalid as error:
            unread += 1
            if unread <= _MOST_NAMED:
                named.append(f"line {number}: {error.cause}")
    if unread:
        rest = "; …" if unread > _MOST_NAMED else ""
        raise RecordInvalid(f"{counted(unread, 'record')} cannot be read ({'; '.join(named)}{rest})")
    if not printed:
        raise FileUnreadable(
            "no line contains an audit record",
            remedy="Name the file of ROTATORS_AUDIT_FILE, or a log of the functions.",
        )


def _lines(file: str) -> Iterator[str]:
    """Yield the lines, of which only one is in memory."""
    try:
        with _opened(file) as raw:
            for line in raw:
                yield line.decode("utf-8", errors="replace")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileUnreadable(
            f"the compressed file is damaged: {error}; the events before this point are printed",
            remedy="Fetch the file again, then repeat the command.",
        ) from None


def _opened(file: str) -> AbstractContextManager[Any]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    with Path(file).open("rb") as beginning:
        compressed = beginning.read(len(_GZIP)) == _GZIP
    return gzip.open(file) if compressed else Path(file).open("rb")
