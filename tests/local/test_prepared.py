from __future__ import annotations

import os
from pathlib import Path

import pytest

from rotators.local.servers.prepared import prepare


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that makes files."""
    path = tmp_path / "initdb"
    path.write_text("release 1")
    return path


class Server:
    """A folder of files, and whether they were made for it."""

    def __init__(self, folder: Path, program: Path, *options: str) -> None:
        self.folder, self.made = folder, False
        prepare(folder, program, options, self._make)

    def _make(self) -> None:
        self.made = True
        (self.folder / "base").mkdir(parents=True, mode=0o700)
        (self.folder / "base" / "table").write_text("rows")
        (self.folder / "link").symlink_to("base")


@pytest.mark.usefixtures("cache")
def test_files_are_made_once_and_copied(tmp_path: Path, program: Path) -> None:
    first, second = Server(tmp_path / "first", program), Server(tmp_path / "second", program)
    assert (first.made, second.made) == (True, False)
    (first.folder / "base" / "table").write_text("changed")
    assert (second.folder / "base" / "table").read_text() == "rows"
    assert (second.folder / "base").stat().st_mode & 0o777 == 0o700
    assert (second.folder / "link").readlink() == Path("base")


@pytest.mark.usefixtures("cache")
def test_other_options_make_other_files(tmp_path: Path, program: Path) -> None:
    assert Server(tmp_path / "first", program).made
    assert Server(tmp_path / "second", program, "--encoding=UTF8").made


@pytest.mark.usefixtures("cache")
def test_another_release_makes_other_files(tmp_path: Path, program: Path) -> None:
    assert Server(tmp_path / "first", program).made
    program.write_text("release 2")
    os.utime(program, (1, 1))
    assert Server(tmp_path / "second", program).made


def test_failed_programs_leave_nothing_in_the_cache(cache: Path, tmp_path: Path, program: Path) -> None:
    def fail() -> None:
        (tmp_path / "first").mkdir()
        raise LookupError

    with pytest.raises(LookupError):
        prepare(tmp_path / "first", program, (), fail)
    assert not cache.exists()


def test_an_unusable_cache_is_not_needed(cache: Path, tmp_path: Path, program: Path) -> None:
    cache.write_text("a file")
    assert Server(tmp_path / "first", program).made
    assert Server(tmp_path / "second", program).made


def test_a_user_without_home_has_no_cache(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Server(tmp_path / "first", program).made
    assert not Path("relative").exists()
