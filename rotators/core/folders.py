"""Files in a folder and in the folders below it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, in the order of their names.

    Links to folders are followed, because what they lead to would be missing without a word. Each folder is
    read once, so links in a circle end.

    Args:
        folder: the folder.

    Yields:
        Paths of everything that is no folder; `regular` opens those that are files.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def regular(path: Path) -> IO[bytes]:
    """Open a file for reading bytes.

    Args:
        path: of the file.

    Returns:
        The open file.

    Raises:
        OSError: it cannot be opened, or it is not a regular file: reading a pipe could wait without end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.open("rb")


def _refuse(error: OSError) -> None:
    raise error
