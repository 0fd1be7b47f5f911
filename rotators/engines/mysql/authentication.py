"""Answers to the authentication plugins of MySQL and MariaDB servers.

The server names the plugin, so a hostile server may request one that reveals the password. These rules hold:

- The password is never sent in clear text or with the hash of MySQL 4.0 (`mysql_clear_password`, `dialog`,
  `mysql_old_password`).
- `caching_sha2_password` and `sha256_password` send the password itself if the server does not have it in
  its cache: inside TLS, whose certificate was verified, or encrypted with the key that the secret holds in
  ``server_public_key``. PyMySQL alone would encrypt it with a key that it takes from any server that answers.
- Every other plugin is refused, and the error names it.

MariaDB requests the plugins of an account's alternatives in turn; PyMySQL alone supports a single change.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pymysql
from pymysql import _auth  # the scramble functions; PyMySQL has no public names for them

from rotators.core.errors import RotatorsError, SecretFormatError, TargetRefused
from rotators.engines.mysql.hashes import require_nacl
from rotators.logins.causes import failure
from rotators.logins.connecting import wants_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.secret import Secret

    _Driver = pymysql.Connection[Any]
else:
    # At run time the class takes no type parameter.
    _Driver = pymysql.Connection

_MOST_PLUGINS = 8
"""Most plugin changes in one login. An account has two or three alternatives."""

_FAST_DONE, _FULL = b"\1\3", b"\1\4"


class MySqlConnection(_Driver):
    """PyMySQL connection that raises the driver's errors or ours, and runs no statement by itself.

    Attributes:
        accepted_plugin: plugin that the login used, as the server stores its name; empty before a login.
    """

    accepted_plugin: str = ""
    # Private attributes of the driver; it has no public equivalents.
    _secure: bool
    _sock: Any
    _auth_plugin_name: str
    _force_close: Callable[[], None]

    @property
    def protected(self) -> bool:
        """Return True if the connection uses TLS, which implies a verified server certificate."""
        return self._secure

    @property
    def cipher(self) -> str:
        """Return the TLS cipher; empty without TLS."""
        return str(self._sock.cipher()[0]) if self._secure else ""

    @property
    def number(self) -> int:
        """Return the connection number from the server's greeting."""
        return int(self.thread_id())  # type: ignore[no-untyped-call] # of the stubs

    def connect(self, sock: Any = None) -> None:
        """Log in over a socket.

        Args:
            sock: connected socket; None opens a connection to the configured host.
        """
        super().connect(sock)
        self.accepted_plugin = self.accepted_plugin or self._auth_plugin_name

    def abandon(self) -> None:
        """Close the connection without a message; close() would first wait for a server that may be dead."""
        self._force_close()

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Do nothing: a session sets the character set together with its other settings.

        Args:
            charset: ignored.
            collation: ignored.
        """

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement.

        Args:
            sql: statement.
            unbuffered: True to read rows from the server one by one.

        Returns:
            Number of rows read or changed.

        Raises:
            TargetUnavailable: the answer violates the protocol, or asks for a local file.
        """
        try:
            return int(super().query(sql, unbuffered))
        except (pymysql.Error, OSError, RotatorsError):
            raise
        except Exception:  # noqa: BLE001 - the driver's parser raises many types: IndexError, RuntimeError …
            self._force_close()
            raise failure("protocol", "running a statement") from None


