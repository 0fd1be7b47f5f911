"""Unpacked code of functions and layers that were uploaded as an archive."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path


class Archives:
    """Archives unpacked so far, each once, in private read-only folders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[str, Path] = {}

    def folder(self, archive: bytes) -> str:
        """Unpack an archive, unless it is unpacked already.

        Args:
            archive: Content of a zip file.

        Returns:
            Path of the folder, which exists until ``remove``.
        """
        digest = hashlib.sha256(archive).hexdigest()
        with self._lock:
            if digest not in self._folders:
                folder = Path(tempfile.mkdtemp(prefix="rotators-code-"))
                with zipfile.ZipFile(io.BytesIO(archive)) as content:
                    content.extractall(folder)
                for path in folder.rglob("*"):
                    path.chmod(0o555 if path.is_dir() else 0o444)
                self._folders[digest] = folder
            return str(self._folders[digest])

    def remove(self) -> None:
        """Delete all folders; their functions must have ended."""
        with self._lock:
            folders, self._folders = list(self._folders.values()), {}
        for folder in folders:
            for path in (folder, *folder.rglob("*")):
                if path.is_dir():
                    path.chmod(0o755)
            shutil.rmtree(folder)
