"""Stages, names and messages from outside are shown unchanged; nothing in them is interpreted."""

from __future__ import annotations

import ast
import io
import json
import signal
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.columns import Columns
from rich.table import Table
from rich.text import Text

from rotators.cli import cli, output
from rotators.cli.output import Screen, print_error, print_json, print_rows, progress_bars, styled
from tests.cli.command import command
from tests.world import World, unique

pytestmark = pytest.mark.processes

COMMANDS = Path(__file__).parents[2] / "rotators" / "cli"
HOSTILE = "[/x][bold red]:boom:\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202e\u200b\rNext: nothing\nNext: rm -rf"
SHOWN = r"[/x][bold red]:boom:\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202e\u200b\rNext: nothing\nNext: rm -rf"


def assert_harmless(text: str) -> None:
    """Check that control characters are only the command's newlines, and untrusted text begins no line."""
    found = {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs"}}
    assert found <= {"\n"}, text
    assert not any(line.startswith("Next: rm") for line in text.splitlines()), text


# --- the screen, by itself


def shown(*objects: Any, terminal: bool = False, **options: Any) -> str:
    file = io.StringIO()
    Screen(file=file, width=300, force_terminal=terminal, color_system=None).print(*objects, **options)
    return file.getvalue()


def table(*cells: str) -> Table:
    made = Table(title=cells[0], caption=cells[0])
    made.add_column(cells[0])
    made.add_row(cells[0])
    return made


@pytest.mark.parametrize(
    "printed",
    [HOSTILE, table(HOSTILE), Columns([HOSTILE]), styled(HOSTILE, "red"), ValueError(HOSTILE)],
    ids=["string", "table", "columns", "styled", "object"],
)
def test_printed_texts_are_shown_unchanged(printed: Any) -> None:
    text = shown(printed)
    assert_harmless(text)
    assert r"[/x][bold red]:boom:\x1b[2J" in text


def test_an_uncleaned_text_has_no_control_characters() -> None:
    assert shown(Text("a\x1b[31mb\u202e")) == r"a\x1b[31mb\u202e" + "\n"


def test_markup_cannot_be_switched_on() -> None:
    assert (
        shown("[bold]x[/bold] :boom:", markup=True, emoji=True, highlight=True) == "[bold]x[/bold] :boom:\n"
    )


def test_our_own_lines_and_colours_are_kept() -> None:
    assert shown("\none", "two", sep="\n") == "\none\ntwo\n"
    file = io.StringIO()
    Screen(file=file, force_terminal=True, color_system="standard").print(styled("ok", "green"))
    assert file.getvalue() == "\x1b[32mok\x1b[0m\n"


def test_lines_are_not_wrapped_and_cells_are_complete() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=20)
    screen.print("a " * 30)
    assert file.getvalue() == "a " * 30 + "\n"
    screen.print(output.table(("one", "two"), [("x" * 30, "y" * 30)]))
    assert file.getvalue().count("x") == file.getvalue().count("y") == 30


def test_rules_status_lines_and_bars_are_literal() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=300)
    screen.rule(HOSTILE)
    with screen.status(HOSTILE) as status:
        screen.print(status.renderable)
    with progress_bars(screen) as bars:
        bars.add_task(HOSTILE.replace("\n", ""))
    text = file.getvalue()
    assert text.count("[/x][bold red]") >= 2
    assert_harmless(text)


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(HOSTILE)
    assert capsys.readouterr().err == f"rotators: {SHOWN}\n"


def test_json_keeps_text_and_escapes_invisible_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: HOSTILE, "größe": "\U000e0041\udc80"})
    text = capsys.readouterr().out
    assert_harmless(text)
    assert json.loads(text) == {HOSTILE: HOSTILE, "größe": "\U000e0041\udc80"}
    assert "größe" in text


def test_cells_of_csv_are_not_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("=1+1", "@x", "-2", "+3", "a=b", "'=1")])
    assert capsys.readouterr().out == "'=1+1,'@x,'-2,'+3,a=b,'=1\n"


def test_a_line_of_names_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([["@team/app"]])
    assert capsys.readouterr().out == "@team/app\n"


# --- every command

PLAIN_RICH = {"rich.table", "rich.columns"}
TYPES_ONLY = {"rich.console", "rich.text"}
PRINTING = {"print", "Console", "click.echo", "click.secho", "click.echo_via_pager", "click.style"}
STREAMS = {"sys.stdout.write", "sys.stderr.write", "os.write"}


