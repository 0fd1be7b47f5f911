"""A private MariaDB server on loopback, for this process alone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rotators.core.errors import LocalStackError, ServerNotFound, ServerStartFailed
from rotators.local.servers.private import PrivateServer, free_port
from rotators.local.servers.process import Guardian, Task, identity
from rotators.local.servers.tls import issue

_READY_SECONDS = 30.0
_SYSTEM = (
    "/usr/sbin",
    "/usr/libexec",
    "/usr/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
)

_SETTINGS = {
    "bind-address": "127.0.0.1",
    # No socket outside of the server's own directory, no name service, no binary log.
    "socket": "socket",
    "skip-name-resolve": "1",
    "skip-log-bin": "1",
    "character-set-server": "utf8mb4",
    # Nothing here outlives the process, so nothing needs to survive a power cut.
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "performance-schema": "0",
}


@dataclass(frozen=True)
class MariaDbBinaries:
    """A MariaDB on this machine.

    Attributes:
        server: the program ``mariadbd``.
        install: ``mariadb-install-db``, which makes a data directory.
        version: such as ``10.11.6``.
    """

    server: Path
    install: Path
    version: str


def find_mariadb() -> MariaDbBinaries:
    """Find a MariaDB: in the directory that MARIADB_BIN names, else the system's.

    Raises:
        ServerNotFound: there is none, or MARIADB_BIN names a directory without one.
    """
    named = os.environ.get("MARIADB_BIN")
    for place in (named,) if named else _SYSTEM:
        found = _binaries(Path(place).resolve())
        if found:
            return found
    if named:
        raise ServerNotFound(
            f"MARIADB_BIN names {named!r}, where there is no working mariadbd and mariadb-install-db"
        )
    raise ServerNotFound(
        "no MariaDB was found on this machine",
        remedy="Install MariaDB (mariadb-server), or set MARIADB_BIN to its bin directory.",
    )


def _binaries(directory: Path) -> MariaDbBinaries | None:
    server = directory / "mariadbd"
    beside = directory / "mariadb-install-db"
    install = beside if beside.is_file() else Path(shutil.which("mariadb-install-db") or beside)
    if not (server.is_file() and install.is_file()):
        return None
    try:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"Ver ([\d.]+)-MariaDB", said)
    return MariaDbBinaries(server, install, version[1]) if version else None


class MariaDbServer(PrivateServer):
    """A private server: TLS with an authority of its own, its own directory and free port.

    Use as a context manager, or start and stop it. It ends with this process, however that ends.

    Args:
        settings: the server's options beside the defaults, such as ``{"general-log": "1"}``.
        tls: whether it offers TLS.
        binaries: which MariaDB; found when left out.
    """

    engine = "mariadb"
    defaults = _SETTINGS

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        tls: bool = True,
        binaries: MariaDbBinaries | None = None,
    ) -> None:
        self._settings = {**self.defaults, **(settings or {})}
        self._tls = tls
        self._binaries = binaries
        super().__init__()
        self.host, self.port = "localhost", 0
        self.superuser = "root"
        self.password = secrets.token_urlsafe(24)
        self.ca: str | None = None

    def _start(self) -> None:
        found = self._binaries or self._find()
        self.version = found.version
        if self._tls:
            certificates = issue(self.directory)
            self.ca = str(certificates.ca)
            self._settings |= {
                "ssl-cert": str(certificates.certificate),
                "ssl-key": str(certificates.key),
            }
        (self.directory / "data").mkdir()
        # A server that starts clears its folder of temporary tables, other servers' included.
        (self.directory / "tmp").mkdir()
        self._settings |= {"tmpdir": str(self.directory / "tmp")}
        self._own(self.directory, *self.directory.iterdir())
        self._initialise(found)
        self._run(found)

    def _find(self) -> MariaDbBinaries:
        return find_mariadb()

    def _initialise(self, found: MariaDbBinaries) -> None:
        command: list[Any] = [
            found.install,
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            "--skip-test-db",
        ]
        command += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, "TMPDIR": str(self.directory / "tmp")},
            capture_output=True,
            text=True,
            check=False,
            **identity(self._uid),
        )
        if done.returncode != 0:
            raise ServerStartFailed(f"mariadb-install-db failed: {(done.stderr + done.stdout)[:600]}")
        # Only a hash is written, and the users without a password are gone before the first connection.
        once = hashlib.sha1(self.password.encode(), usedforsecurity=False).digest()
        verifier = "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
        init = self.directory / "init.sql"
        clean = "DELETE FROM mysql.global_priv WHERE User IN ('root', '');\nFLUSH PRIVILEGES;\n"
        init.write_text(
            f"{clean}CREATE USER 'root'@'%' IDENTIFIED VIA mysql_native_password USING '{verifier}';\n"
            "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n"
        )
        self._own(init)

    def _run(self, found: MariaDbBinaries) -> None:
        log = self.directory / "log"
        log.touch()
        for _ in range(3):  # another process may take the port between our look and the server's
            self.port = free_port()
            options = {**self._settings, "port": str(self.port), "datadir": str(self.directory / "data")}
            command = [str(found.server), "--no-defaults", f"--init-file={self.directory / 'init.sql'}"]
            command += [f"--{name}={value}" for name, value in options.items()]
            self._guardian = Guardian(Task(command, str(self.directory), str(log), signal.SIGTERM, self._uid))
            if self._ready():
                return
            if "Address already in use" not in self.log():
                break
            self._guardian = None
        raise ServerStartFailed(f"{self.engine} did not come up: {self.log()[-600:].strip()}")

    def _ready(self) -> bool:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            said = self.log()
            if "ready for connections" in said:
                return True
            if "Aborting" in said:
                return False
            time.sleep(0.02)
        return False

    def general_log(self) -> str:
        """Every connection and statement so far, if started with ``general-log`` into ``general.log``."""
        return (self.directory / "data" / "general.log").read_text(errors="replace")

    def pause(self) -> None:
        """Freeze the server: connections are taken by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._guardian is None:
            raise LocalStackError("the server is not running", remedy="Start it first.")
        os.kill(self._guardian.pid, number)

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """A Secrets Manager value for a user of this server; for the superuser when none is named."""
        trust: dict[str, Any] = {"sslrootcert": self.ca} if self.ca else {"ssl": False}
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": username or self.superuser,
            "password": password or self.password,
            **trust,
            **extra,
        }

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, in a session of its own; gives the rows."""
        import pymysql  # noqa: PLC0415 - only those who talk to it need the driver

        connection: pymysql.Connection[Any] = pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.superuser,
            password=self.password.encode(),
            charset="utf8mb4",
            autocommit=True,
            **({"ssl_ca": self.ca, "ssl_verify_identity": True} if self.ca else {"ssl_disabled": True}),
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, params or None)
            return list(cursor.fetchall())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}:{self.port})"
