"""How the commands speak: tables for people, JSON for machines, and a last line that says what to do next.

Labels, secret names, server messages and function answers come from outside. Nothing in them is interpreted:
no markup, no emoji codes, no control characters. Commands print through this module only
(tests/cli/test_untrusted_text.py), so no command has to think of it.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.protocol import is_renderable
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rotators.core.visible import is_visible, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderableType
    from rich.progress import Progress
    from rich.status import Status

    from rotators.aws.views import SecretView

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, for machines."
)


class Screen(Console):
    r"""A console that shows strings as they are, each on one line.

    Every character that is not visible is shown as an escape (see ``rotators.core.visible``). That includes
    a newline, because a newline in a label would start a line that looks like ours; newlines at the beginning
    of a string are kept. Print several lines with ``print(first, second, sep="\n")``. Use ``styled`` for
    colours.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings, tables and other objects as rich does, but nothing in a string is interpreted."""
        super().print(*(each if is_renderable(each) else str(each) for each in objects), **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into a text: as it is, on one line, without markup."""
        return super().render_str(_line(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render anything, with escapes for what is not visible."""
        # Text objects do not pass through render_str.
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = (visible(line) for line in segment.text.split("\n"))
                yield Segment("\n".join(lines), segment.style)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Show what is being done; as a context manager."""
        # rich reads a string that is given here as markup, whatever the console's setting.
        return super().status(self.render_str(status) if isinstance(status, str) else status, **options)


def console() -> Screen:
    """What people read, on stdout; without colours when stdout is not a terminal."""
    return Screen()


def styled(text: str, style: str) -> Text:
    """A text with a rich style such as ``red``."""
    return Text(visible(text), style)


def progress_bars(out: Console) -> Progress:
    """A bar for each task: its description, how much is done, the time; removed at the end."""
    from rich import progress  # noqa: PLC0415 - only one command shows bars

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    return progress.Progress(*columns, console=out, transient=True)


def print_usage_error(error: click.ClickException) -> None:
    """Print on stderr what click says about wrong arguments, and where to read the right ones.

    A command that needs arguments and got none prints its help text instead.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split())
    end = "" if message.endswith(("?", ".")) else "."
    print_error(f"{message}{end} Next: see `{context.command_path if context else 'rotators'} --help`.")


def print_error(text: str) -> None:
    """Print one line about an error on stderr, after the command's name."""
    click.echo(f"rotators: {visible(text)}", err=True)


def print_json(document: object) -> None:
    """Print a document with times in ISO 8601; characters that are not visible are JSON escapes."""
    text = json.dumps(document, default=_plain, indent=2, ensure_ascii=False)
    click.echo("".join(char if char == "\n" or is_visible(char) else _json_escape(char) for char in text))


def _line(text: str) -> str:
    rest = text.lstrip("\n")
    return text[: len(text) - len(rest)] + visible(rest)


def _json_escape(character: str) -> str:
    # json.dumps leaves DEL as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


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


def step_line(name: str, seconds: float, error: str | None = None) -> tuple[str, Text]:
    """What to print about a finished step: its name, its duration, and how it ended.

    Args:
        name: of the step.
        seconds: how long it took.
        error: None if it succeeded; empty if its message is printed elsewhere.
    """
    failed = styled(f"failed: {error}" if error else "failed", "red")
    mark = styled("ok", "green") if error is None else failed
    return f"  {name:<46}{seconds * 1000:>7.0f} ms ", mark


def first_rotation(name: str) -> str:
    """How to turn on rotation for a secret that never had it."""
    return (
        f"turn it on: `aws secretsmanager rotate-secret --secret-id {name} --rotation-lambda-arn ARN "
        "--rotation-rules AutomaticallyAfterDays=30`; ARN is the stack's output RotateFunctionArn."
    )


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
        "primary_region": view.primary_region,
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
