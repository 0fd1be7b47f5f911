"""The local files that pip reads for a requirements file.

Paths after `-r`, `-c` and `-f` are relative to the folder of the requirements file; the path of a requirement
is relative to the current folder. https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from refusal import refuse

_LISTS = ("-r", "--requirement", "-c", "--constraint")
_FOLDERS = ("-f", "--find-links")
_EDITABLE = ("-e", "--editable")

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_NAME_AT_URL = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*@\s*(?P<url>\S+)")
_PATH_WITH_EXTRAS = re.compile(r"(?P<path>[^\[]+)(?:\[[^\]]*\])?$")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def local_files(requirements: Path) -> Iterator[Path]:
    """List every file whose content pip reads for a requirements file.

    Args:
        requirements: the file.

    Yields:
        The file itself, the lists that it includes, wheels and archives, the files of local projects, and the
        packages in local folders of `--find-links`. Remote URLs are omitted.

    Raises:
        SystemExit: a file is missing, or a requirement is editable. The message names the file and the line.
    """
    yield from _listed(requirements, set())


def project_files(folder: Path) -> Iterator[Path]:
    """List the files of a Python project that can become part of its wheel.

    Args:
        folder: the folder of the project.

    Yields:
        Its files, except those that tools create: byte code, build/, dist/, egg-info, environments, and
        folders at the top level whose name begins with a dot.
    """
    for place, folders, files in os.walk(folder):
        at_top = Path(place) == folder
        folders[:] = sorted(name for name in folders if not _is_left_over(Path(place), name, at_top=at_top))
        yield from (Path(place, name) for name in sorted(files) if not name.endswith(".pyc"))


def _is_left_over(place: Path, name: str, *, at_top: bool) -> bool:
    if at_top and (name in {"build", "dist"} or name.startswith(".")):
        return True
    return name == "__pycache__" or name.endswith(".egg-info") or Path(place, name, "pyvenv.cfg").exists()


def _listed(requirements: Path, seen: set[Path]) -> Iterator[Path]:
    if requirements.resolve() in seen:
        return
    seen.add(requirements.resolve())
    yield requirements
    for number, line in _lines(requirements):
        where = f"{requirements}, line {number}"
        if not line.startswith("-"):
            yield from _files_of(_path_in(line.partition(" -")[0]), where)
            continue
        for option, value in _options(line, where):
            if option in _EDITABLE:
                refuse(
                    f"{where}: Lambda cannot follow a link to this machine; write the path without {option}."
                )
            elif option in _LISTS and not _is_remote(value):
                yield from _listed(_list(_beside(requirements, value), where), seen)
            elif option in _FOLDERS and not _is_remote(value):
                yield from linked_files(_existing(_beside(requirements, value), where))


def linked_files(place: Path) -> Iterator[Path]:
    """List the packages of a `--find-links` option.

    Args:
        place: a folder of packages, or one file.

    Yields:
        The files.
    """
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.is_file())
    elif place.is_file():
        yield place


def _files_of(path: Path | None, where: str) -> Iterator[Path]:
    if path is None:
        return
    if _existing(path, where).is_dir():
        yield from project_files(path)
    else:
        yield path


def _existing(path: Path, where: str) -> Path:
    if not path.exists():
        refuse(f"{where}: there is no {path}; correct the path (the current folder is {Path.cwd()}).")
    return path


def _list(path: Path, where: str) -> Path:
    if _existing(path, where).is_dir():
        refuse(f"{where}: {path} is a folder; name a file in it.")
    return path


def _beside(requirements: Path, value: str) -> Path:
    """Resolve a path after an option; pip also tries the current folder."""
    path = _of_url(value) if value.startswith("file:") else Path(value)
    beside = requirements.parent / path
    return beside if beside.exists() or not path.exists() else path


def _path_in(requirement: str) -> Path | None:
    """The local file or folder that a requirement names; None for a project of an index or a remote URL."""
    named = _NAME_AT_URL.match(requirement)
    target = named["url"] if named else requirement.partition(" ;")[0].partition("; ")[0].strip()
    if target.startswith("file:"):
        return _of_url(target)
    if _is_remote(target) or named:
        return None
    path = _PATH_WITH_EXTRAS.match(target)
    if path and ("/" in path["path"] or path["path"].startswith(".") or path["path"].endswith(_ARCHIVES)):
        return Path(path["path"])
    return None


def _of_url(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _is_remote(value: str) -> bool:
    return "://" in value and not value.startswith("file:")


def _options(line: str, where: str) -> Iterator[tuple[str, str]]:
    """The options of a line, each with its value: `-r x`, `-rx`, `--requirement x` or `--requirement=x`."""
    try:
        words = iter(shlex.split(line))
    except ValueError as error:
        refuse(f"{where}: {error}; correct the quotes.")
    for word in words:
        if word.startswith("--"):
            option, has_value, value = word.partition("=")
            known = option in (*_LISTS, *_FOLDERS, *_EDITABLE)
            yield option, value if has_value or not known else next(words, "")
        elif word.startswith("-"):
            yield word[:2], word[2:].lstrip("=") or next(words, "")


def _lines(requirements: Path) -> Iterator[tuple[int, str]]:
    """Logical lines, each with the number of its first line. Comments are removed, variables replaced."""
    joined, first = "", 0
    text = requirements.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if joined else number
        joined += line
        if joined.endswith("\\") and not _COMMENT.match(line):
            joined = joined[:-1] + " "
            continue
        plain = _COMMENT.sub("", joined).strip()
        joined = ""
        if plain:
            yield first, _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), plain)
    if plain := _COMMENT.sub("", joined).strip():
        yield first, plain
