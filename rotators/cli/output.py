"""Output of the commands: tables for people, JSON for machines, and a last line with the next action.

Stages, secret names, server messages and function answers are untrusted. Nothing in them is interpreted: no
markup, no emoji codes, no control characters. Commands print only through this module
(tests/cli/test_untrusted_text.py), so no command has to do this itself.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import textwrap
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.protocol import is_renderable
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from rotators.aws.clients import region_named_by
from rotators.core.visible import is_visible, json_escape, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from rich.console import ConsoleOptions, RenderableType
    from rich.progress import Progress
    from rich.status import Status

    from rotators.aws.views import SecretView
    from rotators.core.errors import RotatorsError

_FORMULAS = ("=", "+", "-", "@")  # first characters of cells that spreadsheets execute
_VIEW = (
    "arn name primary_region rotation_enabled deleted function_arn schedule window last_rotated next_rotation"
)


@dataclass
class OutputForm:
    """The form of a command's output, known as soon as the command's options are read.

    Attributes:
        name: ``text``, or one that an option chose: ``json`` is one JSON document, also about an error.
    """

    name: str = "text"


def _keep(context: click.Context, _: click.Parameter, value: str | bool) -> None:
    form = context.ensure_object(OutputForm)
    if value and form.name != "json":
        form.name = "json" if value is True else str(value)


def _form() -> OutputForm:
    """Return the form of the running command."""
    context = click.get_current_context(silent=True)
    return (context.find_object(OutputForm) if context else None) or OutputForm()


# Read before the other options, so that errors about them have this form too.
_about_form: Any = {"is_eager": True, "expose_value": False, "callback": _keep}
json_option = click.option("--json", is_flag=True, help="Print one JSON document.", **_about_form)


def format_option(*formats: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``-o`` to a command, and ``--json``, which means ``-o json``. The command gets ``output``.

    Args:
        formats: formats of the output; ``table`` is the default, and ``json`` is one of them.

    Returns:
        The decorator of the command.
    """
    choice = click.Choice(formats)

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "-o", "--output", type=choice, default="table", help="Format of the output.", **_about_form
        )
        @json_option
        @wraps(command)
        def formatted(*arguments: Any, **options: Any) -> None:
            command(*arguments, output=_form().name, **options)

        return formatted

    return decorated


