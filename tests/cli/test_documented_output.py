"""The pages show the real output of the commands. UPDATE_DOCS=1 writes it: see tests/cli/documented.py."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from rotators.cli import COMMANDS
from tests.cli.documented import ROOT, SESSION, compare, lines, outputs

pytestmark = pytest.mark.processes

MANAGING = ROOT / "docs" / "how-to" / "managing.md"
OTHERS = {"receipts.md", "recovery.md"}  # with their own states: test_receipt.py, test_recovery_docs.py
PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if page.name not in OTHERS and SESSION.search(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_shows_the_printed_output(page: Path, tmp_path: Path) -> None:
    shown = SESSION.findall(page.read_text(encoding="utf-8"))
    for old, new in zip(shown, outputs(page, tmp_path), strict=True):
        compare(page, old, new)


def test_the_page_shows_every_managing_command() -> None:
    text = MANAGING.read_text(encoding="utf-8")
    shown = {shlex.split(line)[1] for session in SESSION.findall(text) for line in lines(session)}
    others = {
        "audit",
        "check",
        "dashboard",
        "demo",
        "deploy-local",
        "doctor",
        "engines",
        "invoke",
        "matrix",
        "new",
        "outputs",
        "receipt",
        "repair",
        "rotate",
        "schema",
        "show",
        "up",
    }
    assert set(COMMANDS) - shown == others
