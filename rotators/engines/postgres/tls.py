"""TLS of a login to PostgreSQL, verified like libpq's ``verify-full``, and its channel binding."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl

from rotators.core.errors import TargetUnavailable
from rotators.logins.channel import tls_context

# PostgreSQL manual, "Support for ALPN".
_PROTOCOL = "postgresql"
# Signature algorithms as their DER, and the hash that RFC 5929, section 4.1, derives from each.
_HASHES = {
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption: SHA-256 is used instead
    "2a864886f70d010105": "sha256",  # sha1WithRSAEncryption: the same
    "2a864886f70d01010b": "sha256",
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a8648ce3d0401": "sha256",  # ecdsa-with-SHA1: the same
    "2a8648ce3d040302": "sha256",
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
}


def secured(channel: socket.socket, host: str, roots: str) -> ssl.SSLSocket:
    """Encrypt a connection, and verify the server's certificate and name.

    Args:
        channel: connected socket, after the server agreed to TLS.
        host: name that the certificate must be for.
        roots: file of the trusted certificates, or SYSTEM_ROOTS.

    Returns:
        The encrypted socket, which replaces ``channel``.

    Raises:
        ssl.SSLError, OSError: the handshake failed; see ``logins.channel.reason_of``.
        TargetUnavailable: the file has no certificates, or the client certificate that the environment
            names cannot be used.
    """
    context = tls_context(roots)
    context.set_alpn_protocols([_PROTOCOL])
    _identify(context)
    return context.wrap_socket(channel, server_hostname=host)


def _identify(context: ssl.SSLContext) -> None:
    """Offer the client certificate that the environment names, if it names one."""
    certificate, key = os.environ.get("PGSSLCERT"), os.environ.get("PGSSLKEY")
    if not certificate:
        return
    try:
        # With an encrypted key, OpenSSL must not ask for its password on a terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except OSError:
        raise TargetUnavailable(
            "the client certificate of PGSSLCERT, or its key in PGSSLKEY, cannot be used",
            reason="tls-client-certificate",
            remedy="Put both files into the function: PEM, readable, the key without a password.",
        ) from None


def binding_of(channel: socket.socket) -> bytes | None:
    """Return the digest of the server's certificate for ``tls-server-end-point``.

    Args:
        channel: socket after the handshake, or without TLS.

    Returns:
        None without TLS, or for a signature algorithm whose hash is not known here.
    """
    certificate = channel.getpeercert(binary_form=True) if isinstance(channel, ssl.SSLSocket) else None
    if certificate is None:
        return None
    name = _HASHES.get(_signature_algorithm(certificate))
    return hashlib.new(name, certificate).digest() if name else None


def _signature_algorithm(certificate: bytes) -> str:
    """Return the signature algorithm of a certificate: its DER as hexadecimals.

    RFC 5280: a certificate is a sequence of the signed part, the algorithm's identifier and the signature.
    """
    inside, _ = _span(certificate, 0)
    _, after_signed = _span(certificate, inside)
    identifier, _ = _span(certificate, after_signed)
    start, end = _span(certificate, identifier)
    return certificate[start:end].hex()


def _span(data: bytes, at: int) -> tuple[int, int]:
    """Return the first and the end position of the content of the DER element at a position."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    return start, start + length
