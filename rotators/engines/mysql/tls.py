"""TLS of connections to MySQL and MariaDB."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from rotators.logins.causes import failure
from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots

if TYPE_CHECKING:
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


def tls_parameters(secret: Secret, settings: Settings) -> dict[str, Any]:
    """The parameters of PyMySQL for the encryption that a secret asks for.

    Args:
        secret: its ``ssl`` and ``sslrootcert``.
        settings: then SSL_ROOT_CERT.

    Raises:
        SecretFormatError, TargetUnavailable: see ``trusted_roots``.
    """
    roots = trusted_roots(secret, settings, "MYSQL_SSL_CA")
    if roots is None:
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=None if roots == SYSTEM_ROOTS else roots)
    except (OSError, ssl.SSLError):
        raise failure("tls-no-ca", "reading the trusted certificates") from None
    # The authorities of managed services predate the extensions that Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return {"ssl": context}
