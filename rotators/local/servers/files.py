"""Files that only the server's user may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; an existing one is replaced.

    Args:
        path: path of the file.
        text: its content.
    """
    path.unlink(missing_ok=True)
    # Opened with its mode, because other users could read the file before a later chmod.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
