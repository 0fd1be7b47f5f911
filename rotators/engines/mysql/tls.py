"""TLS of connections to MySQL and MariaDB."""

from __future__ import annotations

from typing import Any

from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.channel import tls_context
from rotators.logins.connecting import trusted_roots


def tls_parameters(secret: Secret, settings: Settings) -> dict[str, Any]:
    """Return PyMySQL's parameters for the encryption that a secret asks for.

    Args:
        secret: value; its ``ssl`` and ``sslrootcert``.
        settings: settings of the function; SSL_ROOT_CERT applies if the secret has no ``sslrootcert``.

    Returns:
        ``{"ssl": context}``, or ``{"ssl_disabled": True}`` for a secret with ``"ssl": false``.

    Raises:
        SecretFormatError, TargetUnavailable: see ``trusted_roots``.
    """
    roots = trusted_roots(secret, settings, "MYSQL_SSL_CA")
    if roots is None:
        return {"ssl_disabled": True}
    return {"ssl": tls_context(roots)}