def server_key(secret: Secret) -> bytes | None:
    """Return the server's RSA key for unencrypted connections, or None if the secret has none.

    Args:
        secret: value; its ``server_public_key`` is the PEM text of the key.

    Returns:
        The PEM text as bytes; None also if the connection uses TLS, which needs no key.

    Raises:
        SecretFormatError: the key is not the PEM text of an RSA public key.
    """
    if not secret.get("server_public_key") or wants_tls(secret):
        return None
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - costs a cold start, rarely needed
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - the same

    text = secret.text("server_public_key").encode()
    try:
        usable = isinstance(load_pem_public_key(text), RSAPublicKey)
    except (ValueError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        raise SecretFormatError(
            "key 'server_public_key' of the secret is not an RSA public key in PEM",
            remedy="Store what the server shows in its status variable Caching_sha2_password_rsa_public_key.",
        )
    return text


class _Plugin:
    """Client side of one plugin. PyMySQL creates one per request of the server and calls ``authenticate``.

    Args:
        connection: connection that logs in.
    """

    stored: ClassVar[str] = ""
    """The plugin's name in the server's tables."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request, and all that follow.

        Args:
            packet: the server's request; its plugin name was read already.

        Returns:
            Packet that ends the login.
        """
        packet = self._answer(packet)
        for _ in range(_MOST_PLUGINS):
            if not packet.is_auth_switch_request():
                return packet
            packet.read_uint8()
            name = (packet.read_string() or b"").decode("latin-1")
            packet = PLUGINS.get(name)(self._connection)._answer(packet)  # noqa: SLF001 - same class family
        raise failure("protocol", self._where())

    def _answer(self, packet: Any) -> Any:
        """Answer one request of this plugin, and return the server's next packet."""
        raise NotImplementedError

    def _where(self) -> str:
        connection = self._connection
        user = connection.user.decode(errors="replace")
        return f"Unable to log into database at {connection.host}:{connection.port} as {user!r}"

    def _sent(self, data: bytes) -> Any:
        self._connection.accepted_plugin = self.stored
        self._connection.write_packet(data)
        return self._connection._read_packet()  # noqa: SLF001 - PyMySQL's own plugins call it

    def _salt(self, packet: Any) -> bytes:
        """Return the salt of the scramble, from the server's request."""
        if not packet.is_auth_switch_request():
            raise failure("protocol", self._where())
        self._connection.salt = packet.read_all().removesuffix(b"\0")
        return bytes(self._connection.salt)


class _Refused(_Plugin):
    """A plugin that would send the password in clear text or weakly hashed."""

    def _answer(self, packet: Any) -> Any:
        del packet
        raise failure("auth-method", self._where())


class _Native(_Plugin):
    stored = "mysql_native_password"

    def _answer(self, packet: Any) -> Any:
        return self._sent(_auth.scramble_native_password(self._connection.password, self._salt(packet)))


class _Ed25519(_Plugin):
    stored = "ed25519"

    def _answer(self, packet: Any) -> Any:
        require_nacl()
        # The challenge has 32 bytes, any of which may be zero.
        if not packet.is_auth_switch_request():
            raise failure("protocol", self._where())
        return self._sent(_auth.ed25519_password(self._connection.password, packet.read_all()))


class _Sha256(_Plugin):
    stored = "sha256_password"

    def _answer(self, packet: Any) -> Any:
        # Without a request the greeting has the salt. A key that the server sends here is ignored.
        switched = packet.is_auth_switch_request()
        return self._password(self._salt(packet) if switched else bytes(self._connection.salt))

    def _password(self, salt: bytes) -> Any:
        """Send the password itself, if only the server can read it."""
        connection = self._connection
        if connection._secure:  # noqa: SLF001 - also of the driver's own connections, see client_plugins.py
            return self._sent(connection.password + b"\0")
        if connection.server_public_key is None:
            raise TargetRefused(
                f"{self._where()}: the server asks for the password itself ({self.stored}) over a connection"
                " without TLS, where anybody may have answered",
                reason="clear-text",
                remedy='Remove "ssl": false from the secret, or put the RSA key of the server into its'
                " server_public_key.",
            )
        return self._sent(_auth.sha2_rsa_encrypt(connection.password, salt, connection.server_public_key))


class _CachingSha2(_Sha256):
    stored = "caching_sha2_password"

    def _answer(self, packet: Any) -> Any:
        connection = self._connection
        if packet.is_auth_switch_request():
            packet = self._sent(_auth.scramble_caching_sha2(connection.password, self._salt(packet)))
        connection.accepted_plugin = self.stored
        said = bytes(packet.get_all_data()[:2])
        if said == _FAST_DONE:
            return connection._read_packet()  # noqa: SLF001 - PyMySQL's own plugins call it
        if said == _FULL:
            return self._password(bytes(connection.salt))
        if packet.is_extra_auth_data():
            # Otherwise the driver would pass it to this plugin again and again.
            raise failure("protocol", self._where())
        return packet


class _Plugins(dict[str, Any]):
    """Plugins by the name that the server requests. PyMySQL looks it up as bytes first, then as text."""

    def get(self, name: object, _default: object = None) -> Any:
        """Return the class of a plugin, or for an unknown name a class that refuses it and names it.

        Args:
            name: name of the plugin, as bytes or text.
        """
        if not isinstance(name, str):
            return None
        return self[name] if name in self else partial(_Unknown, name)


class _Unknown(_Plugin):
    def __init__(self, name: str, connection: Any) -> None:
        super().__init__(connection)
        self._name = name

    def _answer(self, packet: Any) -> Any:
        del packet
        raise TargetRefused(
            f"{self._where()}: the server asks for the plugin {self._name[:64]!r}, with which this driver"
            " cannot log in",
            reason="plugin",
            remedy="Give the user another plugin (docs/reference/mysql.md lists them). Also check that the"
            " user exists: MariaDB asks for an arbitrary plugin if it does not.",
        )


PLUGINS = _Plugins(
    {
        "mysql_native_password": _Native,
        "client_ed25519": _Ed25519,
        "sha256_password": _Sha256,
        "caching_sha2_password": _CachingSha2,
        **dict.fromkeys(("mysql_clear_password", "mysql_old_password", "dialog"), _Refused),
    }
)
"""Plugins that are passed to PyMySQL."""
