"""The report: one HTML file about all secrets, without scripts and without values.

Texts of secrets, tags and messages come from outside; jinja2 escapes them, and characters that are not
visible are shown as escapes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from rotators import __version__
from rotators.aws.failures import LoggedStep, logged_steps
from rotators.aws.views import UNTOLD
from rotators.core.states import Stage
from rotators.core.visible import visible
from rotators.manage.attention import Attention, Urgency, attention
from rotators.manage.failures import failed_rotations_if_readable
from rotators.manage.keys import OWN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jinja2 import Environment

    from rotators.manage.failures import FailedRotations
    from rotators.manage.inventory import Entry
    from rotators.manage.selector import Selector

_STYLE = resources.files("rotators.manage").joinpath("pages", "page.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: its own style sheet, and nothing else."""

_AGES = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (180, "180 days"), (365, "1 year"))
_DUE_DAYS = 30
_TIMELINES = 12
_MOST_ATTENTION = 200
_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass(frozen=True)
class Row:
    """A secret of the report.

    Attributes:
        entry: the secret.
        attention: why it needs attention.
    """

    entry: Entry
    attention: Attention


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
class Timeline:
    """The steps of a recent rotation.

    Attributes:
        name: of the secret.
        steps: the steps, oldest first.
    """

    name: str
    steps: Sequence[LoggedStep]

    @property
    def seconds(self) -> float:
        """Duration of all steps."""
        return sum(step.seconds for step in self.steps)


@dataclass(frozen=True)
class Report:
    """The contents of the page.

    Attributes:
        now: time of the report.
        region: Region of the secrets, and their account.
        account: account of the secrets.
        rows: all secrets, the most urgent first.
        failures_known: False if CloudTrail could not be read.
        timelines: steps of recent rotations.
    """

    now: dt.datetime
    region: str
    account: str
    rows: Sequence[Row]
    failures_known: bool
    timelines: Sequence[Timeline]

    @property
    def urgent(self) -> Sequence[Row]:
        """Secrets that need attention, at most 200."""
        return [row for row in self.rows if row.attention.urgency is not Urgency.NONE][:_MOST_ATTENTION]

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


def collect(entries: Iterable[Entry], failures: FailedRotations | None, now: dt.datetime) -> Report:
    """Collect the contents of the report.

    Args:
        entries: the secrets.
        failures: failed rotations; None if they may not be read.
        now: present time, with a zone.

    Returns:
        The report; its timelines are read from the logs of the rotation functions.

    Raises:
        StoreError: the secrets could not be read.
    """
    rows = [
        Row(entry, attention(entry, failures.last(entry) if failures else None, now)) for entry in entries
    ]
    rows.sort(key=lambda row: (row.attention.urgency, row.entry.name))
    region, account = rows[0].entry.arn.split(":")[3:5] if rows else ("", "")
    return Report(now, region, account, rows, failures is not None, _timelines(rows))


def _timelines(rows: Iterable[Row]) -> list[Timeline]:
    """The newest rotations. Each needs a call, so only some are looked at."""
    rotating = [row.entry for row in rows if row.entry.function_arn]
    newest = sorted(rotating, key=_last_change, reverse=True)[:_TIMELINES]
    return [Timeline(entry.name, steps) for entry in newest if (steps := _steps(entry))]


def _last_change(entry: Entry) -> float:
    moment = entry.changed or entry.created
    return moment.timestamp() if moment else 0.0


def _steps(entry: Entry) -> Sequence[LoggedStep]:
    stages = entry.stages.items()
    token = next((version for version, held in stages if Stage.PENDING in held), None) or next(
        (version for version, held in stages if Stage.CURRENT in held), None
    )
    if token is None or entry.function_arn is None:
        return ()
    try:
        return [step for step in logged_steps(entry.function_arn, token) if step.step in _STEPS]
    except UNTOLD:
        return ()


def current_page(selector: Selector) -> str:
    """List secrets and return the page about them.

    Args:
        selector: the secrets; none may be found.

    Returns:
        The page, see `html`.

    Raises:
        RotatorsError: the secrets could not be read.
    """
    now = dt.datetime.now(dt.UTC)
    selection = selector.select(now)
    found = collect(selection, failed_rotations_if_readable(), now)
    selection.require_complete()
    return html(found)


def html(report: Report) -> str:
    """Return the page.

    Args:
        report: its contents.

    Returns:
        A complete HTML document without scripts, and without references to other files.
    """
    return _templates().get_template("report.html").render(report=report, style=_STYLE, policy=POLICY)


def message(title: str, text: str) -> str:
    """Return a page with a message.

    Args:
        title: its title.
        text: the message.

    Returns:
        A complete HTML document.
    """
    return (
        _templates().get_template("message.html").render(title=title, text=text, style=_STYLE, policy=POLICY)
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only the report needs it

    environment = Environment(
        loader=PackageLoader("rotators.manage", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.globals.update(
        age=_short_age,
        bars=_bars,
        replicas=_replicas,
        versions=_versions,
        Urgency=Urgency,
        OWN_KEY=OWN_KEY,
        version=__version__,
    )
    return environment


def _finalized(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _short_age(moment: dt.datetime | None, now: dt.datetime) -> str:
    if moment is None:
        return "-"
    days = (now - moment).total_seconds() / 86400
    return f"{days:.0f} d" if days >= 1 else f"{days * 24:.0f} h"


def _versions(entry: Entry) -> str:
    """The number of versions, and the stages that are not the usual ones."""
    usual = {Stage.CURRENT, Stage.PREVIOUS}
    others = sorted({stage for held in entry.stages.values() for stage in held} - usual)
    return f"{len(entry.stages)}: {', '.join(others)}" if others else str(len(entry.stages))


def _replicas(entry: Entry) -> str:
    if not entry.replicated:
        return "-"
    return "primary" if entry.primary_region == entry.region else f"of {entry.primary_region}"


def _bars(bars: Sequence[Bar], height: float) -> Sequence[tuple[Bar, float, float]]:
    """Bars with their position and height."""
    most = max((bar.count for bar in bars), default=0) or 1
    return [(bar, number, bar.count / most * height) for number, bar in enumerate(bars)]
