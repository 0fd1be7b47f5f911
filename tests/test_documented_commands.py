"""Every documented command can be pasted into bash, and all names in it exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from rotators.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "sh")
TOOLS = {
    "aws",
    "cd",
    "curl",
    "docker",
    "eval",
    "make",
    "pip",
    "rotators",
    "sam",
    "terraform",
    ".venv-sam/bin/sam",
}
PLACEHOLDER = re.compile(r"(?<!<)<[A-Za-z][^>\n]*>|…")
# Words of the shell that may stand before a command.
PREFIXES = {"do", "then", "else", "{", "!", "export"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Each fenced block of a page, as its language and its text."""
    return [(language, text) for _, language, text in FENCE.findall(page.read_text())]


def scripts() -> list[Any]:
    found = [
        pytest.param(text, id=f"{page.relative_to(ROOT)}:{number}")
        for page in PAGES
        for number, (language, text) in enumerate(blocks(page))
        if language in SHELLS
    ]
    assert len(found) > 15
    return found


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a script, including those inside ``$(…)``, as words without their quotes."""
    script = re.sub(r"(^|\s)#[^\n]*", "", script.replace("\\\n", " "))
    for inner in re.findall(r"\$\(([^()]*)\)", script):
        yield from commands(inner)
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";|&()\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word.strip(" \n;|&()") == "":
            if words:
                yield words
            words = []
        elif words or not (word in PREFIXES or re.match(r"[A-Za-z_]\w*=", word)):
            words.append(word)


def of_tool(*names: str) -> list[Any]:
    """The commands of all pages that call a tool, as test parameters."""
    found = [words for script in scripts() for words in commands(script.values[0]) if words[0] in names]
    assert found, names
    return [pytest.param(words, id=" ".join(words)[:80]) for words in found]


@pytest.mark.processes
@pytest.mark.parametrize("script", scripts())
def test_bash_parses_a_documented_script(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", scripts())
def test_a_documented_script_has_no_placeholder(script: str) -> None:
    assert PLACEHOLDER.findall(script) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_in_blocks_marked_as_bash(page: Path) -> None:
    unmarked = [
        line
        for language, text in blocks(page)
        if not language
        for line in text.splitlines()
        if line.strip().split(" ")[0] in TOOLS
    ]
    assert unmarked == []


def spans() -> Iterator[list[str]]:
    """The commands that a page names within a sentence."""
    for page in PAGES:
        prose = FENCE.sub("", page.read_text())
        yield from (
            shlex.split(span) for span in re.findall(r"`(rotators [a-z][^`]*)`", prose) if "'" not in span
        )


@pytest.mark.parametrize("words", [*of_tool("rotators"), *spans()], ids=lambda words: " ".join(words)[:80])
def test_a_documented_command_exists_with_its_options(words: list[str]) -> None:
    if words[1].startswith("-"):
        return
    in_sentence = words in list(spans())
    command = cli.commands[words[1]]
    if isinstance(command, click.Group):
        name, found, rest = command.resolve_command(click.Context(command), words[2:])
        assert found is not None
        command, words = found, [words[1], str(name), *rest]
    known = {option for param in command.params for option in param.opts} | {"--help"}
    given = [word.split("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
    assert [option for option in given if option not in known] == []
    arguments = [param for param in command.params if isinstance(param, click.Argument) and param.required]
    assert len(words) - 2 - len(given) >= len(arguments) or in_sentence


@pytest.mark.parametrize("words", of_tool("make"))
def test_a_documented_make_target_exists(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words[1:] if "=" not in word} <= targets


@cache
def driver() -> Any:
    # The import takes a second, and few tests need it; the package has no types.
    from awscli.clidriver import create_clidriver  # type: ignore[import-untyped]  # noqa: PLC0415

    return create_clidriver()


@pytest.mark.parametrize("words", of_tool("aws"))
def test_the_aws_cli_takes_a_documented_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in words:
        if re.match(r"fileb?://", word):
            # An empty archive: the CLI needs one for fileb. For file, any content works.
            Path(word.split("://")[1]).write_bytes(b"PK\x05\x06" + bytes(18))
    if "--profile" in words:  # no profile is configured here
        at = words.index("--profile")
        words = words[:at] + words[at + 2 :]
    # The CLI has skeletons for operations of the API only.
    if words[1] == "s3" or words[2] in ("deploy", "wait"):
        return
    if ">" in words:  # the shell takes the rest
        words = words[: words.index(">")]
    # With a skeleton option, the CLI parses the words and makes no call.
    status = driver().main([*words[1:], "--generate-cli-skeleton", "input"])
    assert (status, capsys.readouterr().err) == (0, "")


@pytest.mark.parametrize("words", of_tool("sam", ".venv-sam/bin/sam"))
def test_documented_parameters_are_the_template_s(words: list[str]) -> None:
    if "--parameter-overrides" not in words:
        return
    file = words[words.index("--template-file") + 1] if "--template-file" in words else "template.yaml"
    if not (ROOT / file).exists() or "$" in file:  # a released template, which has the same parameters
        file = "template.yaml"
    section = (ROOT / file).read_text().split("\nParameters:\n")[1]
    known = set(re.findall(r"^  (\w+):", re.split(r"^\w", section, flags=re.MULTILINE)[0], re.MULTILINE))
    rest = words[words.index("--parameter-overrides") + 1 :]
    given = {word.split("=")[0] for word in rest if re.match(r"\w+=", word)}
    assert given
    assert given <= known
