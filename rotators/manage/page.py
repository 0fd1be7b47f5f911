"""The report as one HTML file, without scripts and without values.

Texts of secrets, tags and messages are untrusted. jinja2 escapes them, and invisible characters are shown as
escapes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from rotators import __version__
from rotators.aws.secrets import Version
from rotators.core.states import Stage
from rotators.core.visible import visible
from rotators.manage.attention import Urgency
from rotators.manage.details import IN_SYNC, MOST_REPLICATED, MOST_VERSIONS, Details, read_details
from rotators.manage.inventory import Entry
from rotators.manage.keys import OWN_KEY
from rotators.manage.report import Bar, InventoryReport, current_report
from rotators.manage.selector import Selector

if TYPE_CHECKING:
    from jinja2 import Environment

_STYLE = resources.files("rotators.manage").joinpath("pages", "page.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: its own style sheet, and nothing else."""

_DEFAULT_KEY = "DefaultEncryptionKey"
"""The name of `OWN_KEY` in the answer of ListSecretVersionIds."""

_MOST_OLD_VERSIONS = 3


def current_page(selector: Selector) -> str:
    """List secrets and return the page about them.

    Args:
        selector: the secrets; the result may be empty.

    Returns:
        The page, see `html`.

    Raises:
        RotatorsError: the secrets could not be read.
    """
    found = current_report(selector)
    return html(found, read_details(found.rows))


def html(report: InventoryReport, details: Details) -> str:
    """Return the page.

    Args:
        report: its contents.
        details: details of some of the secrets.

    Returns:
        A complete HTML document without scripts, and without references to other files.
    """
    return rendered("report.html", report=report, details=details, style=_STYLE, policy=POLICY)


def message(title: str, text: str) -> str:
    """Return a page with a message.

    Args:
        title: its title.
        text: the message.

    Returns:
        A complete HTML document.
    """
    return rendered("message.html", title=title, text=text, style=_STYLE, policy=POLICY)


def rendered(template: str, **names: object) -> str:
    """Return a page; texts are escaped, and characters that are not visible are shown as escapes.

    Args:
        template: name of a file in the folder `pages`.
        names: the variables of the template.
    """
    return _templates().get_template(template).render(names)


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
        age=_age,
        bars=_bars,
        cause=_cause,
        duration=_duration,
        key=_key,
        replica=_replica,
        shown=_shown,
        summary=_summary,
        utc=_utc,
        version=__version__,
        Urgency=Urgency,
        IN_SYNC=IN_SYNC,
        MOST_REPLICATED=MOST_REPLICATED,
        MOST_VERSIONS=MOST_VERSIONS,
        OWN_KEY=OWN_KEY,
    )
    return environment


def _finalized(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)  # botocore returns times in the time zone of this machine


def _age(moment: dt.datetime | None, now: dt.datetime) -> str:
    if moment is None:
        return "-"
    hours = (now - moment).total_seconds() / 3600
    if hours < 1:
        return "< 1 h"
    return f"{hours:.0f} h" if hours < 24 else f"{hours / 24:.0f} d"  # noqa: PLR2004


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004


def _cause(message: str) -> tuple[str, str]:
    """Code and cause, and the remedy, in the text of an error (`RotatorsError`)."""
    cause, _, remedy = message.partition(" Next: ")
    return cause, remedy


def _summary(entry: Entry) -> str:
    """Return the number of versions, and the stages that are not the usual ones."""
    usual = {Stage.CURRENT, Stage.PREVIOUS}
    others = sorted({stage for held in entry.stages.values() for stage in held} - usual)
    return f"{len(entry.stages)}: {', '.join(others)}" if others else str(len(entry.stages))


def _shown(versions: Sequence[Version]) -> Sequence[Version]:
    """Return the versions with a stage, and some of the others; a secret may have a hundred of those."""
    old = [version for version in versions if not version.stages]
    return [version for version in versions if version.stages or version in old[:_MOST_OLD_VERSIONS]]


def _key(name: str, numbers: Mapping[str, int]) -> str:
    """Return a key as its number in the table of keys, if the table has it."""
    name = OWN_KEY if name == _DEFAULT_KEY else name
    return f"key {numbers[name]}" if name in numbers else name


def _replica(entry: Entry) -> str:
    if not entry.replicated:
        return "-"
    return "primary" if entry.is_primary else f"of {entry.primary_region}"


def _bars(bars: Sequence[Bar], height: float) -> Sequence[tuple[Bar, float, float]]:
    """Bars with their position and height."""
    most = max((bar.count for bar in bars), default=0) or 1
    return [(bar, number, bar.count / most * height) for number, bar in enumerate(bars)]
