"""The TLS of a login to PostgreSQL, verified as libpq's ``verify-full`` does, and its channel binding."""

from __future__ import annotations

import hashlib
import os
import ssl
from typing import TYPE_CHECKING

from rotators.core.errors import TargetUnavailable
from rotators.logins.connecting import SYSTEM_ROOTS

if TYPE_CHECKING:
    import socket

# PostgreSQL manual, "Support for ALPN".
_PROTOCOL = "postgresql"
# OpenSSL's documentation, X509_STORE_CTX_get_error.
_REASONS = {9: "tls-not-yet-valid", 10: "tls-expired", 62: "tls-host", 64: "tls-host"}
# Signature algorithms as their DER, and the hash that RFC 5929, section 4.1, derives from each.
_HASHES = {
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption: SHA-256 takes its place
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
        channel: connected, after the server agreed to TLS.
        host: the name that the certificate must be for.
        roots: file of the trusted certificates, or SYSTEM_ROOTS.

    Raises:
        ssl.SSLError, OSError: the handshake failed; see ``reason_of``.
        TargetUnavailable: the client certificate that the environment names cannot be used.
    """
    context = ssl.create_default_context(cafile=None if roots == SYSTEM_ROOTS else roots)
    # The authorities of managed services lack newer extensions.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols([_PROTOCOL])
    _identify(context)
    return context.wrap_socket(channel, server_hostname=host)


def _identify(context: ssl.SSLContext) -> None:
    """Offer the client certificate that the environment names, if it names one."""
    certificate, key = os.environ.get("PGSSLCERT"), os.environ.get("PGSSLKEY")
    if not certificate:
        return
    try:
        # An encrypted key must not make OpenSSL ask a terminal for its password.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except OSError:
        raise TargetUnavailable(
            "the client certificate of PGSSLCERT, or its key in PGSSLKEY, cannot be used",
            reason="tls-client-certificate",
            remedy="Put both files into the function: PEM, readable, the key without a password.",
        ) from None


def reason_of(error: ssl.SSLError) -> str:
    """The key of ``logins.causes.CAUSES`` for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _REASONS.get(error.verify_code, "tls-untrusted")
    # A server that is just stopping hangs up in the middle of the handshake.
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed"
    return "tls-no-ca" if error.reason == "NO_CERTIFICATE_OR_CRL_FOUND" else "tls"


def binding_of(channel: socket.socket) -> bytes | None:
    """The digest of the server's certificate for ``tls-server-end-point``.

    Returns:
        None without TLS, or for a signature algorithm whose hash is not known here.
    """
    certificate = channel.getpeercert(binary_form=True) if isinstance(channel, ssl.SSLSocket) else None
    if certificate is None:
        return None
    name = _HASHES.get(_signature_algorithm(certificate))
    return hashlib.new(name, certificate).digest() if name else None


def _signature_algorithm(certificate: bytes) -> str:
    """RFC 5280: a certificate is a sequence of what is signed, the algorithm's identifier, the signature."""
    inside, _ = _span(certificate, 0)
    _, after_signed = _span(certificate, inside)
    identifier, _ = _span(certificate, after_signed)
    start, end = _span(certificate, identifier)
    return certificate[start:end].hex()


def _span(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the DER element at a position begins and ends."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    return start, start + length
