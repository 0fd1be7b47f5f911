"""The kit's target for rotators of Redis and Valkey: a private server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rotators.local.servers.redis import RIGHTS, RedisServer, password_hash
from rotators.testing._recorder import Hook, Kind
from rotators.testing._target import HOSTILE_PASSWORDS, ServerTarget, Value

REDIS_OPERATIONS = (
    Hook("redis.connection:AbstractConnection.connect", Kind.CONNECT, lambda _: "connect", "disconnect"),
    Hook("redis:Redis.execute_command", Kind.STATEMENT, lambda arguments: str(arguments[1])),
)


class _TlsConnection(redis.SSLConnection):
    """The driver's connection without the system's certificates, which take 30 ms to read."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.ca_certs)
        return context.wrap_socket(sock, server_hostname=self.host)


class RedisTarget(ServerTarget):
    """Users of a Redis server.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = REDIS_OPERATIONS
    commits: ClassVar[str] = "ACL SETUSER"
    # The servers allow neither blanks nor NUL characters in names.
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent%s",
        "ünïcødé-日本語",
        "back\\slash;--",
        "*",
        "~pattern",
        "#digest",
        "-@all",
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        *HOSTILE_PASSWORDS,
        "line\r\nbreaks",
        "#digest >clear <gone",
    )

    _server: RedisServer

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        roots = value.get("sslrootcert")
        connection: Any = (_TlsConnection if roots else redis.Connection)(
            host=value["host"],
            port=value["port"],
            username=value["username"],
            password=value["password"],
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            **({"ssl_ca_certs": roots} if roots else {}),
        )
        try:
            connection.connect()
        except redis.AuthenticationError:
            return False
        finally:
            connection.disconnect()
        return True

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._server.acl("DELUSER", value["username"])

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint. Passwords are counted only."""
        found = self._server.acl("GETUSER", value["username"])
        return {**found, "passwords": len(found["passwords"])}

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        return sum(client["user"] == value["username"] for client in self._server.execute("CLIENT LIST"))

    def takes_name(self, name: str) -> bool:
        """See Target.takes_name. Names have no blanks and no NUL characters."""
        return not any(character.isspace() or character == "\0" for character in name)

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        self._server.acl("SETUSER", value["username"], "+@all")

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. A disabled user is rejected as if its password were wrong."""
        self._server.acl("SETUSER", value["username"], "off")
        return True

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._server.acl("SETUSER", value["username"], "on")

    def lookalikes(self, name: str) -> Sequence[str]:
        """See Target.lookalikes."""
        return (f"{name}@%", f"{name}x", name.swapcase())

    def _create(self, name: str, password: str) -> Value:
        self._server.acl("SETUSER", name, "on", password_hash(password), *RIGHTS)
        return self._server.secret(name, password)

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._server.acl("SETUSER", value["username"], "resetpass", password_hash(password))


TARGET = RedisTarget