def printing(path: Path) -> list[str]:
    """Names of the functions other than rotators.cli.output with which a module prints."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING | STREAMS:
            found.append(ast.unparse(node.func))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            found += [name for name in names if name.partition(".")[0] == "rich" and name not in PLAIN_RICH]
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for each in ast.walk(node):
                if isinstance(each, ast.ImportFrom) and each.module in TYPES_ONLY:
                    found.remove(each.module)
    return found


MODULES = [
    path for path in COMMANDS.rglob("*.py") if "example" not in path.parts and path.name != "output.py"
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_commands_print_through_output_only(path: Path) -> None:
    assert printing(path) == []


def test_the_search_finds_direct_output() -> None:
    assert printing(COMMANDS / "output.py")


@pytest.fixture
def hostile_secret(world: World) -> str:
    """A secret with a hostile stage, description and target host, whose rotation fails; its name."""
    name = unique("cli/hostile")
    value = {**world.user(), "host": HOSTILE}
    world.secrets.create_secret(Name=name, SecretString=json.dumps(value), Description=HOSTILE)
    current = next(iter(world.stages(name)))
    world.secrets.update_secret_version_stage(SecretId=name, VersionStage=HOSTILE, MoveToVersionId=current)
    world.aws.enable_rotation(name)
    return name


@pytest.fixture
def hostile_event(tmp_path: Path) -> str:
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"SecretId": HOSTILE, HOSTILE: HOSTILE}))
    return str(file)


DOUBTFUL_ARGUMENTS = {
    "demo": ["demo", HOSTILE],
    "up": ["up", "--port", HOSTILE],
    "invoke": ["invoke", HOSTILE, "{event}"],
    "rotate": ["rotate", "{secret}", "--timeout", "20"],
    "show": ["show", "{secret}"],
    "doctor": ["doctor", "{secret}"],
    "check": ["check", "{secret}"],
    "repair": ["repair", "{secret}"],
    "outputs": ["outputs", "--stack", HOSTILE],
    "new": ["new", HOSTILE],
    "engines": ["engines"],
    "key": ["key", "change", "{secret}", "--from", HOSTILE, "--to", HOSTILE],
    "list": ["list", "{secret}"],
    "tag": ["tag", "{secret}", "--set", f"{HOSTILE}={HOSTILE}"],
    "schedule": ["schedule", "{secret}", "--expression", HOSTILE, "--yes"],
    "replicate": ["replicate", "{secret}", "--to", HOSTILE],
    "unreplicate": ["unreplicate", "{secret}", "--from", HOSTILE],
    "delete": ["delete", HOSTILE],
    "restore": ["restore", HOSTILE],
    "export": ["export", "{secret}"],
    "import": ["import", "{event}", "--format", "vault", "--to", HOSTILE],
    "exec": ["exec", "{secret}", "--map", f"{HOSTILE}={HOSTILE}", "--", HOSTILE],
    "diff": ["diff", "{secret}", HOSTILE],
    "rename": ["rename", "{secret}", HOSTILE],
    "history": ["history", "{secret}", "--since", "90d"],
    "rollback": ["rollback", "{secret}", "--version", HOSTILE],
    "audit": ["audit", "who", "app", "{event}"],
    "access": ["access", "matrix", "{secret}", "--scp", HOSTILE],
    "policy": ["policy", "check", HOSTILE],
    "receipt": ["receipt", "verify", HOSTILE, "--key", "{event}"],
    "report": ["report", "{secret}", "-o", HOSTILE],
    "dashboard": ["dashboard", "--port", HOSTILE],
    "schema": ["schema", HOSTILE],
    "matrix": ["matrix", "--engine", HOSTILE],
    "deploy-local": ["deploy-local", "--template", HOSTILE],
}
"""Arguments with which each command reads hostile text. A new command needs an entry here."""

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)
"""Signals whose handlers a command may set, but not leave behind: this process goes on after it."""

SHOWS_STAGES = {"rotate", "show", "doctor", "history"}


@pytest.mark.parametrize("name", sorted(set(cli.commands) | set(DOUBTFUL_ARGUMENTS)))
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_no_command_interprets_outside_text(
    name: str, form: list[str], hostile_secret: str, hostile_event: str
) -> None:
    filled = [
        part.format(secret=hostile_secret, event=hostile_event) if part.startswith("{") else part
        for part in DOUBTFUL_ARGUMENTS[name]
    ]
    before = [signal.getsignal(number) for number in HANDLED]
    done = command(*filled, *form)
    assert [signal.getsignal(number) for number in HANDLED] == before
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    if name in SHOWS_STAGES and not form:
        assert "[/x][bold" in done.text


def test_a_hostile_name_gives_a_one_line_error() -> None:
    for name in ("show", "rotate", "doctor", "repair"):
        done = command(name, HOSTILE)
        assert done.status == 1
        assert done.stderr.startswith("rotators: ")
        assert done.stderr.count("\n") == 1
        assert_harmless(done.text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["{secret}"],
        ["matrix", "{secret}"],
        ["matrix", "{secret}", "-o", "csv"],
        ["role/rotators-local"],
        ["role/" + HOSTILE],
        ["suggest", "{secret}", "--for", "rotators-local", "--exclusive", "--keep", "arn:" + HOSTILE],
        ["suggest", "{secret}", "--for", HOSTILE],
    ],
    ids=lambda arguments: arguments[0][:10],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_names_in_policies_are_not_interpreted(
    arguments: list[str], form: list[str], hostile_secret: str, world: World
) -> None:
    statement = {
        "Sid": HOSTILE,
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::222222222222:role/{HOSTILE}"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
        "Condition": {"StringEquals": {HOSTILE: HOSTILE}},
    }
    world.secrets.put_resource_policy(
        SecretId=hostile_secret, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": statement})
    )
    filled = [hostile_secret if part == "{secret}" else part for part in arguments]
    done = command("access", *filled, *form)
    world.secrets.delete_resource_policy(SecretId=hostile_secret)
    assert done.text
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
