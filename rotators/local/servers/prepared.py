"""Initial files of servers: created once for each program, kept in the user's cache, and copied.

Their creation takes up to half a minute, a copy a tenth of a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def prepare(folder: Path, program: Path, options: Sequence[str], make: Callable[[], object]) -> None:
    """Fill a folder with the files of a new server: a copy from the cache, or new files that are also cached.

    Args:
        folder: does not exist yet.
        program: creates the files; each release creates different ones.
        options: options of the program.
        make: runs the program, so that the folder has the files. All servers get the same ones, with every
            password in them.
    """
    kept = _kept(program, options)
    if kept is not None and kept.exists():
        shutil.copytree(kept, folder, symlinks=True)
        return
    make()
    if kept is not None:
        with contextlib.suppress(OSError):  # a server does not need the cache
            _keep(folder, kept)


def _kept(program: Path, options: Sequence[str]) -> Path | None:
    """Return the folder in the cache; None if this user has no cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - raises no error
    if not os.path.isabs(cache):  # noqa: PTH117 - a string
        return None
    release = program.stat()
    inputs = repr((str(program), release.st_size, release.st_mtime_ns, *options))
    digest = hashlib.sha256(inputs.encode()).hexdigest()
    return Path(cache, "rotators", f"{program.name}-{digest[:16]}")


def _keep(folder: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as place:
        copy = Path(place, "copy")
        shutil.copytree(folder, copy, symlinks=True)
        copy.rename(kept)  # in one step, because other processes may create it too
