"""A private Redis server on loopback, for this process alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rotators.local.errors import ServerNotFound
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer, find_program

if TYPE_CHECKING:
    from pathlib import Path

RIGHTS = ("~*", "&*", "+@read", "+@write", "+@connection")
"""Rules of ordinary users."""

_SYSTEM = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")


class RedisServer(PrivateServer):
    """A private server that accepts only TLS.

    Args:
        settings: further lines of its configuration file.
        default_user: rules of the user ``default``.
        acl_file: True to keep the users in ``users.acl`` instead of the configuration file.

    Attributes:
        product: name in the names of its programs.
    """

    engine = "redis"
    product = "redis"
    superuser = "admin"
    ready_text = "Ready to accept connections"
    failed_texts = ("Failed listening", "FATAL")

    def __init__(
        self, settings: Sequence[str] = (), *, default_user: str = "off", acl_file: bool = False
    ) -> None:
        super().__init__()
        self._settings, self._default_user, self._acl_file = tuple(settings), default_user, acl_file
        self._admin: Any = None  # the driver, whose methods have no types

    @classmethod
    def find(cls) -> Path:
        """Return the path of ``redis-server`` or, for Valkey, ``valkey-server``. See find_program."""
        program, variable = f"{cls.product}-server", f"{cls.product.upper()}_BIN"
        missing = ServerNotFound(
            f"no {program} was found on this machine",
            remedy=f"Install {program}, or set {variable} to its bin directory.",
        )
        return find_program(program, variable, _SYSTEM, missing)

    def _prepare(self) -> None:
        self._program = self.find()

    def _command(self) -> list[str]:
        # Only the hash of the password is written, because every user could read it in a command.
        lines = [
            # A second address, for another host name. The hyphen makes it optional.
            "bind 127.0.0.1 -127.0.0.2",
            "port 0",
            f"tls-port {self.port}",
            "tls-cert-file server.pem",
            "tls-key-file server.key",
            "tls-ca-cert-file ca.pem",
            "tls-auth-clients no",
            # The data is deleted with the process.
            'save ""',
            *self._settings,
        ]
        users = [
            f"user default {self._default_user}",
            f"user {self.superuser} on {password_hash(self.password)} ~* &* +@all",
        ]
        if self._acl_file:
            write_private(self.directory / "users.acl", "\n".join(users) + "\n")
            lines.append("aclfile users.acl")
        else:
            lines += users
        settings = self.directory / "redis.conf"
        write_private(settings, "\n".join(lines) + "\n")
        return [str(self._program), str(settings)]

    def execute(self, *command: str) -> Any:
        """Run one command as the administrator, and return the answer.

        All commands share a session. The driver's TLS reads the system's certificates too, so a login takes
        longer than a hundred commands.
        """
        import redis  # noqa: PLC0415 - only its clients need the driver

        if self._admin is None:
            tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": self.ca, "ssl_check_hostname": True}
            login: dict[str, Any] = {"username": self.superuser, "password": self.password}
            self._admin = redis.Redis(host=self.host, port=self.port, decode_responses=True, **login, **tls)
        return self._admin.execute_command(*command)

    def stop(self) -> None:
        """See PrivateServer.stop."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        super().stop()

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user. The user may read and write all keys."""
        self.acl("SETUSER", name, "on", password_hash(password), *RIGHTS)

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        place = f"-h {self.host} -p {self.port} --tls --cacert {self.ca}"
        return "REDISCLI_AUTH", f"{self.product}-cli {place} --user {user}"

    def acl(self, command: str, *rules: str) -> Any:
        """Run one ``ACL`` command as the administrator: ``acl("SETUSER", name, "on", …)``.

        Args:
            command: the word after ``ACL``.
            *rules: arguments of the command.

        Returns:
            The answer as redis-py parses it.
        """
        return self.execute(f"ACL {command}", *rules)


def password_hash(password: str) -> str:
    """Return the hash of a password as a rule of ``ACL SETUSER``; ``!`` instead of ``#`` removes it."""
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


SERVER = RedisServer
