"""What every file of the project keeps to, whoever wrote it."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import extras

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

LARGEST_BYTES = 400_000

KEPT_DOT_FOLDERS = {".ci", ".github"}
MADE_FOLDERS = {"__pycache__", "build", "dist", "node_modules"}

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:root|work|home|Users)/[\w.-]+|\b[A-Z]:\\Users\\")
INDEX_OPTION = re.compile(
    r"(?<!no-emit)(?:^|\s)--?(?:extra-)?index-url\b|\btrusted-host\b|--find-links[ =]+\S*://"
)
INDEX_HOST = re.compile(r"https?://[^\s\"')]*(?:/simple\b|pythonhosted\.org|registry\.npmjs\.org)")

LOCKED = re.compile(r"^[a-z0-9][\w.-]*(?:\[[\w,-]+\])?==[\w.!+]+(?: ; .+?)? \\$")


def is_made(folder: Path) -> bool:
    """Whether a folder holds what tools made: caches, builds, environments."""
    name = folder.name
    hidden = name.startswith(".") and name not in KEPT_DOT_FOLDERS
    return hidden or name in MADE_FOLDERS or name.endswith(".egg-info") or (folder / "pyvenv.cfg").exists()


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not is_made(Path(folder, name))]
        yield from (Path(folder, name) for name in names if name != ".coverage")


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


FILES = sorted(files())
MODULES = [path for path in FILES if path.suffix == ".py"]
PUBLIC = [path for path in MODULES if path.relative_to(ROOT).parts[0] in {"rotators", "functions"}]
LOCKS = [path for path in FILES if path.parent.name == "locks" and path.suffix == ".txt"]


def text_of(path: Path) -> str:
    """The file's text; empty for pictures and the like."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_file_names_a_machine_or_an_index(path: Path) -> None:
    named = [
        f"{label(path)}:{number}: {found.group().strip()}"
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        for pattern in (MACHINE_PATH, INDEX_OPTION, INDEX_HOST)
        if path != Path(__file__).resolve() and (found := pattern.search(line))
    ]
    assert not named


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, "open('/home/" + "jo/x')"),
        (INDEX_OPTION, "pip install --index-url x"),
        (INDEX_OPTION, "-r a --extra-index-url x"),
        (INDEX_HOST, "https://mirror.example/pypi/simple/"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, "https://example.com/home/page"),
        (MACHINE_PATH, "/var/task/functions"),
        (INDEX_OPTION, "--no-emit-index-url --no-emit-find-links"),
        (INDEX_HOST, "https://pypi.org/project/rotators/"),
    ],
)
def test_the_patterns_leave_the_rest_alone(pattern: re.Pattern[str], text: str) -> None:
    assert not pattern.search(text)


def test_no_file_is_large() -> None:
    assert not {label(path): size for path in FILES if (size := path.stat().st_size) > LARGEST_BYTES}


def test_there_are_locks() -> None:
    locked = {"build", "dev", "local", "runtime", "sbom", extras.HANDLERS, *extras.drivers()}
    assert {path.stem for path in LOCKS} == locked


def test_lambda_gets_the_versions_that_the_tests_run_with() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "locks" / name).read_text(encoding="utf-8")
        return {line.split()[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)}

    tested = pins("dev.txt")
    for name in ("local", extras.HANDLERS, *extras.drivers()):
        assert pins(f"{name}.txt") <= tested


@pytest.mark.parametrize("path", LOCKS, ids=label)
def test_locks_pin_and_hash_everything(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    odd = [lines[number] for number in starts if not LOCKED.match(lines[number])]
    assert not odd, "neither options nor unpinned names"
    assert all(lines[number + 1].lstrip().startswith("--hash=sha256:") for number in starts)


Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_names(owner: ast.Module | ast.ClassDef) -> Iterator[Named]:
    """Public functions and classes, and the public methods of those classes."""
    for node in owner.body:
        if isinstance(node, Named) and not node.name.startswith("_") and not is_exempt(node, owner):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_names(node)


def is_exempt(node: Named, owner: ast.Module | ast.ClassDef) -> bool:
    """Whether another docstring speaks for it: the overridden method's, or the class's list of attributes."""
    last = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    listed = "property" in last and f"{node.name}:" in (ast.get_docstring(owner) or "")
    return listed or bool(last & {"overload", "override", "setter"})


@pytest.mark.parametrize("path", PUBLIC, ids=label)
def test_whatever_is_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        f"{label(path)}:{node.lineno} {node.name}"
        for node in public_names(tree)
        if not ast.get_docstring(node)
    ]
    assert not silent
    if tree.body:
        assert ast.get_docstring(tree), f"{label(path)} has no header"
