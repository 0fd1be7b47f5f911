"""What MySQL, MariaDB and PyMySQL say when a login fails. No driver is needed to tell."""

from __future__ import annotations

PATTERNS = (
    (r"^(1045|1698)\b", "password"),
    (r"^(1129|1130|3159|4031)\b", "access-rule"),
    (r"^(1251|1524|2059)\b", "plugin"),
    (r"^2061\b", "auth-method"),
    # The server tells these three apart only after it has compared the password.
    (r"^(1820|1862)\b", "expired"),
    (r"^(3118|4151)\b", "locked"),
    (r"^(1203|1226)\b", "user-connections"),
    (r"^(3955|4150)\b", "blocked"),
    (r"^1040\b", "connections"),
    (r"^(1044|1049)\b", "database"),
    (r"^1053\b", "starting"),
    (r"[Hh]ostname mismatch|IP address mismatch|doesn't match", "tls-host"),
    (r"certificate has expired", "tls-expired"),
    (r"certificate is not yet valid", "tls-not-yet-valid"),
    (r"certificate verify failed", "tls-untrusted"),
    (r"server doesn't support it", "tls-unsupported"),
    # A server that is just stopping hangs up in the middle of the handshake.
    (r"UNEXPECTED_EOF|EOF occurred in violation", "closed"),
    (r"SSL|certificate", "tls"),
    (r"Connection refused", "closed-port"),
    (r"No route to host|Network is unreachable|Host is unreachable", "unreachable"),
    (r"name resolution|Name or service not known|nodename nor servname", "unknown-host"),
    (r"timed out", "timeout"),
    (r"auth switch|[Uu]nexpected packet|Unknown (packet|result)|extra packet|sequence number", "protocol"),
    (r"^(2006|2013)\b|Lost connection|reset by peer|Broken pipe", "closed"),
)
"""(regular expression, key of ``logins.causes.CAUSES``); the first that is found decides."""


def server_words(error: Exception) -> str:
    """The error's number, if it has one, and its text."""
    code = error.args[0] if error.args else ""
    return f"{code} {error.args[-1] if error.args else error}"
