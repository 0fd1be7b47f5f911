"""A PgBouncer on loopback, in front of a private PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from rotators.local.private import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.local.postgres import PostgresServer

_NOBODY = 65534
_SECONDS = 10.0


class Bouncer:
    """Use as a context manager; it ends with it.

    Args:
        server: behind it.
        users: the userlist: names to passwords in clear or to verifiers.
        settings: of the configuration's section ``pgbouncer``, beside the defaults.
    """

    def __init__(
        self, server: PostgresServer, users: Mapping[str, str], settings: Mapping[str, str] | None = None
    ) -> None:
        self._server = server
        self._users = users
        self._settings = settings or {}

    def __enter__(self) -> Self:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            if os.environ.get("CI"):
                pytest.fail("pgbouncer is not installed")
            pytest.skip("pgbouncer is not installed (Debian's package pgbouncer)")
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="bouncer-")
        directory = Path(self._directory.name)
        (directory / "users").write_text(
            "".join(f'"{name}" "{password}"\n' for name, password in self._users.items())
        )
        for name in ("server.pem", "server.key"):
            shutil.copy2(self._server.directory / name, directory / name)
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(directory / "users"),
            "client_tls_sslmode": "require",
            "client_tls_cert_file": str(directory / "server.pem"),
            "client_tls_key_file": str(directory / "server.key"),
            "server_tls_sslmode": "require",
            "pool_mode": "transaction",
            **self._settings,
        }
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server.port}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
        )
        who: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (directory, *directory.iterdir()):
                os.chown(path, _NOBODY, _NOBODY)
            who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self._log = (directory / "log").open("wb")
        self._process = subprocess.Popen(
            [program, "-q", str(configuration)], stdout=self._log, stderr=self._log, **who
        )
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        said = Path(self._log.name).read_text()
        self.__exit__()
        pytest.fail(f"PgBouncer did not come up: {said[-600:]}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._directory.cleanup()

    def secret(self, value: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """A user's value with the pooler's address. The certificate is the server's."""
        return {**value, "port": self.port, **changes}
