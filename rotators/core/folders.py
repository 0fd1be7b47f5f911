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

    Links to folders are followed; otherwise their files would be missing without a message. Each folder is
    read once, so circular links end.

    Args:
        folder: the folder.

    Yields:
        Paths of everything except folders; `regular` opens those that are files.

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
        path: path of the file.

    Returns:
        The open file.

    Raises:
        OSError: it cannot be opened, or it is not a regular file: a read from a pipe could wait forever.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.open("rb")


def _refuse(error: OSError) -> None:
    raise error
