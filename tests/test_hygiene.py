"""Rules for all files of the project."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import extras

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

LARGEST_BYTES = 400_000
MOST_WORDS = 8
"""Largest number of words in the name of a test, after ``test_``."""

KEPT_DOT_FOLDERS = {".ci", ".github"}
MADE_FOLDERS = {"__pycache__", "build", "dist", "mutants", "node_modules"}

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:root|work|home|Users)/[\w.-]+|\b[A-Z]:\\Users\\")
INDEX_OPTION = re.compile(
    r"(?<!no-emit)(?:^|\s)--?(?:extra-)?index-url\b|\btrusted-host\b|--find-links[ =]+\S*://", re.MULTILINE
)
INDEX_HOST = re.compile(r"https?://[^\s\"')]*(?:/simple\b|pythonhosted\.org|registry\.npmjs\.org)")

LOCKED = re.compile(r"^[a-z0-9][\w.-]*(?:\[[\w,-]+\])?==[\w.!+]+(?: ; .+?)? \\$")


def is_made(folder: Path) -> bool:
    """True if tools created the folder: a cache, a build, an environment."""
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
    """The file's text; empty for binary files such as pictures."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_machine_or_an_index() -> None:
    assert not [
        f"{label(path)}:{len(text[: found.start()].splitlines())}: {found.group().strip()}"
        for path in FILES
        if path != Path(__file__).resolve()
        for text in [text_of(path)]
        for pattern in (MACHINE_PATH, INDEX_OPTION, INDEX_HOST)
        if (found := pattern.search(text))
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, "open('/home/" + "jo/x')"),
        (INDEX_OPTION, "pip install --index-url x"),
        (INDEX_OPTION, "-r a --extra-index-url x"),
        (INDEX_HOST, "https://mirror.example/pypi/simple/"),
    ],
)
def test_the_patterns_find_forbidden_text(pattern: re.Pattern[str], text: str) -> None:
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
def test_the_patterns_find_nothing_else(pattern: re.Pattern[str], text: str) -> None:
    assert not pattern.search(text)


def test_no_file_is_large() -> None:
    assert not {label(path): size for path in FILES if (size := path.stat().st_size) > LARGEST_BYTES}


def test_names_of_tests_are_short() -> None:
    names = [name for path in MODULES for name in re.findall(r"\bdef (test_\w+)", text_of(path))]
    assert names
    assert not [name for name in names if name.count("_") > MOST_WORDS]


def test_there_are_locks() -> None:
    locked = {"build", "dev", "local", "runtime", "sbom", "uv", extras.HANDLERS, *extras.drivers()}
    assert {path.stem for path in LOCKS} == locked


def test_lambda_gets_the_tested_versions() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "locks" / name).read_text(encoding="utf-8")
        return {line.split()[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)}

    tested = pins("dev.txt")
    for name in ("local", extras.HANDLERS, *extras.drivers()):
        assert pins(f"{name}.txt") <= tested


def test_locks_pin_and_hash_everything() -> None:
    for path in LOCKS:
        lines = path.read_text(encoding="utf-8").splitlines()
        starts = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
        odd = [lines[number] for number in starts if not LOCKED.match(lines[number])]
        assert not odd, "neither options nor unpinned names"
        assert all(lines[number + 1].lstrip().startswith("--hash=sha256:") for number in starts), path


Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_names(owner: ast.Module | ast.ClassDef) -> Iterator[Named]:
    """Public functions and classes, and the public methods of those classes."""
    for node in owner.body:
        if isinstance(node, Named) and not node.name.startswith("_") and not is_exempt(node, owner):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_names(node)


def is_exempt(node: Named, owner: ast.Module | ast.ClassDef) -> bool:
    """True if another docstring describes it: the overridden method's, or the class's list of attributes."""
    last = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    listed = "property" in last and f"{node.name}:" in (ast.get_docstring(owner) or "")
    return listed or bool(last & {"overload", "override", "setter"})


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_everything_public_has_a_docstring() -> None:
    assert not [
        f"{label(path)}:{node.lineno} {node.name}"
        for path in PUBLIC
        for node in public_names(parsed(path))
        if not ast.get_docstring(node)
    ]
    assert not [path for path in PUBLIC if parsed(path).body and not ast.get_docstring(parsed(path))]


