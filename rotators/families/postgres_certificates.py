"""Why the certificate of a PostgreSQL server was not accepted.

libpq says "certificate verify failed" and no more, so the handshake is repeated with Python's own TLS, which
says why. No user and no password are sent.
"""

from __future__ import annotations

import socket
import ssl
import struct

from rotators.strategies.connecting import SYSTEM_ROOTS

# PostgreSQL's documentation, "Message Formats": SSLRequest is its length, 8, and this number.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_SECONDS = 2.0
# OpenSSL's documentation, X509_STORE_CTX_get_error.
_REASONS = {9: "tls-not-yet-valid", 10: "tls-expired"}


def why_untrusted(address: str, port: int, roots: str) -> str:
    """The reason why a server's certificate is not accepted.

    Args:
        address: of the server.
        port: of the server.
        roots: file of the trusted certificates, or SYSTEM_ROOTS.

    Returns:
        A key of ``strategies.causes.CAUSES``: ``tls-expired``, ``tls-not-yet-valid``, or ``tls-untrusted``
        for any other reason, also when the server does not answer this time.
    """
    try:
        context = ssl.create_default_context(cafile=None if roots == SYSTEM_ROOTS else roots)
        # The name is libpq's to check; the authorities of managed services lack newer extensions.
        context.check_hostname = False
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with socket.create_connection((address, port), _SECONDS) as channel:
            channel.sendall(_SSL_REQUEST)
            channel.recv(1)
            context.wrap_socket(channel).close()
    except ssl.SSLCertVerificationError as error:
        return _REASONS.get(error.verify_code, "tls-untrusted")
    except OSError:
        pass
    return "tls-untrusted"
