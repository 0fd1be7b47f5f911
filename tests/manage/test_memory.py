"""The memory of a command does not depend on the number of secrets."""

from __future__ import annotations

import contextlib
import gc
import io
import tracemalloc
from pathlib import Path

import pytest

from rotators.cli import cli
from tests.manage.pages import Pages

FEW, MORE, MANY = 200, 2_000, 100_000

NOISE = 400
"""Bytes per secret; a secret that is kept needs 3,000."""

PLANNED = 2_000
"""Bytes that the plan of a change may need."""

RULES = """
[[rule]]
id = "rotated"
require = { rotation = true, tags = ["owner"] }
"""


class Sink(io.TextIOBase):
    """A stream that keeps only the number of its lines."""

    lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller of the answers of `Pages`; nothing is sent."""
    for name, value in (
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ):
        monkeypatch.setenv(name, value)


def ran(secrets: int, *arguments: str) -> tuple[Pages, int]:
    """The pages that a command got, and the number of lines it printed."""
    sink = Sink()
    with Pages(secrets).serving() as pages, contextlib.redirect_stdout(sink), contextlib.suppress(SystemExit):
        cli.main(list(arguments), prog_name="rotators", standalone_mode=False)
    assert pages.served == secrets // 100
    return pages, sink.lines


def held(secrets: int, *arguments: str) -> tuple[int, int]:
    """The most bytes that a command held when it asked for a page, and the number of lines it printed."""
    gc.freeze()  # collections look at the objects of the command only, here and in later tests
    tracemalloc.start()
    try:
        pages, lines = ran(secrets, *arguments)
    finally:
        tracemalloc.stop()
    return max(pages.held), lines


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy that all secrets break."""
    file = tmp_path / "policy.toml"
    file.write_text(RULES)
    return str(file)


def growth(*arguments: str, secrets: int = MORE) -> tuple[float, int]:
    """Bytes that a command needs for one more secret, and the lines that it prints about many."""
    ran(FEW, *arguments)  # imports
    (few, _), (more, lines) = held(FEW, *arguments), held(secrets, *arguments)
    return (more - few) / (secrets - FEW), lines


@pytest.mark.parametrize("output", ["names", "csv", "json", "table"])
def test_listing_keeps_no_secret_in_memory(output: str) -> None:
    per_secret, lines = growth("list", "-o", output)
    assert per_secret < NOISE
    assert lines > (50 if output == "table" else MORE - 1)


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_policy_check_keeps_no_finding(policy: str, output: str) -> None:
    per_secret, lines = growth("policy", "check", policy, "-o", output)
    assert per_secret < NOISE
    assert lines > (50 if output == "table" else MORE)


def test_a_plan_keeps_changes_without_their_secrets() -> None:
    per_secret, lines = growth("tag", "--all", "--set", "env=prod", secrets=600)
    assert per_secret < PLANNED
    assert lines > 50


class TestManySecrets:
    """In a class, so that another process than that of the other tests can run it."""

    def test_the_last_page_needs_no_more_memory(self) -> None:
        pages, lines = ran(MANY, "list", "-o", "names")
        assert lines == MANY
        early, late = max(pages.blocks[:20]), max(pages.blocks[-20:])
        assert late - early < MANY / 10