Function = ast.FunctionDef | ast.AsyncFunctionDef

NO_RESULT = {"None", "NoReturn", "Iterator[None]"}
RESULT = re.compile(
    r"^(?:Returns|Yields):|\b[Rr]eturns?\b|\b[Yy]ields?\b|\A(?:A|An|The|True if)\b", re.MULTILINE
)
"""A section, a verb, or a first sentence that names the result: "The id of the newest version."."""
ELSEWHERE = re.compile(r"\bSee `{0,2}[A-Za-z_]\w*")
"""Another docstring that describes the function: "See Rotator.apply."."""

WITHOUT_SECTIONS = "rotators/local/"
"""The local AWS: its many short functions describe their parameters in the first sentence."""
UNCLEAR = re.compile(
    r"\b(?:Any|Callable|Collection|Iterable|(?:Async)?Iterator|Mapping|Sequence|bytes|dict|float|frozenset|int"
    r"|list|object|set|tuple)\b"
)
"""Types of results that do not say what a result contains, or its unit."""


def functions(owner: ast.Module | ast.ClassDef) -> Iterator[tuple[Function, ast.Module | ast.ClassDef]]:
    """Public functions and methods that need a description of parameters and result, with their owners."""
    for node in owner.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node)
        elif isinstance(node, Function) and not node.name.startswith("_") and not is_exempt(node, owner):
            yield node, owner


def decorators(node: Function) -> list[str]:
    return [ast.unparse(each).partition("(")[0].rpartition(".")[2] for each in node.decorator_list]


def is_called_by_name(node: Function) -> bool:
    """False for tests and fixtures, which pytest calls, and for commands, whose options have help texts."""
    return not node.name.startswith("test_") and not {"fixture", "command"} & set(decorators(node))


def parameters(node: Function, owner: ast.Module | ast.ClassDef) -> list[str]:
    given = node.args
    named = [*given.posonlyargs, *given.args]
    if isinstance(owner, ast.ClassDef) and "staticmethod" not in decorators(node):
        named = named[1:]
    rest = [each for each in (given.vararg, given.kwarg) if each]
    return [each.arg for each in (*named, *given.kwonlyargs, *rest) if not each.arg.startswith("_")]


