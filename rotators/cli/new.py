"""`rotators new NAME`: create a package for a new credential type. The package passes its tests unchanged."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path

import click

from rotators.cli.errors import ScaffoldRefused
from rotators.cli.output import console, json_option
from rotators.core.registry import registered

EXAMPLE = Path(__file__).parent / "example"
"""A working package. The created package is a copy of it under another name."""

# The package's own folder of tests, which need not be importable from here.
_TAKEN = frozenset({"tests"})
_LEGAL = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to create; default: ./NAME.",
)
@json_option
def new(name: str, directory: Path | None) -> None:
    """Create a package with a rotator called NAME, the `engine` of its secrets.

    It rotates the API keys of a small HTTP service, which is included, and passes the conformance kit.
    Adapt it step by step to your credential type.
    """
    folder = directory or Path(name)
    check(name, folder)
    try:
        written = scaffold(name, folder)
    except OSError as error:
        raise ScaffoldRefused(
            f"{error.filename} cannot be written: {error.strerror}",
            remedy="Name a --directory in a folder that you may write to.",
        ) from None
    out = console()
    out.document({"name": name, "directory": str(folder), "files": written})
    for file in written:
        out.print(f"  {folder / file}")
    out.next(f"`cd {folder} && pip install '.[test]' && pytest`; then adapt the package: see README.md.")


def check(name: str, folder: Path) -> None:
    """Check that a package of this name can be created there.

    Args:
        name: name of the rotator.
        folder: folder of the package.

    Raises:
        ScaffoldRefused: the name is not legal or is used, or the folder is not empty.
    """
    if not _LEGAL.fullmatch(name):
        raise ScaffoldRefused(
            f"{name!r} cannot be a rotator's name: small letters and digits, parts joined by hyphens",
            remedy="Use a name such as acme-keys.",
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in _TAKEN or find_spec(module) is not None:
        raise ScaffoldRefused(
            f"{module!r} is a Python keyword or the name of an installed package",
            remedy="Choose another name, such as acme-keys.",
        )
    if any(entry.name == name for entry in registered()):
        raise ScaffoldRefused(
            f"a rotator called {name!r} is already installed", remedy="Choose another name."
        )
    if folder.exists() and any(folder.iterdir()):
        raise ScaffoldRefused(f"{folder} is not empty", remedy="Name another --directory, or empty it.")


def scaffold(name: str, folder: Path) -> list[str]:
    """Copy the example under another name, and return the files' paths in the folder.

    Args:
        name: name of the rotator.
        folder: folder of the package.

    Returns:
        Relative paths, in alphabetical order.
    """
    module = name.replace("-", "_")
    title = "".join(part.capitalize() for part in name.split("-"))
    written = []
    for source in sorted(EXAMPLE.rglob("*")):
        if source.is_dir() or source.suffix == ".pyc":
            continue
        path = str(source.relative_to(EXAMPLE)).replace("acme_keys", module)
        text = source.read_text(encoding="utf-8")
        for old, fresh in (("acme-keys", name), ("acme_keys", module), ("AcmeKeys", title)):
            text = text.replace(old, fresh)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        written.append(path)
    return written