class Screen(Console):
    r"""A console that shows strings unchanged, each on one line.

    Every character that is not visible is shown as an escape (see ``rotators.core.visible``). That includes
    a newline, because a newline in a stage would start a line that looks like ours; newlines at the beginning
    of a string are kept. Print several lines with ``print(first, second, sep="\n")``. Use ``styled`` for
    colours. Lines are not wrapped: a terminal does that, and other programs get whole lines.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings, tables and other objects with rich. Nothing in a string is interpreted.

        Args:
            *objects: objects to print; one that rich cannot render is printed as a string.
            **options: options of rich.
        """
        shown = [each if is_renderable(each) else str(each) for each in objects]
        lines = all(isinstance(each, str | Text) for each in shown)
        super().print(*shown, **{"soft_wrap": lines, **options})

    def document(self, document: object) -> None:
        """Print one JSON document, if the form of the output is ``json``.

        Args:
            document: JSON types, and times.
        """
        if self.quiet:
            print_json(document)

    def next(self, action: str) -> None:
        """Print the last line.

        Args:
            action: the next action.
        """
        self.print(f"\nNext: {action}")

    def rest(self, number: int, noun: str = "") -> None:
        """Print that a list is longer than what is shown.

        Args:
            number: number of the elements that are not shown; nothing is printed if there are none.
            noun: name of the elements, in the plural.
        """
        if number > 0:
            more = f"… and {number:,} more {noun}".rstrip()
            self.print(f"{more}; --json shows all.")

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as a text: unchanged, on one line, without markup.

        Args:
            text: string to print.
            **options: ignored.
        """
        return super().render_str(_line(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render an object, with escapes for characters that are not visible.

        Args:
            renderable: string, table or other object.
            options: options of rich.

        Yields:
            Pieces of text with their style.
        """
        # Text objects do not pass through render_str.
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = (visible(line) for line in segment.text.split("\n"))
                yield Segment("\n".join(lines), segment.style)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Show the current activity; use as a context manager.

        Args:
            status: description of the activity.
            **options: options of rich.

        Returns:
            The context manager; the activity is shown until it ends.
        """
        # rich reads a string that is given here as markup, whatever the console's setting.
        return super().status(self.render_str(status) if isinstance(status, str) else status, **options)


def console(*, quiet: bool = False) -> Screen:
    """Return the output for people, on stdout; without colours if stdout is not a terminal.

    If an option chose JSON, it prints only a JSON document. If an option chose another form for programs, it
    prints nothing.

    Args:
        quiet: True to print nothing in any case.
    """
    return Screen(quiet=quiet or _form().name not in {"text", "table"})


Cell = str | Text
"""A cell of a table."""


def table(columns: Iterable[str | Column], rows: Collection[Iterable[Cell]], title: str = "") -> Table:
    """Return a table.

    Args:
        columns: headers; the cells of a column that is only a header are folded where they do not fit.
        rows: cells of each row.
        title: line above the table.
    """
    headers = (each if isinstance(each, Column) else Column(each, overflow="fold") for each in columns)
    made = Table(*headers, title=title or None, title_justify="left")
    for row in rows:
        made.add_row(*row)
    return made


def styled(text: str, style: str) -> Text:
    """Return a text with a rich style such as ``red``.

    Args:
        text: string to print.
        style: style of rich.
    """
    return Text(visible(text), style)


def progress_bars(out: Console) -> Progress:
    """Return progress bars with description, progress and time of each task; removed at the end.

    Args:
        out: console to print on.
    """
    from rich import progress  # noqa: PLC0415 - only one command shows bars

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    return progress.Progress(*columns, console=out, transient=True)


def print_usage_error(error: click.ClickException) -> None:
    """Print click's message about wrong arguments on stderr, and the command that shows the help.

    A command that needs arguments and got none prints its help text instead.

    Args:
        error: error of click.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split())
    end = "" if message.endswith(("?", ".")) else "."
    print_error(f"{message}{end} Next: see `{context.command_path if context else 'rotators'} --help`.")


def print_error(text: str) -> None:
    """Print one line about an error on stderr, after the command's name.

    Args:
        text: description of the error.
    """
    click.echo(f"rotators: {visible(text)}", err=True)


def print_json(document: object) -> None:
    """Print a document with times in ISO 8601; characters that are not visible are JSON escapes.

    Args:
        document: JSON types, and times.
    """
    click.echo(_json(document))


def print_json_line(document: object) -> None:
    """Print a document on one line of ASCII, for programs that read one document per line.

    Args:
        document: JSON types.
    """
    click.echo(json.dumps(document, separators=(",", ":")).replace("\x7f", json_escape("\x7f")))


def error_document(error: RotatorsError) -> dict[str, str]:
    """Return an error in the form of JSON documents.

    Args:
        error: the error.

    Returns:
        ``code``, ``cause`` and ``next``.
    """
    return {"code": error.full_code, "cause": error.cause, "next": error.remedy}


def members(found: object, names: str) -> dict[str, Any]:
    """Return attributes of an object as members of a JSON document.

    Args:
        found: the object.
        names: names of the attributes, in the order of the document, with blanks between them.

    Returns:
        The attributes by name, unchanged.
    """
    return {name: getattr(found, name) for name in names.split()}


def print_json_stream(name: str, items: Iterable[object], rest: Callable[[], Mapping[str, object]]) -> None:
    """Print a document with a long list, item by item, so that it is never in memory as a whole.

    Args:
        name: key of the list.
        items: elements of the list, as `print_json` takes them.
        rest: called after the last element; gives the other members of the document.
    """
    click.echo(f'{{\n  "{name}": [', nl=False)
    separator = ""
    for item in items:
        click.echo(f"{separator}\n{textwrap.indent(_json(item), '    ')}", nl=False)
        separator = ","
    click.echo("\n  ]", nl=False)
    for key, value in rest().items():
        click.echo(f',\n  "{key}": {textwrap.indent(_json(value), "  ").lstrip()}', nl=False)
    click.echo("\n}")


