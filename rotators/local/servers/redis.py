"""A private Redis server on loopback, for this process alone."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from rotators.core.errors import ServerNotFound
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer

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
    """A private server that takes TLS only. Nobody gets in without a name: the user ``default`` is off."""

    engine = "redis"
    superuser = "admin"
    ready_text = "Ready to accept connections"
    failed_texts = ("Failed listening", "FATAL")
    ready_seconds = 15.0

    def _prepare(self) -> None:
        self._program = find_redis()

    def _command(self) -> list[str]:
        # Of the password, which everybody could read in a command, only the hash is written.
        lines = [
            "bind 127.0.0.1",
            "port 0",
            f"tls-port {self.port}",
            "tls-cert-file server.pem",
            "tls-key-file server.key",
            "tls-ca-cert-file ca.pem",
            "tls-auth-clients no",
            # Nothing here outlives the process.
            'save ""',
            "user default off",
            f"user {self.superuser} on {password_hash(self.password)} ~* &* +@all",
        ]
        settings = self.directory / "redis.conf"
        write_private(settings, "\n".join(lines) + "\n")
        return [str(self._program), str(settings)]

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


def password_hash(password: str) -> str:
    """A password as a rule of ``ACL SETUSER`` that does not show it; ``!`` in place of ``#`` removes it."""
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"
