"""How a login to MySQL or MariaDB answers the server's authentication plugin.

The server names the plugin, so a hostile one may ask for whatever gives the password away. These rules hold:

- In clear text, or with the hash of MySQL 4.0, the password is never sent (`mysql_clear_password`, `dialog`,
  `mysql_old_password`).
- `caching_sha2_password` and `sha256_password` send the password itself if the server does not have it in
  its cache: inside TLS, whose certificate was verified, or encrypted with the key that the secret holds in
  ``server_public_key``. PyMySQL alone would encrypt it with a key that it takes from any server that answers.
- Every other plugin is refused with its name.

MariaDB asks for the plugins of an account's alternatives one after the other; PyMySQL alone knows one change.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pymysql
from pymysql import _auth  # the scrambles; it has no public way to them

from rotators.core.errors import RotatorsError, SecretFormatError, TargetRefused
from rotators.engines.mysql.hashes import require_nacl
from rotators.logins.causes import failure
from rotators.logins.connecting import wants_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.secret import Secret

    _Driver = pymysql.Connection[Any]
else:
    # At run time it takes no type parameter.
    _Driver = pymysql.Connection

_MOST_PLUGINS = 8
"""Changes of the plugin in one login. An account has two or three alternatives."""

_FAST_DONE, _FULL = b"\1\3", b"\1\4"


class Connection(_Driver):
    """A connection whose errors are the driver's own or ours, and that runs no statement by itself.

    Attributes:
        accepted_plugin: the plugin that the login used, as the server stores its name; empty before that.
    """

    accepted_plugin: str = ""
    # Private attributes of the driver, which has no public ways to them.
    _secure: bool
    _sock: Any
    _auth_plugin_name: str
    _force_close: Callable[[], None]

    @property
    def protected(self) -> bool:
        """Whether the connection uses TLS; the server's certificate was verified then."""
        return self._secure

    @property
    def cipher(self) -> str:
        """The cipher of TLS; empty without TLS."""
        return str(self._sock.cipher()[0]) if self._secure else ""

    @property
    def number(self) -> int:
        """The number of the connection in the server's greeting."""
        return int(self.thread_id())  # type: ignore[no-untyped-call] # of the stubs

    def connect(self, sock: Any = None) -> None:
        """Log in over a socket."""
        super().connect(sock)
        self.accepted_plugin = self.accepted_plugin or self._auth_plugin_name

    def abandon(self) -> None:
        """Close the connection without a word; close() would first wait for a server that may be dead."""
        self._force_close()

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Nothing: a session pins the character set together with the other settings."""

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement.

        Raises:
            TargetUnavailable: the answer is not of the protocol, or asks for a local file.
        """
        try:
            return int(super().query(sql, unbuffered))
        except (pymysql.Error, OSError, RotatorsError):
            raise
        except Exception:  # noqa: BLE001 - the driver raises what its parser happens to: IndexError, RuntimeError …
            self._force_close()
            raise failure("protocol", "running a statement") from None


def server_key(secret: Secret) -> bytes | None:
    """The RSA key of the server that a secret holds for unencrypted connections; None if there is none.

    Raises:
        SecretFormatError: it is not the PEM text of an RSA public key.
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
    """One way to answer. PyMySQL makes an object for each request of the server, and calls ``authenticate``.

    Args:
        connection: of the login.
    """

    stored: ClassVar[str] = ""
    """The plugin's name in the server's tables."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request, and all that follow.

        Args:
            packet: the server's request, whose plugin name was read already.

        Returns:
            The packet that ends the login.
        """
        packet = self._answer(packet)
        for _ in range(_MOST_PLUGINS):
            if not packet.is_auth_switch_request():
                return packet
            packet.read_uint8()
            name = (packet.read_string() or b"").decode("latin-1")
            packet = PLUGINS.get(name)(self._connection)._answer(packet)  # noqa: SLF001 - of its kind
        raise failure("protocol", self._where())

    def _answer(self, packet: Any) -> Any:
        """Answer one request of this plugin; the packet that comes back."""
        raise NotImplementedError

    def _where(self) -> str:
        connection = self._connection
        user = connection.user.decode(errors="replace")
        return f"Unable to log into database at {connection.host}:{connection.port} as {user!r}"

    def _sent(self, data: bytes) -> Any:
        self._connection.accepted_plugin = self.stored
        self._connection.write_packet(data)
        return self._connection._read_packet()  # noqa: SLF001 - what PyMySQL's own plugins call

    def _salt(self, packet: Any) -> bytes:
        """What the scramble is made with, from the server's request."""
        if not packet.is_auth_switch_request():
            raise failure("protocol", self._where())
        self._connection.salt = packet.read_all().removesuffix(b"\0")
        return bytes(self._connection.salt)


class _Refused(_Plugin):
    """Would send the password in clear text or hardly hashed."""

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
        # Its challenge is 32 bytes, any of which may be zero.
        if not packet.is_auth_switch_request():
            raise failure("protocol", self._where())
        return self._sent(_auth.ed25519_password(self._connection.password, packet.read_all()))


class _Sha256(_Plugin):
    stored = "sha256_password"

    def _answer(self, packet: Any) -> Any:
        # Without a request the salt is the greeting's. A key that the server sends here is ignored.
        switched = packet.is_auth_switch_request()
        return self._password(self._salt(packet) if switched else bytes(self._connection.salt))

    def _password(self, salt: bytes) -> Any:
        """Send the password itself, if nobody but the server can read it."""
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
            return connection._read_packet()  # noqa: SLF001 - what PyMySQL's own plugins call
        if said == _FULL:
            return self._password(bytes(connection.salt))
        if packet.is_extra_auth_data():
            # Else the driver would give it to this plugin again and again.
            raise failure("protocol", self._where())
        return packet


class _Plugins(dict[str, Any]):
    """By the name that the server asks with. PyMySQL looks for the name as bytes first, then as text."""

    def get(self, name: object, _default: object = None) -> Any:
        """The class for a plugin; for one that is not known, a class that refuses it by name."""
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
            remedy="Give the user another plugin (docs/reference/mysql.md lists them). Look also whether the"
            " user exists: for one that is missing, MariaDB asks for any plugin.",
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
"""The plugins that PyMySQL is given."""
