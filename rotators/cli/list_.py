"""`rotators list`: the secrets that meet conditions, those that need attention first; never a value."""

from __future__ import annotations

import datetime as dt
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import click

from rotators.cli.output import (
    age,
    console,
    counted,
    format_option,
    print_error,
    print_json_stream,
    print_rows,
    styled,
    table,
)
from rotators.cli.selecting import not_empty, selector_options
from rotators.cli.stopping import exit_unless
from rotators.manage.attention import Attention, Urgency, attention
from rotators.manage.failures import FailedRotations, failed_rotations_if_readable
from rotators.manage.inventory import Entry
from rotators.manage.selector import Selection, Selector

_FAILURES_UNKNOWN = "Failed rotations are unknown: CloudTrail could not be read (cloudtrail:LookupEvents)."


@dataclass
class _Listing:
    """The secrets as they are listed, with their attention and counts.

    Attributes:
        selection: the secrets.
        failures: failed rotations; None if they may not be read.
        now: time of the listing.
        counts: number of secrets by urgency; complete after the iteration.
    """

    selection: Selection
    failures: FailedRotations | None
    now: dt.datetime
    counts: Counter[Urgency] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Read the first secret, so that nothing is printed if there is none."""
        self._entries = not_empty(self.selection, self.selection)

    def __iter__(self) -> Iterator[tuple[Entry, Attention]]:
        for entry in self._entries:
            found = attention(entry, self.failures.last(entry) if self.failures else None, self.now)
            self.counts[found.urgency] += 1
            yield entry, found

    @property
    def needing(self) -> int:
        """Number of secrets that need attention."""
        return self.counts.total() - self.counts[Urgency.NONE]


@click.command("list")
@selector_options
@click.option("--deleted", is_flag=True, help="Also list secrets that are scheduled for deletion.")
@format_option("table", "json", "names", "csv")
@click.option("--limit", type=click.IntRange(1), default=50, help="Rows of the table (default: 50).")
def list_(selector: Selector, output: str, limit: int) -> None:
    """List secrets, without reading their values; those that need attention come first.

    Name SECRETs, or give conditions. A secret must meet all conditions. If a condition has several values, it
    must match one of them. A ! before a value negates it. A - reads names from standard input. The formats
    json, names and csv contain every secret, in the order of Secrets Manager. Exit status 1 means that no
    secret was found, or that a secret could not be read.
    """
    now = dt.datetime.now(dt.UTC)
    failures = None if output == "names" else failed_rotations_if_readable()
    with console().status("listing secrets …"):
        listing = _Listing(selector.select(now), failures, now)
        _PRINTERS[output](listing, limit)
    if failures is None and output == "csv":  # other conditions that need them report the error
        print_error(_FAILURES_UNKNOWN)
    if output in {"names", "csv"}:
        listing.selection.require_complete()
    exit_unless(not listing.selection.unread)  # the other formats have shown these


def document(entry: Entry, found: Attention) -> dict[str, Any]:
    """Return a secret as JSON types and times.

    Args:
        entry: the secret.
        found: reason why it needs attention.

    Returns:
        The attributes of `Entry` by name, with ``attention``, ``reason`` and ``next``.
    """
    return {
        # asdict copies each value deeply, which takes most of the time of a long listing.
        **{each.name: getattr(entry, each.name) for each in fields(entry)},
        "attention": found.urgency.name.lower(),
        "reason": found.reason,
        "next": found.next,
    }


def _print_json(listing: _Listing, _limit: int) -> None:
    print_json_stream("secrets", (document(*each) for each in listing), lambda: _summary(listing))


def _summary(listing: _Listing) -> dict[str, Any]:
    return {
        "count": listing.counts.total(),
        "needing_attention": listing.needing,
        "failures_known": listing.failures is not None,
        "unread": [{"name": name, "code": error.full_code} for name, error in listing.selection.unread],
    }


def _print_names(listing: _Listing, _limit: int) -> None:
    print_rows([entry.name] for entry, _ in listing)


_COLUMNS = ("name", "arn", "rotated", "changed", "accessed", "next_rotation", "schedule", "key", "engine")


def _print_csv(listing: _Listing, _limit: int) -> None:
    print_rows([("attention", *_COLUMNS, "reason")])
    for entry, found in listing:
        cells = (getattr(entry, column) for column in _COLUMNS)
        print_rows([(found.urgency.name.lower(), *map(_cell, cells), found.reason)])


def _cell(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return "" if value is None else str(value)


def _print_table(listing: _Listing, limit: int) -> None:
    urgent = heapq.nsmallest(limit, listing, key=lambda each: (each[1].urgency, each[0].name))
    rows = [
        (
            entry.name,
            age(entry.value_since),
            _rotation(entry),
            f"{entry.next_rotation:%Y-%m-%d}" if entry.next_rotation else "-",
            f"{entry.accessed:%Y-%m-%d}" if entry.accessed else "never",
            styled(found.reason, "red") if found.urgency <= Urgency.OVERDUE else found.reason,
        )
        for entry, found in urgent
    ]
    out = console()
    out.print(table(("secret", "age", "rotation", "next", "last read", "attention"), rows))
    if listing.failures is None:
        out.print(_FAILURES_UNKNOWN)
    for name, error in listing.selection.unread:
        out.print(f"{name}: not listed, because it could not be read [{error.full_code}].")
    total = counted(listing.counts.total(), "secret")
    out.print(f"{len(urgent)} of {total}; {listing.needing} needing attention.")
    entry, found = urgent[0]
    shows = f"nothing needs attention; `rotators show {entry.id}` shows its versions."
    out.next(f"{found.next}; this secret is the most urgent one." if found.next else shows)


def _rotation(entry: Entry) -> str:
    if entry.owner:
        return f"by {entry.owner}"
    return entry.schedule or "on" if entry.rotation_enabled else "off"


_PRINTERS: dict[str, Callable[[_Listing, int], None]] = {
    "table": _print_table,
    "json": _print_json,
    "names": _print_names,
    "csv": _print_csv,
}
