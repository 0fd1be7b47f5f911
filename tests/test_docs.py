"""What the documents say is what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_error_catalogue_is_the_codes_own() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "errors.py"))["page"]()
    assert (ROOT / "docs" / "reference" / "errors.md").read_text() == page + "\n", "run `make docs`"


def _with_tests() -> list[Path]:
    """The tests, and the suites that are shipped."""
    return [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "rotators" / "testing").glob("*.py")]


def test_every_proof_that_the_documents_name_is_a_test() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "explanation" / "proofs.md").read_text())
    tests = "\n".join(path.read_text() for path in _with_tests())
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in tests] == []


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("examples/*/README.md"))),
    *(f"docs/{name}.md" for name in ("architecture", "clients", "proofs", "recovery", "writing-a-rotator")),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_documents_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_variable_in_the_readme_is_read_somewhere() -> None:
    table = (ROOT / "README.md").read_text().split("### Configuration")[1].split("###")[0]
    names = set(re.findall(r"`([A-Z][A-Z_]{5,})`", table))
    source = "\n".join(path.read_text() for path in (ROOT / "rotators").rglob("*.py"))
    assert {name for name in names if name not in source} == set()
