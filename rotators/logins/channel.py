"""TLS settings, causes of failed connections, and sockets to servers whose protocol begins with TLS."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rotators.core.errors import RotatorFailure, TargetUnavailable
from rotators.logins.causes import CONNECT_SECONDS, failure
from rotators.logins.connecting import SESSION_SECONDS, SYSTEM_ROOTS, addresses_with_time, cut_after

# OpenSSL's documentation, X509_STORE_CTX_get_error.
_REASONS = {9: "tls-not-yet-valid", 10: "tls-expired", 62: "tls-host", 64: "tls-host"}
_ERRNO = {
    errno.ECONNREFUSED: "closed-port",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


@contextmanager
def held(host: str, port: int, roots: str | None, until: float, doing: str) -> Iterator[socket.socket]:
    """Connect to a server for a whole session; the connection is cut at the end of its time.

    Args:
        host: name or address; the certificate must be for it.
        port: port of the server.
        roots: as for ``opened``.
        until: end of the session, by ``time.monotonic``.
        doing: purpose of the connection; shown in the error.

    Yields:
        A connected socket, which is closed at the end of the block.

    Raises:
        TargetUnavailable: as ``opened``; or the block raised one, because the connection was cut.
    """
    channel = opened(host, port, roots, min(until, time.monotonic() + CONNECT_SECONDS), doing)
    try:
        with cut_after(max(until - time.monotonic(), 0.1), channel.fileno()) as silent:
            try:
                yield channel
            except TargetUnavailable:
                if silent.is_set():
                    raise TargetUnavailable(
                        f"{host}:{port} did not answer within {SESSION_SECONDS:.0f} seconds", reason="silent"
                    ) from None
                raise
    finally:
        channel.close()


def opened(host: str, port: int, roots: str | None, deadline: float, doing: str) -> socket.socket:
    """Connect to the first address of a host that answers.

    Args:
        host: name or address; the certificate must be for it.
        port: port of the server.
        roots: as ``trusted_roots`` returns it: a file, SYSTEM_ROOTS, or None for a connection without TLS.
        deadline: by ``time.monotonic``; the addresses that are left share the time that is left.
        doing: purpose of the connection; shown in the error.

    Returns:
        A connected socket; the caller closes it.

    Raises:
        TargetUnavailable: no address answered in time, or TLS failed; the reason is a key of CAUSES.
    """
    context = None if roots is None else tls_context(roots)
    failed: RotatorFailure = failure("timeout", doing)
    for address, share in addresses_with_time(host, port, deadline):
        try:
            return _opened(address, host, port, context, share)
        except (OSError, ValueError) as error:
            failed = failure(reason_of(error), doing)
    raise failed


def tls_context(roots: str) -> ssl.SSLContext:
    """Return TLS settings that verify the certificate and the host name.

    Args:
        roots: file of the trusted certificates, or SYSTEM_ROOTS.

    Raises:
        TargetUnavailable: the file holds no certificates.
    """
    try:
        context = ssl.create_default_context(cafile=None if roots == SYSTEM_ROOTS else roots)
    except (OSError, ssl.SSLError):
        raise failure("tls-no-ca", "reading the trusted certificates") from None
    # The authorities of managed services lack extensions that Python 3.13 and later require.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def reason_of(error: OSError | ValueError) -> str:
    """Return the key of CAUSES for a connection or a TLS handshake that failed.

    Args:
        error: error of the socket or of the handshake; a ValueError means that TLS does not permit the host
            name.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _REASONS.get(error.verify_code, "tls-untrusted")
    # A server that is stopping closes the connection during the handshake.
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ValueError):
        return "tls-host"
    return _ERRNO.get(error.errno or 0, "closed")


def _opened(
    address: str, host: str, port: int, context: ssl.SSLContext | None, seconds: float
) -> socket.socket:
    until = time.monotonic() + seconds
    channel = socket.create_connection((address, port), seconds)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return channel
    try:
        # The socket's own time limit is for each read; a server could send a byte now and then.
        with cut_after(max(until - time.monotonic(), 0.1), channel.fileno()) as late:
            return context.wrap_socket(channel, server_hostname=host)
    except OSError:
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        channel.close()  # wrap_socket has taken the descriptor over, or failed
