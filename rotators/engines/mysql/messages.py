"""Messages of MySQL, MariaDB and PyMySQL about failed logins. This module needs no driver."""

from __future__ import annotations

from rotators.logins.causes import CERTIFICATES, NETWORK, Messages

_PATTERNS = (
    (r"^(1045|1698)\b", "password"),
    (r"^(1129|1130|3159|4031)\b", "access-rule"),
    (r"^(1251|1524|2059)\b", "plugin"),
    (r"^2061\b", "auth-method"),
    # The server distinguishes these three only after it has compared the password.
    (r"^(1820|1862)\b", "expired"),
    (r"^(3118|4151)\b", "locked"),
    (r"^(1203|1226)\b", "user-connections"),
    (r"^(3955|4150)\b", "blocked"),
    (r"^1040\b", "connections"),
    (r"^(1044|1049)\b", "database"),
    (r"^1053\b", "starting"),
    *CERTIFICATES,
    (r"server doesn't support it", "tls-unsupported"),
    # A server that is stopping closes the connection during the handshake.
    (r"UNEXPECTED_EOF|EOF occurred in violation", "closed"),
    (r"SSL|certificate", "tls"),
    *NETWORK,
    (r"auth switch|[Uu]nexpected packet|Unknown (packet|result)|extra packet|sequence number", "protocol"),
    (r"^(2006|2013)\b|Lost connection|reset by peer|Broken pipe", "closed"),
)


def _words(error: Exception) -> str:
    """Return the error's number, if it has one, and its text."""
    code = error.args[0] if error.args else ""
    return f"{code} {error.args[-1] if error.args else error}"


MESSAGES = Messages(_PATTERNS, words=_words)
