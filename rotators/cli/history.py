"""`rotators history SECRET`: its versions, and who changed it when; never a value."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import click
from rich.table import Column, Table

from rotators.aws import clients
from rotators.aws.views import UNTOLD, SecretView, read_secret
from rotators.cli.output import (
    Cell,
    Screen,
    age,
    console,
    counted,
    error_document,
    json_option,
    styled,
    table,
)
from rotators.cli.stopping import exit_unless
from rotators.core.errors import RotatorsError
from rotators.manage.history import KEPT, History, HistoryEntry
from rotators.manage.history import history as read_history
from rotators.manage.selector import duration

_NAMES = {"clientRequestToken": "version"}  # the id of the version that the call created or filled
_LONGEST = 200  # a policy has up to 20,000 characters; the JSON document has all of them
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LIMITS = (
    "CloudTrail is some minutes behind, keeps events for 90 days, and contains only those of this Region."
)
_UNLISTED = (
    "Versions without a stage are unknown: you may not list them (secretsmanager:ListSecretVersionIds)."
)


@click.command()
@click.argument("secret")
@click.option(
    "--since", default="7d", metavar="AGE", help="Age of the oldest change, at most 90d (default: 7d)."
)
@json_option
def history(secret: str, since: str) -> None:
    """Show the versions of SECRET (name or ARN), and who changed it when. No value is read.

    The changes come from CloudTrail: calls, including refused calls, and events of rotations. Reads are only
    counted. On AWS, the command takes at least 17 seconds, because CloudTrail answers two lookups of 50
    events per second. Exit status 1 means that CloudTrail could not be read; the versions are still shown.
    """
    period = duration(since)
    with clients.in_region_of(secret):
        view = read_secret(secret)
        found: History | None = None
        unread: RotatorsError | None = None
        try:
            with console().status(f"reading CloudTrail about {secret} …"):
                found = read_history(view, period)
        except UNTOLD as error:
            unread = error
    out = console()
    out.document(_document(view, found, unread))
    _print(secret, view, found, unread, out)
    exit_unless(found is not None)


def _document(view: SecretView, found: History | None, unread: RotatorsError | None) -> dict[str, Any]:
    return {
        "arn": view.arn,
        "name": view.name,
        "versions": [version._asdict() for version in view.versions],
        "versions_complete": not view.unlisted,
        "changes_known": found is not None,
        "since": found and found.since,
        "changes": [vars(change) for change in found.changes] if found else [],
        "reads": dict(found.reads) if found else {},
        "error": unread and error_document(unread),
    }


def _print(
    secret: str, view: SecretView, found: History | None, unread: RotatorsError | None, out: Screen
) -> None:
    out.print(_versions(view))
    if view.unlisted:
        out.print(_UNLISTED)
    if found is None:
        cause = unread.cause if unread else ""
        out.print(f"Changes are unknown: CloudTrail could not be read (cloudtrail:LookupEvents): {cause}.")
        out.next("get the permission cloudtrail:LookupEvents, or try again.")
        return
    _print_changes(found, out)
    out.print(_LIMITS)
    out.next(_next(clients.short_id(secret, view.arn), view, found))


def _versions(view: SecretView) -> Table:
    columns = ("version", "stages", Column("created", no_wrap=True), Column("last read", no_wrap=True))
    rows = [
        (
            each.id,
            ", ".join(each.stages) or "(none)",
            _moment(each.created),
            f"{each.accessed:%Y-%m-%d}" if each.accessed else "-",
        )
        for each in view.versions
    ]
    return table(columns, rows, view.name)


def _print_changes(found: History, out: Screen) -> None:
    if found.changes:
        columns = (Column("time (UTC)", no_wrap=True), "change", "by", "what")
        rows = [(_moment(each.time), each.event, _short(each.who), _what(each)) for each in found.changes]
        out.print(table(columns, rows))
    number, reads = len(found.changes), sum(found.reads.values())
    by = f" by {counted(len(found.reads), 'caller')}" if reads else ""
    out.print(f"{counted(number, 'change')} and {counted(reads, 'read')}{by} in {age(found.since)}.")


def _what(change: HistoryEntry) -> Cell:
    if change.error:
        return styled(change.error, "red")
    text = ", ".join(f"{_NAMES.get(name, name)}={_shown(value)}" for name, value in change.request.items())
    return styled(text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …", "")


def _shown(value: object) -> str:
    return _short(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    """Return the last part of an ARN, such as ``user/NAME``, or the beginning of an id."""
    if text.startswith("arn:"):
        return text.rpartition(":")[2]
    return text[:8] if _ID.fullmatch(text) else text


def _moment(time: dt.datetime | None) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}" if time else "-"


def _next(secret: str, view: SecretView, found: History) -> str:
    if view.deleted:
        return f"`rotators restore {secret} --yes` restores the secret."
    if found.changes and found.changes[0].error:
        return f"`rotators doctor {secret}` explains the state of the secret."
    if not found.changes and found.since > view.read_at - KEPT:
        return f"`rotators history {secret} --since 90d` shows older changes."
    return f"`rotators rollback {secret} --version ID` returns to an older version."
