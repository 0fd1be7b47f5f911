"""The artifact's folder is named after the content of all inputs, and wrong inputs are refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.session import Session

import sizes
from extras import drivers

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("artifact", "functions", "locks", "rotators/core", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that the script reads, which a test may change."""
    copy = tmp_path / "checkout"
    for part in PARTS:
        source, target = ROOT / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return copy


def asked(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        [sys.executable, "artifact/inputs.py"],
        cwd=checkout,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        check=False,
        capture_output=True,
        text=True,
    )


def folder(checkout: Path, **variables: str) -> str:
    done = asked(checkout, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("build/artifact-")
    return done.stdout


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


REFERENCES = {
    "a wheel by path": ("./wheels/acme-1-py3-none-any.whl", "wheels/acme-1-py3-none-any.whl"),
    "a wheel by path with extras and a marker": (
        "wheels/acme-1-py3-none-any.whl[fast] ; python_version > '3'  # ours",
        "wheels/acme-1-py3-none-any.whl",
    ),
    "a wheel with a hash": ("./wheels/a.whl --hash=sha256:00", "wheels/a.whl"),
    "a wheel by URL": ("file:{here}/wheels/a.whl", "wheels/a.whl"),
    "a wheel by name and URL": ("acme[x] @ file://{here}/my%20wheels/a.whl", "my wheels/a.whl"),
    "a wheel by a variable's path": ("${{HOME}}/wheels/a.whl", "wheels/a.whl"),
    "a project's file": ("./acme", "acme/src/acme/deep/er/roots.pem"),
    "a project's file, by name and URL": ("acme@file://{here}/acme", "acme/acme.py"),
    "an included list": ("-r more/list.txt", "more/list.txt"),
    "an included list, written together": ("--requirement=more/list.txt", "more/list.txt"),
    "an included list on a continued line": ("--requirement \\\n  more/list.txt", "more/list.txt"),
    "a constraint": ("-c more/list.txt", "more/list.txt"),
    "a local index": ("--find-links=wheels\nacme", "wheels/a.whl"),
}


@pytest.mark.parametrize(("line", "changed"), REFERENCES.values(), ids=REFERENCES)
def test_a_changed_requirement_file_changes_the_folder(checkout: Path, line: str, changed: str) -> None:
    write(checkout / "mine.txt", f"requests==1\n\n{line.format(here=checkout)}\n")
    file = write(checkout / changed, "first")
    variables = {"REQUIREMENTS": "mine.txt", "HOME": str(checkout)}
    before = folder(checkout, **variables)
    assert folder(checkout, **variables) == before
    write(file, "other")
    assert folder(checkout, **variables) != before


def test_lists_are_followed_from_their_own_folder(checkout: Path) -> None:
    write(checkout / "lists/first.txt", "-r second.txt")
    write(checkout / "lists/second.txt", "-r first.txt\n./wheels/a.whl")
    wheel = write(checkout / "wheels/a.whl", "first")
    before = folder(checkout, REQUIREMENTS="lists/first.txt")
    write(wheel, "other")
    assert folder(checkout, REQUIREMENTS="lists/first.txt") != before


@pytest.mark.parametrize(
    "changed",
    [
        "rotators/core/deep/er/data.json",
        "functions/rotate.py",
        "artifact/build.py",
        "locks/handlers.txt",
        "locks/postgres.txt",
        "locks/build.txt",
        "pyproject.toml",
        "README.md",
    ],
)
def test_a_changed_project_file_changes_the_folder(checkout: Path, changed: str) -> None:
    before = folder(checkout)
    path = checkout / changed
    write(path, (path.read_text(encoding="utf-8") if path.exists() else "") + "# changed\n")
    assert folder(checkout) != before


def test_trusted_roots_count_by_content_and_by_name(checkout: Path) -> None:
    roots = write(checkout / "roots.pem", "first")
    first = folder(checkout, TRUST="roots.pem")
    write(roots, "other")
    other = folder(checkout, TRUST="roots.pem")
    roots.rename(checkout / "bundle.pem")
    assert len({first, other, folder(checkout, TRUST="bundle.pem"), folder(checkout)}) == 4


def test_each_choice_has_its_own_folder(checkout: Path) -> None:
    choices: list[dict[str, str]] = [
        {},
        {"ARCHITECTURE": "x86_64"},
        {"DRIVERS": "mysql"},
        {"SERVICES": "dynamodb"},
        {"PLAIN": "1"},
        {"PIP_INDEX_URL": "https://index.example"},
    ]
    assert len({folder(checkout, **choice) for choice in choices}) == len(choices)


def test_equal_choices_share_a_folder(checkout: Path) -> None:
    assert folder(checkout, DRIVERS="mysql postgres", SERVICES="sts", TRUST="") == folder(checkout)
    assert folder(checkout, DRIVERS="") == folder(checkout)


def test_a_new_extra_is_a_driver(checkout: Path) -> None:
    project = checkout / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    declared = text.replace('postgres = ["psycopg', 'acme = ["acme-driver"]\npostgres = ["psycopg')
    write(project, declared)
    write(checkout / "locks/acme.txt", "acme-driver==1")
    without = folder(checkout)
    assert folder(checkout, DRIVERS="acme,postgres") != without
    write(project, declared.replace("[handlers,mysql,postgres]", "[handlers,acme,mysql]"))
    assert folder(checkout) == folder(checkout, DRIVERS="acme,mysql")


def leave_byte_code(checkout: Path) -> None:
    write(checkout / "rotators/core/__pycache__/errors.cpython-313.pyc", "code")


def leave_a_build(checkout: Path) -> None:
    write(checkout / "acme/build/lib/acme.py", "copy")
    write(checkout / "acme/src/acme.egg-info/PKG-INFO", "about")
    write(checkout / "acme/environment/pyvenv.cfg", "home = /usr")


def touch(checkout: Path) -> None:
    for path in checkout.rglob("*.py"):
        os.utime(path, (1, 1))


@pytest.mark.parametrize("meanwhile", [leave_byte_code, leave_a_build, touch])
def test_files_created_by_tools_change_nothing(checkout: Path, meanwhile: Callable[[Path], None]) -> None:
    write(checkout / "acme/acme.py", "code")
    write(checkout / "mine.txt", "./acme")
    before = folder(checkout, REQUIREMENTS="mine.txt")
    meanwhile(checkout)
    assert folder(checkout, REQUIREMENTS="mine.txt") == before


MISTAKES = {
    "an unknown processor": ({"ARCHITECTURE": "amd64"}, "choose arm64 or x86_64"),
    "no processor": ({"ARCHITECTURE": ""}, "choose arm64 or x86_64"),
    "an unknown driver": ({"DRIVERS": "postgres,oracle"}, "DRIVERS=oracle is unknown"),
    "a misspelt service": ({"SERVICES": "dynamo"}, "did you mean dynamodb?"),
    "an unknown service": ({"SERVICES": "zzz"}, "artifact/services.txt"),
    "an ambiguous PLAIN": ({"PLAIN": "no"}, "PLAIN=1"),
    "missing roots": ({"TRUST": "missing"}, "there is no such file"),
    "a folder of roots": ({"TRUST": "locks"}, "is a folder"),
    "missing requirements": ({"REQUIREMENTS": "missing"}, "there is no such file"),
    "a wheel as requirements": ({"REQUIREMENTS": "a.whl"}, "write its path into a text file"),
    "a missing included list": ({"REQUIREMENTS": "r.txt"}, "r.txt, line 2: there is no missing.txt"),
    "an included folder": ({"REQUIREMENTS": "folder.txt"}, "folder.txt, line 1: locks is a folder"),
    "a missing wheel": ({"REQUIREMENTS": "wheel.txt"}, "wheel.txt, line 1: there is no missing.whl"),
    "an editable project": ({"REQUIREMENTS": "editable.txt"}, "write the path without -e"),
    "an open quote": ({"REQUIREMENTS": "quote.txt"}, "correct the quotes"),
}


@pytest.mark.parametrize(("variables", "advice"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_in_one_sentence(checkout: Path, variables: dict[str, str], advice: str) -> None:
    write(checkout / "a.whl", "PK")
    write(checkout / "r.txt", "# first\n-r missing.txt\n")
    write(checkout / "folder.txt", "-r locks\n")
    write(checkout / "wheel.txt", "./missing.whl\n")
    write(checkout / "editable.txt", "-e ./functions\n")
    write(checkout / "quote.txt", "-r 'more.txt\n")
    done = asked(checkout, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert advice in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_listed_services_match_the_locked_botocore() -> None:
    listed = (ROOT / "artifact" / "services.txt").read_text(encoding="utf-8").split()
    assert listed == sorted(Session().get_available_services()), "run `make lock`"


def test_the_page_gives_the_size_of_each_driver() -> None:
    """After a new driver, or for new figures, run `make sizes`."""
    rows = sizes.PAGE.read_text(encoding="utf-8").partition(sizes.HEAD)[2].partition("\n\n")[0].splitlines()
    assert [row.split(" | ")[0] for row in rows[:-2]] == [f"| `{name}`" for name in drivers()]
    for row in rows:
        assert re.fullmatch(r"\| .+ \| \d+\.\d \| \d+\.\d \|", row)
