"""Keeps the passwords of applications safe when PyMySQL logs in over an unencrypted connection.

The driver sends the password itself when a server asks for ``mysql_clear_password`` or ``dialog``. For full
authentication of ``caching_sha2_password`` and ``sha256_password`` it accepts an RSA key from the server and
encrypts the password with it, so any impostor can read it. Without TLS ``authentication.py`` answers these
plugins instead. Its errors are translated into the driver's, which applications handle.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pymysql import Error, OperationalError

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.engines.mysql.authentication import PLUGINS, server_key

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
"""Plugins with which the driver alone would reveal the password."""


def plugins(secret: Secret) -> dict[str, Any]:
    """Return PyMySQL's parameters for an unencrypted connection.

    Args:
        secret: value; its ``server_public_key`` is the PEM text of the server's RSA key.

    Returns:
        Arguments of ``pymysql.connect``: ``server_public_key`` and ``auth_plugin_map``.

    Raises:
        SecretFormatError: the key is not an RSA key in PEM.
    """
    return {
        "server_public_key": server_key(secret),
        "auth_plugin_map": {name: partial(_Adapted, PLUGINS[name]) for name in _PLUGINS},
    }


class _Adapted:
    """A plugin of ``authentication.py`` that raises PyMySQL's errors."""

    def __init__(self, plugin: Any, connection: Any) -> None:
        self._plugin = plugin(connection)

    def authenticate(self, packet: Any) -> Any:
        """Answer the server's request, and all following ones.

        Args:
            packet: the server's request.

        Returns:
            Packet that ends the login.

        Raises:
            pymysql.OperationalError: the server asks for something that it must not get, or its answer
                violates the protocol.
        """
        try:
            return self._plugin.authenticate(packet)
        except (Error, OSError):
            raise
        except TargetRefused:
            refusal = OperationalError(_CANNOT_LOAD, _REFUSED)
        except Exception:  # noqa: BLE001 - after an AttributeError the driver would answer 'dialog' itself
            refusal = OperationalError(_MALFORMED, "unexpected packet during authentication")
        raise refusal
