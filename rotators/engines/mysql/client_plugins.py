"""PyMySQL's logins over an unencrypted connection: the ones that give the password away are refused.

The driver sends the password itself when a server asks for ``mysql_clear_password`` or ``dialog``. For full
authentication of ``caching_sha2_password`` and ``sha256_password`` it takes an RSA key from the server and
encrypts the password with that, so anyone who answers can read it. Without TLS the former are refused,
and the latter use the key in the secret (``server_public_key``) or are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pymysql import OperationalError, _auth

from rotators.engines.mysql.authentication import server_key

if TYPE_CHECKING:
    from rotators.core.secret import Secret

_CANNOT_LOAD = 2061  # CR_AUTH_PLUGIN_ERR
_FULL = 4  # the server's answer to the hash: it wants the password


def plugins(secret: Secret) -> dict[str, Any]:
    """The parameters of PyMySQL for an unencrypted connection.

    Args:
        secret: its ``server_public_key`` is the PEM text of the server's RSA key.

    Raises:
        SecretFormatError: it is not an RSA key in PEM.
    """
    return {
        "server_public_key": server_key(secret),
        "auth_plugin_map": {
            "caching_sha2_password": _CachingSha2,
            "sha256_password": _Sha256,
            **dict.fromkeys(("dialog", "mysql_clear_password", "mysql_old_password"), _Refused),
        },
    }


class _Refused:
    """A way to log in that would send the password itself, or an easily broken hash of it."""

    def __init__(self, connection: Any) -> None:
        """Keep what PyMySQL gives every plugin: the connection that logs in."""
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        """Refuse, whatever the server says."""
        del packet
        self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise OperationalError(
            _CANNOT_LOAD,
            "the server asks for the password over an unencrypted connection; use TLS, or put the server's"
            " RSA key into the secret's server_public_key",
        )


class _Sha256(_Refused):
    """Sends the password encrypted with the key in the secret, never with a key from the server."""

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request for the password.

        Raises:
            pymysql.OperationalError: the secret has no key, or the server rejects the password.
        """
        connection = self._connection
        if not connection.server_public_key:
            self._refuse()
        if packet.is_auth_switch_request():
            connection.salt = packet.read_all().removesuffix(b"\0")
        key = connection.server_public_key
        connection.write_packet(_auth.sha2_rsa_encrypt(connection.password, connection.salt, key))
        answer = connection._read_packet()  # noqa: SLF001 - the driver has no public way
        answer.check_error()
        return answer


class _CachingSha2(_Refused):
    """Sends a hash, and the password itself only encrypted with the key in the secret."""

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request for the hash, or for the password.

        Raises:
            pymysql.OperationalError: as for ``_Sha256.authenticate``.
        """
        connection = self._connection
        if not connection.server_public_key:
            # A key of nobody's: without one the driver would ask the server for its own.
            connection.server_public_key = b"none"
        try:
            return _auth.caching_sha2_password_auth(connection, packet)
        except ValueError:
            self._refuse()
