"""What private servers have in common: a directory, a user to run as, a log, and an end with this process."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rotators.local.servers.process import Guardian

# Servers refuse to run as root, or need not, so as root everything runs as nobody.
_NOBODY = 65534


class PrivateServer:
    """A server on loopback for this process alone. It ends with this process, however that ends.

    Attributes:
        engine: its name, also in the name of its directory.
        directory: all of its files, from its start to its end.
    """

    engine: str
    directory: Path

    def __init__(self) -> None:
        self._guardian: Guardian | None = None
        self._uid = _NOBODY if hasattr(os, "geteuid") and os.geteuid() == 0 else None

    def start(self) -> Self:
        """Make the server and wait until it takes connections.

        Raises:
            ServerNotFound: no binaries.
            ServerStartFailed: it did not come up; the cause has the end of its log.
        """
        self.directory = Path(tempfile.mkdtemp(prefix=f"rotators-{self.engine}-")).resolve()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove its files. May be called again."""
        if self._guardian:
            self._guardian.stop()
            self._guardian = None
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        """The server's log so far."""
        return (self.directory / "log").read_text(errors="replace")

    def _start(self) -> None:
        raise NotImplementedError

    def _own(self, *paths: Path) -> None:
        """Give files to the user that the server runs as."""
        if self._uid is not None:
            for path in paths:
                os.chown(path, self._uid, self._uid)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
