"""The documentation matches the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]


def test_the_error_catalogue_is_the_codes_own() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "errors.py"))["page"]()
    assert (ROOT / "docs" / "reference" / "errors.md").read_text() == page + "\n", "run `make docs`"


def _with_tests() -> list[Path]:
    """The modules of the tests and of the conformance kit."""
    return [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "rotators" / "testing").glob("*.py")]


def test_every_proof_in_the_documents_is_a_test() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "explanation" / "proofs.md").read_text())
    tests = "\n".join(path.read_text() for path in _with_tests())
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in tests] == []


PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted(ROOT.glob("examples/*/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]


def _anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes from a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for path, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not fragment or fragment in _anchors(target), f"{path}#{fragment}"


def test_the_index_lists_every_page() -> None:
    folder = ROOT / "docs"
    listed = re.findall(r"\]\(([a-z][^)#]*\.md)\)", (folder / "README.md").read_text())
    pages = {str(path.relative_to(folder)) for path in folder.rglob("*.md")} - {"README.md"}
    assert sorted(listed) == sorted(pages)


def test_every_page_that_the_code_names_exists() -> None:
    sources = [
        *(path for name in ("rotators", "functions", "artifact") for path in (ROOT / name).rglob("*.py")),
        *(ROOT / name for name in ("template.yaml", "Makefile", "pyproject.toml")),
    ]
    named = {name for path in sources for name in re.findall(r"\bdocs/[\w/-]+\.\w+", path.read_text())}
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_picture_shows_a_whole_rotation() -> None:
    drawing = ET.parse(ROOT / "docs" / "images" / "demo.svg")  # noqa: S314 - a file of this project
    shown = " ".join("".join(drawing.getroot().itertext()).replace("\xa0", " ").split())
    for part in ("createSecret", "setSecret", "testSecret", "finishSecret", "refused", "accepted"):
        assert part in shown


def test_the_picture_is_the_screen_at_the_end() -> None:
    screen = runpy.run_path(str(ROOT / "docs" / "picture.py"))["screen"]
    spinner = "\x1b[?25l⠋ waiting\r\x1b[2K⠙ waiting\n\r\x1b[1A\x1b[2K"
    assert screen(f"{spinner}\x1b[32mdone\x1b[0m\n{spinner}end\n") == "\x1b[32mdone\x1b[0m\nend"


def test_every_documented_variable_is_read() -> None:
    table = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    names = set(re.findall(r"`([A-Z][A-Z_]{5,})`", table))
    source = "\n".join(path.read_text() for path in (ROOT / "rotators").rglob("*.py"))
    assert {name for name in names if name not in source} == set()


def test_the_glossary_is_in_alphabetical_order() -> None:
    page = (ROOT / "docs" / "reference" / "glossary.md").read_text()
    terms = [term.lower() for term in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)][1:]
    assert terms == sorted(terms)