def print_rows(rows: Iterable[Sequence[str]]) -> None:
    """Print rows as CSV, or as lines if each has one cell. Characters that are not visible are escapes.

    A cell of CSV that a spreadsheet would run as a formula begins with an apostrophe.

    Args:
        rows: cells of each row.
    """
    for row in rows:
        text = io.StringIO()
        cells = [visible(cell) for cell in row]
        csv.writer(text, lineterminator="\n").writerow(map(_inert, cells) if len(cells) > 1 else cells)
        click.echo(text.getvalue(), nl=False)


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell


def print_document(text: str) -> None:
    """Print a document for other programs unchanged.

    Args:
        text: the document. Its format has escapes for text from outside.
    """
    click.echo(text, nl=False)


def _json(document: object) -> str:
    text = json.dumps(document, default=_plain, indent=2, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:  # json.dumps has escaped the other control characters
        return text
    return "".join(char if char == "\n" or is_visible(char) else json_escape(char) for char in text)


def _line(text: str) -> str:
    rest = text.lstrip("\n")
    return text[: len(text) - len(rest)] + visible(rest)


def _plain(value: object) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    raise TypeError(type(value).__name__)


def age(moment: dt.datetime | None) -> str:
    """Return the age of a moment in the largest unit that fits: ``12 s``, ``3 min``, ``5 h``, ``40 d``.

    Args:
        moment: time with a zone, or None.
    """
    if moment is None:
        return "-"
    seconds = (dt.datetime.now(dt.UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 secret``, ``20 secrets``.

    Args:
        number: the number.
        noun: in the singular; its plural ends in s.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def step_line(name: str, seconds: float, error: str | None = None) -> tuple[str, Text]:
    """Return the line about a finished step: name, duration and result.

    Args:
        name: name of the step.
        seconds: duration of the step.
        error: None if it succeeded; empty if its message is printed elsewhere.

    Returns:
        The two parts of the line: name with duration, and the coloured result.
    """
    failed = styled(f"failed: {error}" if error else "failed", "red")
    mark = styled("ok", "green") if error is None else failed
    return f"  {name:<46}{seconds * 1000:>7.0f} ms ", mark


def first_rotation(secret: str) -> str:
    """Return the next action for a secret whose rotation was never configured.

    Args:
        secret: its name or ARN.
    """
    return (
        f"turn it on: `aws secretsmanager rotate-secret {aws_options(secret)} --rotation-lambda-arn ARN "
        "--rotation-rules AutomaticallyAfterDays=30`; ARN is the stack's output RotateFunctionArn."
    )


def aws_options(secret: str) -> str:
    """Return the options of the AWS CLI that name a secret; unlike this command, it needs its Region too.

    Args:
        secret: its name or ARN.
    """
    region = region_named_by(secret)
    return f"--secret-id {secret} --region {region}" if region else f"--secret-id {secret}"


def versions_table(view: SecretView, title: str) -> Table:
    """Return a table of a secret's versions and stages.

    Args:
        view: the secret without values.
        title: title of the table.
    """
    columns = (Column("version", no_wrap=True), "stages", Column("age", justify="right"))
    rows = [(each.id[:8], ", ".join(each.stages) or "(none)", age(each.created)) for each in view.versions]
    return table(columns, rows, title)


def view_document(view: SecretView) -> dict[str, Any]:
    """Return a secret's view as JSON types and times.

    Args:
        view: the secret without values.

    Returns:
        The attributes of `SecretView` by name; ``versions`` is a list of objects.
    """
    versions = [members(each, "id stages created") for each in view.versions]
    return members(view, _VIEW) | {"versions": versions}
