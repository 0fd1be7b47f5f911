"""The code of functions that came as an archive in S3, unpacked where Lambda's runtime client can run it."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path


class Archives:
    """Archives unpacked so far, each once, in private folders that nobody is to write to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[str, Path] = {}

    def folder(self, archive: bytes) -> str:
        """Unpack an archive, unless it is.

        Args:
            archive: a zip file.

        Returns:
            The folder, which stays until ``remove``.

        Raises:
            zipfile.BadZipFile: it is none; moto has looked before.
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
