"""`rotators audit`: questions about CloudTrail's records; and audit records for a SIEM."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TextIO

import click

from rotators.audit import questions
from rotators.audit.questions import Question
from rotators.audit.sources import files
from rotators.audit.table import AuditAnswer, Coverage, Gap, Records, opened
from rotators.cli.audit_ocsf import ocsf
from rotators.cli.output import (
    console,
    counted,
    format_option,
    members,
    print_document,
    print_error,
    print_json,
    print_rows,
    table,
)
from rotators.cli.stopping import exit_unless
from rotators.manage.selector import duration

_COVERAGE = "files records events begun ended complete gap_count unnamed"
_ROWS = 50  # largest number of rows of a table
_MOST_GAPS = 10  # number of lines after a table

_LABELS = {
    "anomaly": "what",
    "event_time": "time (UTC)",
    "region": "Region",
    "principal": "caller",
    "first_read": "first (UTC)",
    "last_read": "last (UTC)",
    "retired": "retired (UTC)",
    "reads_by_rotation": "by rotation",
}


@dataclass(frozen=True)
class _Asked:
    """A question, and how its answer is shown.

    Args:
        question: the question.
        columns: names of the columns that a table shows.
        next_: the next action, if there is an answer.
        secret: the secret that the question is about.
        needs: time that the records should be longer than.
    """

    question: Question
    columns: Sequence[str]
    next_: str
    secret: str | None = None
    needs: dt.timedelta | None = None


def _asks(command: Callable[..., _Asked]) -> Callable[..., None]:
    """Make a command from a function that returns the question; add the arguments with the records."""

    @click.argument("source", nargs=-1)
    @format_option("table", "json", "csv")
    @click.option(
        "--athena", metavar="TABLE", help="Print the question as SQL for this table of Athena instead."
    )
    @wraps(command)
    def wrapped(source: tuple[str, ...], athena: str | None, output: str, **rest: Any) -> None:
        """Answer the question from the records in SOURCE."""
        if bool(source) == (athena is not None):
            raise click.UsageError(
                "Give files, folders or s3://BUCKET/PREFIX with records, or --athena TABLE."
            )
        asked = command(**rest)
        if athena is None:
            _answer(asked, source, output)
        elif output == "json":
            print_json({"question": asked.question.name, "sql": asked.question.athena(athena)})
        else:
            print_document(asked.question.athena(athena))

    return wrapped


@click.group()
def audit() -> None:
    """Show who reads secrets, from CloudTrail's records, and convert the audit records of rotators.

    SOURCE is a log file of a trail, a folder, s3://BUCKET/PREFIX, or the output of `aws cloudtrail
    lookup-events --output json`. No value is read, and no record contains a value. Exit status 1 means that
    the answer is incomplete, because something could not be read.
    """


audit.add_command(ocsf)


@audit.command(short_help="Show who reads a secret, and who was refused.")
@click.argument("secret")
@_asks
def who(secret: str) -> _Asked:
    """Show who reads SECRET (name or ARN), and who was refused, from the records in SOURCE.

    A caller is a role with all its sessions, a user, an account or a service.
    """
    columns = ("principal", "region", "reads", "refused", "addresses", "first_read", "last_read")
    next_ = f"`rotators access {secret}` shows who else can read it."
    return _Asked(questions.who(secret), columns, next_, secret=secret)


@audit.command(short_help="List secrets that only their rotation functions read.")
@click.option("--for", "age", default="90d", metavar="AGE", help="Time without a read (default: 90d).")
@click.option(
    "--secrets",
    type=click.File("r", errors="replace"),
    help=(
        "File with names or ARNs, one per line. Only these secrets are listed, even if no record "
        "mentions them."
    ),
)
@_asks
def unused(age: str, secrets: TextIO | None) -> _Asked:
    """List secrets that were not read for some time before the newest record in SOURCE.

    Reads by rotation functions do not count. Without --secrets, only secrets that the records mention are
    listed.
    """
    period = duration(age)
    listed = list(filter(None, map(str.strip, secrets))) if secrets else []
    columns = ("secret", "region", "last_read", "reads_by_rotation")
    next_ = "`rotators delete SECRET` schedules a deletion, with a recovery window."
    return _Asked(questions.unused(period, listed), columns, next_, needs=period)


@audit.command(short_help="Show who reads retired versions after the grace period.")
@click.option("--grace", default="24h", metavar="AGE", help="Time after a rotation (default: 24h).")
@_asks
def previous(grace: str) -> _Asked:
    """Show who reads retired versions after the grace period, from the records in SOURCE.

    The grace period begins at the rotation. These are reads of AWSPREVIOUS, and reads by version id of
    versions that are no longer AWSCURRENT. Reads by rotation functions do not count.
    """
    columns = ("secret", "principal", "region", "reads", "last_read", "retired")
    next_ = "let these callers read AWSCURRENT, before the retired credential stops working."
    return _Asked(questions.previous(duration(grace)), columns, next_)


@audit.command(short_help="Show first-time readers, new Regions and bursts.")
@click.option("--since", default="24h", metavar="AGE", help="Time before the newest record (default: 24h).")
@_asks
def anomalies(since: str) -> _Asked:
    """Show recent reads in SOURCE that differ from earlier reads.

    The anomalies are: a caller that reads a secret for the first time; a Region that is new for a caller; and
    a burst, which is an hour with at least 50 reads and more than 10 times the caller's usual number.
    """
    columns = ("event_time", "anomaly", "principal", "secret", "region", "reads", "refused")
    next_ = "`rotators audit who SECRET SOURCE` shows all callers of a secret."
    period = duration(since)
    return _Asked(questions.anomalies(period), columns, next_, needs=period)


def _answer(asked: _Asked, places: Sequence[str], output: str) -> None:
    with opened() as records:
        with console().status("reading records …"):
            records.load(files(places))
            answer = records.ask(asked.question)
            notes = list(_limits(asked, records))
        found = records.coverage
    next_ = asked.next_ if answer.rows else "give older records too, if you need an earlier time."
    if output == "json":
        document = {"question": asked.question.name, "rows": answer.rows, **members(found, _COVERAGE)}
        print_json({**document, "gaps": [vars(gap) for gap in found.gaps], "notes": notes, "next": next_})
    elif output == "csv":
        _print_csv(answer, found)
    else:
        _print_table(answer.rows, asked.columns, found, [*notes, f"\nNext: {next_}"])
    exit_unless(found.complete)


def _limits(asked: _Asked, records: Records) -> Iterator[str]:
    """Return why an answer may be incomplete, although all records were read."""
    found = records.coverage
    if asked.secret is not None and not records.ask(questions.mentions(asked.secret)).rows[0]["records"]:
        yield f"No record mentions {asked.secret}: check its name, and the time of the records."
    if asked.needs is not None and found.begun and found.ended and found.ended - found.begun <= asked.needs:
        yield "The records do not begin before the requested time, so earlier reads are unknown."


def _print_csv(answer: AuditAnswer, found: Coverage) -> None:
    print_rows([answer.columns])
    print_rows([_csv_cell(value) for value in row.values()] for row in answer.rows)
    for note in _notes(found):
        print_error(note)


def _print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], found: Coverage, ends: Sequence[str]
) -> None:
    out = console()
    if rows:
        cells = [[_cell(_short(row[name])) for name in columns] for row in rows[:_ROWS]]
        out.print(table([_LABELS.get(name, name) for name in columns], cells))
    if len(rows) > _ROWS:
        out.print(f"The first {_ROWS} of {len(rows):,} rows; -o csv lists all.")
    span = f", {_cell(found.begun)} to {_cell(found.ended)} (UTC)" if found.begun else ""
    read = f"{counted(found.records, 'record')} in {counted(found.files, 'file')}"
    out.print(
        f"{read}; {counted(found.events, 'event')} about secrets{span}.", *_notes(found), *ends, sep="\n"
    )


def _notes(found: Coverage) -> list[str]:
    """Return lines about the reads and files that the answer does not cover."""
    notes = [
        (
            f"{each['principal']} made {counted(each['calls'], 'call')} of BatchGetSecretValue with "
            "filters: no record of KMS shows which secrets were read."
        )
        for each in found.unnamed[:_MOST_GAPS]
    ]
    notes += [f"Incomplete: {_gap(gap)}." for gap in found.gaps[:_MOST_GAPS]]
    more = found.gap_count - sum(gap.count for gap in found.gaps[:_MOST_GAPS])
    return [*notes, f"Incomplete: {counted(more, 'more place')} could not be read."] if more else notes


def _gap(gap: Gap) -> str:
    times = f"; {counted(gap.count, 'place')}" if gap.count > 1 else ""
    return f"{gap.file}, after {counted(gap.after, 'record')}: {gap.cause} [{gap.code}]{times}"


def _short(value: Any) -> Any:
    """Return the last part of an ARN, such as ``role/NAME``."""
    return value.rpartition(":")[2] if isinstance(value, str) and value.startswith("arn:") else value


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, dt.datetime) else str(value)
