"""PyMySQL's logins of applications over an unencrypted connection: none gives the password away.

The driver sends the password itself when a server asks for ``mysql_clear_password`` or ``dialog``. For full
authentication of ``caching_sha2_password`` and ``sha256_password`` it takes an RSA key from the server and
encrypts the password with that, so anyone who answers can read it. Without TLS these plugins are answered by
``authentication.py`` instead. Its errors are turned into the driver's, which applications handle.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pymysql import Error, OperationalError

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.authentication import PLUGINS, server_key

if TYPE_CHECKING:
    from rotators.core.secret import Secret

_CANNOT_LOAD = 2061  # CR_AUTH_PLUGIN_ERR
_MALFORMED = 2027  # CR_MALFORMED_PACKET
_REFUSED = (
    "the server asks for the password over an unencrypted connection; use TLS, or put the server's RSA key"
    " into the secret's server_public_key"
)
_PLUGINS = (
    "caching_sha2_password",
    "dialog",
    "mysql_clear_password",
    "mysql_old_password",
    "sha256_password",
)
"""Those with which the driver by itself would give the password away."""


def plugins(secret: Secret) -> dict[str, Any]:
    """The parameters of PyMySQL for an unencrypted connection.

    Args:
        secret: its ``server_public_key`` is the PEM text of the server's RSA key.

    Raises:
        SecretFormatError: it is not an RSA key in PEM.
    """
    return {
        "server_public_key": server_key(secret),
        "auth_plugin_map": {name: partial(_Adapted, PLUGINS[name]) for name in _PLUGINS},
    }


class _Adapted:
    """A plugin of ``authentication.py`` whose errors are PyMySQL's."""

    def __init__(self, plugin: Any, connection: Any) -> None:
        self._plugin = plugin(connection)

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request, and all that follow.

        Args:
            packet: the server's request.

        Returns:
            The packet that ends the login.

        Raises:
            pymysql.OperationalError: the server asks for what it must not get, or its answer is not of the
                protocol.
        """
        try:
            return self._plugin.authenticate(packet)
        except (Error, OSError):
            raise
        except TargetRefused:
            refusal = OperationalError(_CANNOT_LOAD, _REFUSED)
        except Exception:  # noqa: BLE001 - after an AttributeError the driver would answer 'dialog' by itself
            refusal = OperationalError(_MALFORMED, "unexpected packet during authentication")
        raise refusal
