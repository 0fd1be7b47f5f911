"""What every engine needs to reach its server: trust, addresses and deadlines."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rotators.core.errors import SecretFormatError
from rotators.logins.causes import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

STATEMENT_SECONDS = 5.0
"""For one statement, as the server is told."""
SESSION_SECONDS = 6.0
"""For all statements of a login, as we watch it: a server that falls silent tells nothing."""

SYSTEM_ROOTS = "system"
_RESOLVE_SECONDS = 2.5  # of CONNECT_SECONDS; the rest is for the first address


def wants_tls(secret: Secret) -> bool:
    """Whether the connection is to be encrypted and the server verified: unless ``ssl`` is false, yes.

    Raises:
        SecretFormatError: ``ssl`` is neither a boolean nor ``"true"`` or ``"false"``.
    """
    return _flag(secret, "ssl", default=True)


def sends_clear_text(secret: Secret) -> bool:
    """Whether new passwords are sent in clear text, which some password validation needs: key ``clear_text``.

    Raises:
        SecretFormatError: ``clear_text`` is not a boolean, or true for a connection without TLS.
    """
    wanted = _flag(secret, "clear_text", default=False)
    if wanted and not wants_tls(secret):
        raise SecretFormatError(
            "keys 'clear_text' and 'ssl' of the secret: clear text is sent inside TLS only"
        )
    return wanted


def _flag(secret: Secret, key: str, *, default: bool) -> bool:
    wanted = secret.get(key, default)
    if isinstance(wanted, str) and wanted.lower() in {"true", "false"}:
        return wanted.lower() == "true"
    if not isinstance(wanted, bool):
        raise SecretFormatError(f"key {key!r} of the secret must be true or false")
    return wanted


def trusted_roots(secret: Secret, settings: Settings, variable: str) -> str | None:
    """The file of certificates that the server's must lead to.

    Args:
        secret: its ``ssl`` and ``sslrootcert`` come first.
        settings: then SSL_ROOT_CERT.
        variable: then the driver's own environment variable.

    Returns:
        A path; ``"system"`` when nothing is named and the system has no file; None when the secret says
        ``"ssl": false`` and the connection is to be in clear.

    Raises:
        SecretFormatError: ``ssl`` is not a boolean, or ``sslrootcert`` not a string.
        TargetUnavailable: the file is missing, unreadable, empty, or not a regular file.
    """
    if not wants_tls(secret):
        return None
    named = secret.text("sslrootcert") if "sslrootcert" in secret else settings.ssl_root_cert
    # A driver's bundled OpenSSL may look for roots where another system has them; Python knows this one's.
    roots = named or os.environ.get(variable) or ssl.get_default_verify_paths().cafile or SYSTEM_ROOTS
    if roots != SYSTEM_ROOTS and not _readable(roots):
        raise failure("tls-no-ca", f"reading {Path(roots).name!r}")
    return roots


def _readable(path: str) -> bool:
    """Whether a file can be read without waiting: a pipe or a device may block for ever."""
    try:
        found = Path(path).stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and os.access(path, os.R_OK)


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, each once, in the system's order.

    Raises:
        TargetUnavailable: there are none, or the resolver did not answer in time.
    """
    found: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    # The system's resolver has no deadline of its own, so it is left behind when it is too slow.
    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(_RESOLVE_SECONDS)
    if found:
        return found
    raise failure("unknown-host", f"resolving {host!r}")


@contextlib.contextmanager
def cut_after(seconds: float, descriptor: int) -> Iterator[threading.Event]:
    """Shut a socket down when the block takes too long, so that a driver's wait ends with an error.

    Args:
        seconds: the block's time.
        descriptor: the socket's file descriptor; stays the driver's to close.

    Yields:
        An event that is set once the socket was cut.
    """
    expired = threading.Event()
    # A descriptor of our own, taken now: the driver's may be closed, and its number used again, by then.
    channel = socket.socket(fileno=os.dup(descriptor))

    def cut() -> None:
        expired.set()
        with contextlib.suppress(OSError):  # the other side may have gone meanwhile
            channel.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        channel.close()
