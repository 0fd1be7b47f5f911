"""The contents of the report about all secrets, from the listing."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rotators.aws.views import FailedRotation
from rotators.manage.attention import Attention, Urgency, attention
from rotators.manage.failures import FailedRotations, failed_rotations_if_readable
from rotators.manage.inventory import Entry
from rotators.manage.keys import OWN_KEY
from rotators.manage.selector import Selector

_AGES = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (180, "180 days"), (365, "1 year"))
_DUE_DAYS = 30
_MOST_ROWS = 200


@dataclass(frozen=True)
class Row:
    """A secret of the report.

    Attributes:
        entry: the secret.
        attention: reason why it needs attention.
        failure: its last rotation, if that failed.
    """

    entry: Entry
    attention: Attention
    failure: FailedRotation | None


@dataclass(frozen=True)
class Bar:
    """A bar of a chart.

    Attributes:
        label: below the bar; may be empty.
        title: description of the bar.
        count: number of secrets.
    """

    label: str
    title: str
    count: int


@dataclass(frozen=True)
class InventoryReport:
    """The contents of the page.

    Attributes:
        now: time of the report.
        region: Region of the secrets, and their account.
        account: account of the secrets.
        rows: all secrets, the most urgent first.
        failures_known: False if CloudTrail could not be read, or not all of it.
        complete: False if there are more secrets than `rows`.
    """

    now: dt.datetime
    region: str
    account: str
    rows: Sequence[Row]
    failures_known: bool
    complete: bool = True

    @property
    def urgent(self) -> Sequence[Row]:
        """Secrets that need attention, at most 200."""
        return [row for row in self.rows if row.attention.urgency is not Urgency.NONE][:_MOST_ROWS]

    @property
    def failures(self) -> Sequence[Row]:
        """Secrets whose last rotation failed, the newest failure first, at most 200."""
        failed = [row for row in self.rows if row.attention.urgency is Urgency.FAILED]
        return sorted(failed, key=_failed_at, reverse=True)[:_MOST_ROWS]

    @property
    def rotating(self) -> int:
        """Number of secrets whose rotation is on."""
        return sum(row.entry.rotation_enabled for row in self.rows)

    @property
    def counts(self) -> Counter[Urgency]:
        """Number of secrets by urgency."""
        return Counter(row.attention.urgency for row in self.rows)

    @property
    def ages(self) -> Sequence[Bar]:
        """Number of secrets by the age of their value."""
        found = Counter(self._age(row.entry) for row in self.rows)
        labels = [f"≤ {label}" for _, label in _AGES] + ["older", "unknown"]
        return [Bar(label, f"value {label}", found[number]) for number, label in enumerate(labels)]

    @property
    def due(self) -> Sequence[Bar]:
        """Number of rotations that are due on each of the next 30 days."""
        today = self.now.date()
        found = Counter(
            (row.entry.next_rotation.date() - today).days
            for row in self.rows
            if row.entry.rotation_enabled and row.entry.next_rotation is not None
        )
        days = [today + dt.timedelta(days=number) for number in range(_DUE_DAYS)]
        return [
            Bar(f"{day:%d %b}" if number % 7 == 0 else "", f"{day:%Y-%m-%d}", found[number])
            for number, day in enumerate(days)
        ]

    @property
    def keys(self) -> Sequence[tuple[str, int]]:
        """KMS keys and the number of secrets under each, the most used first."""
        return Counter(row.entry.key or OWN_KEY for row in self.rows).most_common()

    @property
    def key_numbers(self) -> Mapping[str, int]:
        """KMS keys and their numbers in the table of keys, because their ARNs are long."""
        return {key: number for number, (key, _) in enumerate(self.keys, 1)}

    def _age(self, entry: Entry) -> int:
        since = entry.value_since
        if since is None:
            return len(_AGES) + 1
        days = (self.now - since).total_seconds() / 86400
        return next((number for number, (most, _) in enumerate(_AGES) if days <= most), len(_AGES))


def current_report(selector: Selector) -> InventoryReport:
    """List secrets for a report.

    Args:
        selector: the secrets; the result may be empty.

    Returns:
        The report, see `collect`.

    Raises:
        RotatorsError: the secrets could not be read.
    """
    now = dt.datetime.now(dt.UTC)
    selection = selector.select(now)
    found = collect(selection, failed_rotations_if_readable(), now)
    selection.require_complete()
    return found


def collect(entries: Iterable[Entry], failures: FailedRotations | None, now: dt.datetime) -> InventoryReport:
    """Collect the contents of the report.

    Args:
        entries: the secrets.
        failures: failed rotations; None if they may not be read.
        now: present time, with a zone.

    Returns:
        The report.

    Raises:
        StoreError: the secrets could not be read.
    """
    found = ((entry, failures.last(entry) if failures else None) for entry in entries)
    rows = [Row(entry, attention(entry, failure, now), failure) for entry, failure in found]
    rows.sort(key=lambda row: (row.attention.urgency, row.entry.name))
    region, account = rows[0].entry.arn.split(":")[3:5] if rows else ("", "")
    return InventoryReport(now, region, account, rows, failures is not None)


def _failed_at(row: Row) -> float:
    return row.failure.time.timestamp() if row.failure else 0.0
