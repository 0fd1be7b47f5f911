"""A private MariaDB server on loopback, for this process alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.local.errors import ServerNotFound
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer, version_of

if TYPE_CHECKING:
    import pymysql

_SYSTEM = (
    "/usr/sbin",
    "/usr/libexec",
    "/usr/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
)
_FOLDERS = {"datadir": "data", "tmpdir": "tmp"}
_CERTIFICATE = {"ssl-cert": "server.pem", "ssl-key": "server.key"}


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


def _binaries(directory: Path) -> MariaDbBinaries | None:
    server = directory / "mariadbd"
    beside = directory / "mariadb-install-db"
    install = beside if beside.is_file() else Path(shutil.which("mariadb-install-db") or beside)
    version = version_of(server, r"Ver ([\d.]+)-MariaDB") if install.is_file() else None
    return MariaDbBinaries(server, install, version) if version else None


class MariaDbServer(PrivateServer):
    """A private server; see PrivateServer.

    Args:
        settings: the server's options beside the defaults, such as ``{"general-log": "1"}``.
        tls: True if it offers TLS.

    Attributes:
        defaults: the options that every server gets.
        install_options: the options of the program that makes a data directory.
        version: version of the server that runs.
        clearing: SQL that drops the users of a new data directory.
    """

    engine = "mariadb"
    test_options: Mapping[str, Any] = {"tls": False}
    ready_text = "ready for connections"
    failed_texts = ("Aborting",)
    stop_signal = signal.SIGKILL  # else it would write to its data directory, which is removed
    version: str
    clearing = "DELETE FROM mysql.global_priv WHERE User IN ('root', '');\nFLUSH PRIVILEGES;"
    defaults: Mapping[str, str] = {
        "bind-address": "127.0.0.1",
        # No socket outside of the server's directory, no name service, no binary log.
        "socket": "socket",
        "skip-name-resolve": "1",
        "skip-log-bin": "1",
        "character-set-server": "utf8mb4",
        # The data is deleted with the process, so it need not survive a power failure.
        "innodb-flush-log-at-trx-commit": "0",
        "innodb-buffer-pool-size": "32M",
        "innodb-log-file-size": "16M",
        "performance-schema": "0",
    }
    install_options: tuple[str, ...] = (
        "--no-defaults",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
        "--skip-name-resolve",
        f"--innodb-log-file-size={defaults['innodb-log-file-size']}",  # a server would change another size
    )

    def __init__(self, *, settings: Mapping[str, str] | None = None, tls: bool = True) -> None:
        super().__init__()
        self.tls = tls
        self._settings = {**self.defaults, **(settings or {})}

    def _prepare(self) -> None:
        found = self.find()
        self._program, self.version = found.server, found.version
        # A starting server deletes all temporary tables in its folder, including those of other servers.
        self._settings |= {name: str(self.directory / folder) for name, folder in _FOLDERS.items()}
        (self.directory / _FOLDERS["tmpdir"]).mkdir()
        certificate = {name: str(self.directory / file) for name, file in _CERTIFICATE.items()}
        self._settings |= certificate if self.tls else {"ssl": "0"}
        self._own()
        self._initialise(found)
        # The server runs this before it accepts connections. The users without a password are then deleted.
        create = f"CREATE USER 'root'@'%' {self.identified(self.password)};"
        grant = "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
        write_private(self.directory / "init.sql", f"{self.clearing}\n{create}\n{grant}\n")

    @classmethod
    def find(cls) -> MariaDbBinaries:
        """Find a MariaDB: in the directory that MARIADB_BIN names, else the system's.

        Returns:
            Its programs and version.

        Raises:
            ServerNotFound: there is none, or MARIADB_BIN names a directory without one.
        """
        named = os.environ.get("MARIADB_BIN")
        for place in (named,) if named else _SYSTEM:
            if found := _binaries(Path(place).resolve()):
                return found
        if named:
            raise ServerNotFound(
                f"MARIADB_BIN names {named!r}, which has no working mariadbd and mariadb-install-db"
            )
        raise ServerNotFound(
            "no MariaDB was found on this machine",
            remedy="Install MariaDB (mariadb-server), or set MARIADB_BIN to its bin directory.",
        )

    def _initialise(self, found: MariaDbBinaries) -> None:
        """Make the data directory."""
        options, folder = self.install_options, f"--datadir={self._settings['datadir']}"
        self._fill(
            _FOLDERS["datadir"],
            found.install,
            (found.version, *options),
            lambda: self._run(found.install, *options, folder, TMPDIR=self._settings["tmpdir"]),
        )

    def identified(self, password: str) -> str:
        """Return the clause of CREATE USER and ALTER USER for a password, if possible as a hash.

        Args:
            password: password to set.
        """
        once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
        hashed = hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
        return f"IDENTIFIED VIA mysql_native_password USING '*{hashed}'"

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user."""
        clause = self.identified(password).replace("%", "%%")
        self.execute(f"CREATE USER %s@'%%' {clause}", name)

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        place = f"--protocol=tcp --host={self.host} --port={self.port} --user={user}"
        return "MYSQL_PWD", f"{self.engine} {place} {self._client_trust}"

    @property
    def _client_trust(self) -> str:
        return f"--ssl-ca={self.ca} --ssl-verify-server-cert"

    def _command(self) -> list[str]:
        options = {**self._settings, "port": str(self.port), "init-file": str(self.directory / "init.sql")}
        return [
            str(self._program),
            "--no-defaults",
            *(f"--{name}={value}" for name, value in options.items()),
        ]

    def general_log(self) -> str:
        """Return every connection and statement so far.

        Needs the server options ``general-log`` (1) and ``general-log-file`` (``general.log``).
        """
        return (self.directory / "data" / "general.log").read_text(errors="replace")

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, in a separate session.

        Args:
            statement: SQL with ``%s`` for each parameter.
            *params: values of the parameters.

        Returns:
            The rows; empty for a statement that has none.
        """
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, params or None)
            return list(cursor.fetchall())

    def connect(self, value: Mapping[str, Any] | None = None) -> pymysql.Connection[Any]:
        """Return a connection made without the rotators' code; the caller closes it.

        Args:
            value: value of a secret; None for the superuser's.
        """
        import pymysql  # noqa: PLC0415 - only its clients need the driver

        value = value or self.secret()
        roots = value.get("sslrootcert")
        tls: dict[str, Any] = (
            {"ssl_ca": roots, "ssl_verify_identity": True} if roots else {"ssl_disabled": True}
        )
        return pymysql.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"].encode(),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
            **tls,
        )


SERVER = MariaDbServer
