"""A private Redis server on loopback, for this process alone."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from rotators.core.errors import ServerNotFound, ServerStartFailed
from rotators.local.servers.private import PrivateServer, free_port
from rotators.local.servers.process import Guardian, Task
from rotators.local.servers.tls import Certificates, issue

_READY_SECONDS = 15.0
_SYSTEM = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")


def find_redis() -> Path:
    """Find a ``redis-server``: in the directory that REDIS_BIN names, else on PATH or in the usual places.

    Raises:
        ServerNotFound: there is none, or REDIS_BIN names a directory without one.
    """
    named = os.environ.get("REDIS_BIN")
    places = named or os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM))
    found = shutil.which("redis-server", path=places)
    if found:
        # Not resolved: the program is also redis-check-rdb, and goes by the name it is called by.
        return Path(found).absolute()
    if named:
        raise ServerNotFound(f"REDIS_BIN names {named!r}, where there is no redis-server")
    raise ServerNotFound(
        "no Redis was found on this machine",
        remedy="Install Redis (redis-server), or set REDIS_BIN to its bin directory.",
    )


class RedisServer(PrivateServer):
    """A private server: TLS only, with an authority of its own, its own directory and free port.

    Use as a context manager, or start and stop it. It ends with this process, however that ends. Nobody gets
    in without a name: the user ``default`` is off.

    Attributes:
        host, port: where it listens.
        superuser, password: of the one user there is at first, who may do anything.
        ca: the file of the authority's certificate.
    """

    engine = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.host, self.port = "localhost", 0
        self.superuser = "admin"
        self.password = secrets.token_urlsafe(24)
        self.ca: str | None = None

    def _start(self) -> None:
        binary = find_redis()
        certificates = issue(self.directory)
        self.ca = str(certificates.ca)
        log = self.directory / "log"
        for _ in range(3):  # another process may take the port between our look and the server's
            log.write_text("")
            self.port = free_port()
            command = [str(binary), str(self._configured(certificates))]
            self._own(self.directory, *self.directory.iterdir())
            self._guardian = Guardian(Task(command, str(self.directory), str(log), signal.SIGTERM, self._uid))
            if self._ready():
                return
            if "Address already in use" not in self.log():
                break
            self._guardian = None
        raise ServerStartFailed(f"redis did not come up: {self.log()[-600:].strip()}")

    def _configured(self, certificates: Certificates) -> Path:
        """The file with the settings. Of the password, which everybody could read in a command, its hash."""
        lines = [
            "bind 127.0.0.1",
            "port 0",
            f"tls-port {self.port}",
            f"tls-cert-file {certificates.certificate}",
            f"tls-key-file {certificates.key}",
            f"tls-ca-cert-file {certificates.ca}",
            "tls-auth-clients no",
            # Nothing here outlives the process.
            'save ""',
            "user default off",
            f"user {self.superuser} on {password_hash(self.password)} ~* &* +@all",
        ]
        path = self.directory / "redis.conf"
        path.unlink(missing_ok=True)
        # Opened with its mode: a chmod afterwards would leave a moment in which others can read.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def _ready(self) -> bool:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            said = self.log()
            if "Ready to accept connections" in said:
                return True
            if "Failed listening" in said or "FATAL" in said:
                return False
            time.sleep(0.02)
        return False

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """A Secrets Manager value for a user of this server; for the administrator when none is named."""
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": username or self.superuser,
            "password": password or self.password,
            "sslrootcert": self.ca,
            **extra,
        }

    def execute(self, *command: str) -> Any:
        """Run one command as the administrator, in a session of its own; gives the answer."""
        import redis  # noqa: PLC0415 - only those who talk to it need the driver

        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": self.ca, "ssl_check_hostname": True}
        login: dict[str, Any] = {"username": self.superuser, "password": self.password}
        with redis.Redis(host=self.host, port=self.port, decode_responses=True, **login, **tls) as client:
            return client.execute_command(*command)

    def acl(self, command: str, *rules: str) -> Any:
        """Run one ``ACL`` command as the administrator: ``acl("SETUSER", name, "on", …)``."""
        return self.execute(f"ACL {command}", *rules)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}:{self.port})"


def password_hash(password: str) -> str:
    """A password as a rule of ``ACL SETUSER`` that does not show it; ``!`` in place of ``#`` removes it."""
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"
