"""Connection helpers of every engine: trust, addresses and deadlines."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.causes import failure

STATEMENT_SECONDS = 5.0
"""Seconds for one statement, enforced by the server."""
SESSION_SECONDS = 6.0
"""Seconds for all statements of a login, enforced by the client in case the server stops answering."""

SYSTEM_ROOTS = "system"
_RESOLVE_SECONDS = 2.5  # part of CONNECT_SECONDS; the rest is for the first address


def wants_tls(secret: Secret) -> bool:
    """Return True if the server is verified and the connection encrypted: always, unless ``ssl`` is false.

    Args:
        secret: value.

    Raises:
        SecretFormatError: ``ssl`` is neither a boolean nor ``"true"`` or ``"false"``.
    """
    return _flag(secret, "ssl", default=True)


def sends_clear_text(secret: Secret) -> bool:
    """Return True if new passwords are sent in clear text (key ``clear_text``).

    Some password validation needs this.

    Args:
        secret: value.

    Raises:
        SecretFormatError: ``clear_text`` is not a boolean, or true for a connection without TLS.
    """
    wanted = _flag(secret, "clear_text", default=False)
    if wanted and not wants_tls(secret):
        raise SecretFormatError(
            "keys 'clear_text' and 'ssl' of the secret: clear text is sent only inside TLS"
        )
    return wanted


def wants_start_tls(secret: Secret) -> bool:
    """Return True if TLS is negotiated on a connection that begins without it (key ``start_tls``, LDAP).

    Args:
        secret: value.

    Raises:
        SecretFormatError: ``start_tls`` is not a boolean, or true together with ``"ssl": false``.
    """
    wanted = _flag(secret, "start_tls", default=False)
    if wanted and not wants_tls(secret):
        raise SecretFormatError("keys 'start_tls' and 'ssl' of the secret contradict each other")
    return wanted


def _flag(secret: Secret, key: str, *, default: bool) -> bool:
    wanted = secret.get(key, default)
    if isinstance(wanted, str) and wanted.lower() in {"true", "false"}:
        return wanted.lower() == "true"
    if not isinstance(wanted, bool):
        raise SecretFormatError(f"key {key!r} of the secret must be true or false")
    return wanted


def trusted_roots(secret: Secret, settings: Settings, variable: str) -> str | None:
    """Return the file of the certificates that the server's certificate must lead to.

    Args:
        secret: its ``ssl`` and ``sslrootcert`` come first.
        settings: SSL_ROOT_CERT comes second.
        variable: the driver's environment variable, which comes third.

    Returns:
        A path; ``"system"`` if none is configured and the system has no file; None if the secret says
        ``"ssl": false``, for an unencrypted connection.

    Raises:
        SecretFormatError: ``ssl`` is not a boolean, or ``sslrootcert`` not a string.
        TargetUnavailable: the file is missing, unreadable, empty, or not a regular file.
    """
    if not wants_tls(secret):
        return None
    named = secret.text("sslrootcert") if "sslrootcert" in secret else settings.ssl_root_cert
    # A driver's bundled OpenSSL may search for roots in another system's path; Python has this one's path.
    roots = named or os.environ.get(variable) or ssl.get_default_verify_paths().cafile or SYSTEM_ROOTS
    if roots != SYSTEM_ROOTS and not _readable(roots):
        raise failure("tls-no-ca", f"reading {Path(roots).name!r}")
    return roots


def _readable(path: str) -> bool:
    """Return True if a file can be read without waiting: a pipe or a device may block forever."""
    try:
        found = Path(path).stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and os.access(path, os.R_OK)


def resolved(host: str, port: int, seconds: float = _RESOLVE_SECONDS) -> list[str]:
    """Return the addresses of a host without duplicates, in the system's order.

    Args:
        host: name or address.
        port: TCP port.
        seconds: time that is left for the login; the resolver gets 2.5 seconds at most.

    Returns:
        IPv4 and IPv6 addresses as text; at least one.

    Raises:
        TargetUnavailable: there are none, or the resolver did not answer in time. A later step tries again.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)  # a complete address needs neither the resolver nor its thread
        return [host]
    found: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    # The system's resolver has no deadline, so its thread is abandoned when it is too slow.
    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(min(seconds, _RESOLVE_SECONDS))
    if found:
        return found
    raise failure("unknown-host", f"resolving {host!r}")


def addresses_with_time(
    host: str, port: int, deadline: float, shortest: float = 0.0
) -> Iterator[tuple[str, float]]:
    """Yield the addresses of a host to try in turn, each with its share of the time that is left.

    Args:
        host: name or address.
        port: TCP port.
        deadline: deadline of the login, by ``time.monotonic``; the last address gets all remaining time.
        shortest: least share in seconds of an address that is not the first one.

    Yields:
        Address and seconds, until the time is over.

    Raises:
        TargetUnavailable: as ``resolved``.
    """
    addresses = resolved(host, port, deadline - time.monotonic())
    for position, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - position)
        if share <= (shortest if position else 0):
            return
        yield address, share


@contextlib.contextmanager
def cut_after(seconds: float, descriptor: int) -> Iterator[threading.Event]:
    """Shut a socket down when the block takes too long, so that a driver's wait ends with an error.

    Args:
        seconds: time limit of the block.
        descriptor: file descriptor of the socket; the driver still has to close it.

    Yields:
        An event that is set after the socket was shut down.
    """
    expired = threading.Event()
    # A duplicate descriptor: the driver may close its own by then, and the number may be used again.
    channel = socket.socket(fileno=os.dup(descriptor))

    def cut() -> None:
        expired.set()
        with contextlib.suppress(OSError):  # the other side may have closed meanwhile
            channel.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        channel.close()
