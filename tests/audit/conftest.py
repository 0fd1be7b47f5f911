"""Questions about records that a test makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rotators.audit.questions import Question
from rotators.audit.sources import files
from rotators.audit.table import Coverage, opened
from tests.audit.trail import save


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., tuple[list[dict[str, Any]], Coverage]]:
    """Ask a question about records in one log file; return the rows, and what they are about."""

    def ask(question: Question, *records: object) -> tuple[list[dict[str, Any]], Coverage]:
        path = save(tmp_path / "log.json", *records)
        with opened() as table:
            table.load(files([path]))
            return table.ask(question).rows, table.coverage

    return ask


@pytest.fixture
def rows(told: Any) -> Callable[..., list[dict[str, Any]]]:
    """Ask a question about records in one log file; return the rows."""
    return lambda question, *records: told(question, *records)[0]