def section(text: str, *titles: str) -> str:
    """The lines of a docstring below one of the titles; empty if it has none of these sections."""
    found = re.search(rf"^(?:{'|'.join(titles)}):\n((?: .*\n?|\n)+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def omissions(node: Function, owner: ast.Module | ast.ClassDef, *, in_sections: bool = False) -> list[str]:
    """Names of parameters, raised errors and ``result`` that the docstring does not describe.

    A class may describe a parameter of all its methods, in backticks. With ``in_sections``, only the sections
    Args, Returns and Raises count; a result needs no section if its type says what it contains.
    """
    text = ast.get_docstring(node) or ""
    if ELSEWHERE.search(text):
        return []
    arguments, errors = (section(text, "Args"), section(text, "Raises")) if in_sections else (text, text)
    shared = ast.get_docstring(owner) or "" if isinstance(owner, ast.ClassDef) else ""
    missing = [
        name
        for name in parameters(node, owner)
        if not re.search(rf"\b{name}\b", arguments) and f"``{name}``" not in shared
    ]
    returned = ast.unparse(node.returns) if node.returns else "None"
    needs_section = in_sections and UNCLEAR.search(returned)
    described = section(text, "Returns", "Yields") if needs_section else RESULT.search(text)
    if returned not in NO_RESULT and "property" not in decorators(node) and not described:
        missing.append("result")
    return missing + sorted(name for name in raised(node) if not re.search(rf"\b{name}\b", errors))


def raised(node: ast.AST) -> set[str]:
    """Names of the errors that a function creates itself. AssertionError marks what cannot be reached."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef | ast.Lambda):
            continue
        found |= raised(child)
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = ast.unparse(child.exc.func).rpartition(".")[2]
            found |= {name} if name[0].isupper() else set()
    return found


def test_docstrings_describe_parameters_results_and_errors() -> None:
    assert not {
        f"{label(path)}:{node.lineno} {node.name}": found
        for path in PUBLIC
        for node, owner in functions(parsed(path))
        if is_called_by_name(node) and (found := omissions(node, owner))
    }


def test_docstrings_have_sections() -> None:
    modules = [path for path in PUBLIC if not label(path).startswith(WITHOUT_SECTIONS)]
    assert len(modules) < len(PUBLIC)
    assert not {
        f"{label(path)}:{node.lineno} {node.name}": found
        for path in modules
        for node, owner in functions(parsed(path))
        if is_called_by_name(node) and (found := omissions(node, owner, in_sections=True))
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def f(a, *, b: int) -> None: """Use a."""', ["b"]),
        ('def f(a, *rest) -> int: """Count a and rest."""', ["result"]),
        ('def f(a) -> int: """Return the number of a."""', []),
        ('def f(a) -> int: """The number of a."""', []),
        ('def f(a) -> int: """See Base.f."""', []),
        ('def f() -> None:\n  """Fail."""\n  raise ValueError("no")', ["ValueError"]),
        ('class C:\n  """Each ``a`` is a number."""\n  def f(self, a) -> None: """Use it."""', []),
        ('class C:\n  """Any."""\n  def f(self, a) -> None: """Use it."""', ["a"]),
    ],
)
def test_omissions_in_a_docstring_are_found(source: str, found: list[str]) -> None:
    [(node, owner)] = functions(ast.parse(source))
    assert omissions(node, owner) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def f(a) -> None: """Use a."""', ["a"]),
        ('def f(a) -> None:\n  """Use it.\n\n  Args:\n    a: a number.\n  """', []),
        ('def f() -> int: """Return a number."""', ["result"]),
        ('def f() -> bool: """Return True if it is old."""', []),
        ('def f() -> dict[str, int]:\n  """Count.\n\n  Returns:\n    Numbers by name.\n  """', []),
        ('def f() -> None:\n  """Fail with ValueError."""\n  raise ValueError("no")', ["ValueError"]),
        (
            'def f() -> None:\n  """Fail.\n\n  Raises:\n    ValueError: no.\n  """\n  raise ValueError("no")',
            [],
        ),
    ],
)
def test_omissions_in_sections_are_found(source: str, found: list[str]) -> None:
    [(node, owner)] = functions(ast.parse(source))
    assert omissions(node, owner, in_sections=True) == found


@pytest.mark.parametrize("path", [path for path in PUBLIC if path.parent.name == "cli"], ids=label)
def test_help_describes_arguments_and_options(path: Path) -> None:
    nodes = list(ast.walk(parsed(path)))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    options = [each for each in calls if ast.unparse(each.func) == "click.option"]
    assert not [ast.unparse(each) for each in options if "help" not in {word.arg for word in each.keywords}]
    for node in nodes:
        if isinstance(node, Function):
            text = ast.get_docstring(node) or ""
            names = re.findall(r"click\.argument\('(\w+)'", " ".join(map(ast.unparse, node.decorator_list)))
            assert not [name for name in names if not re.search(rf"\b{name.upper()}\b", text)]


def test_each_public_class_has_its_own_name() -> None:
    """Only public classes count; the example of `rotators new` is a separate project."""
    places: dict[str, list[str]] = {}
    for path in PUBLIC:
        if "example" not in path.parts:
            for node in parsed(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(label(path))
    assert not {name: found for name, found in places.items() if len(found) > 1}


LABEL = re.compile(r"(?<![Ss]taging )(?<!aria-)(?<!data-)\b(?:un)?label(?:led|s)?\b")


@pytest.mark.parametrize("folder", ["core", "recovery", "strategies", "client", "aws", "local"])
def test_versions_have_stages_and_no_labels(folder: str) -> None:
    """Only messages of AWS contain "staging label"."""
    pages = [
        path for path in FILES if path.suffix == ".md" and path.name not in {"glossary.md", "CHANGELOG.md"}
    ]
    modules = [path for path in PUBLIC if path.relative_to(ROOT).parts[1] == folder]
    assert not [label(path) for path in (*modules, *pages) if LABEL.search(path.read_text())]
