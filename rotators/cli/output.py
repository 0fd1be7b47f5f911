"""How the commands speak: tables for people, JSON for machines, and a last line that says what to do next."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rotators.aws.views import SecretView

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, for machines."
)


def console() -> Console:
    """Where people read: stdout, without colours when it is no terminal."""
    return Console(highlight=False, emoji=False)


def print_json(document: object) -> None:
    """Print a document with times in ISO 8601."""
    click.echo(json.dumps(document, default=_plain, indent=2))


def _plain(value: object) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    raise TypeError(type(value).__name__)


def age(moment: dt.datetime | None) -> str:
    """How long ago, in the largest unit that fits: ``12 s``, ``3 min``, ``5 h``, ``40 d``."""
    if moment is None:
        return "-"
    seconds = (dt.datetime.now(dt.UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def versions_table(view: SecretView, title: str) -> Table:
    """A secret's versions and stages."""
    table = Table(title=title, title_justify="left")
    table.add_column("version", no_wrap=True)
    table.add_column("stages", overflow="fold")
    table.add_column("age", justify="right")
    for version in view.versions:
        table.add_row(version.id[:8], ", ".join(version.stages) or "(none)", age(version.created))
    return table


def view_document(view: SecretView) -> dict[str, Any]:
    """A secret's view for machines."""
    return {
        "arn": view.arn,
        "name": view.name,
        "rotation_enabled": view.rotation_enabled,
        "deleted": view.deleted,
        "function_arn": view.function_arn,
        "schedule": view.schedule,
        "window": view.window,
        "last_rotated": view.last_rotated,
        "next_rotation": view.next_rotation,
        "versions": [
            {"id": version.id, "stages": list(version.stages), "created": version.created}
            for version in view.versions
        ],
    }
