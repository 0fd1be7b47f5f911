"""A private PgBouncer in front of a private PostgreSQL."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from rotators.local.errors import ServerNotFound
from rotators.local.servers.private import PrivateServer
from tests.world import new_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.local.servers.postgres import PostgresServer

_ADMIN = "pooler_admin"


class PgBouncer(PrivateServer):
    """A pooler on loopback with the server's own certificate.

    Args:
        server: the running server behind it.
        users: the user list: names to passwords in clear text, or to verifiers.
        settings: additional settings of the section ``pgbouncer``.
    """

    engine = "pgbouncer"
    tls = False  # it has the server's certificate
    stop_signal = signal.SIGINT

    def __init__(
        self,
        server: PostgresServer,
        users: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.server = server
        self._passwords = {_ADMIN: new_password(), **(users or {})}
        self._settings = settings or {}

    # A pooler has no users; it uses those of the server.
    def secret(self, value: Mapping[str, Any], **changes: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the value with the pooler's address instead of the server's."""
        return {**value, "host": "localhost", "port": self.port, **changes}

    def knows(self, value: dict[str, Any]) -> None:
        """Write a value's user and password into the user list, which later logins are checked against."""
        self._passwords[value["username"]] = value["password"]
        self._write_list()
        with self._console() as console:
            console.execute("RELOAD")

    def in_front(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the value with the pooler's address for applications, and the server's for changes."""
        return self.secret(value, admin_host=value["host"], admin_port=value["port"])

    def _prepare(self) -> None:
        binary = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        if binary is None:
            raise ServerNotFound("no PgBouncer was found on this machine", remedy="Install pgbouncer.")
        self._program = binary
        for name in ("server.pem", "server.key"):
            shutil.copy2(self.server.directory / name, self.directory / name)
        self._write_list()

    def _command(self) -> list[str]:
        self._configure()
        return [self._program, str(self.directory / "pgbouncer.ini")]

    def _is_up(self, log: str) -> bool | None:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return None
        return True

    def _configure(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self.directory / "users.txt",
            "admin_users": _ADMIN,
            "pool_mode": "transaction",
            "client_tls_sslmode": "require",
            "client_tls_cert_file": self.directory / "server.pem",
            "client_tls_key_file": self.directory / "server.key",
            "server_tls_sslmode": "verify-ca",
            "server_tls_ca_file": self.server.ca,
            # A wrong password at the server is reported at once instead of after fifteen seconds.
            "server_login_retry": 0,
            "client_login_timeout": 3,
            **self._settings,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self.server.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")

    def _write_list(self) -> None:
        path: Path = self.directory / "users.txt"
        path.touch(mode=0o600)
        path.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in self._passwords.items()))

    def _console(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="localhost",
            port=self.port,
            user=_ADMIN,
            password=self._passwords[_ADMIN],
            dbname="pgbouncer",
            sslmode="verify-full",
            sslrootcert=self.server.ca,
            autocommit=True,
        )
