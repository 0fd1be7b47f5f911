"""What PostgreSQL and libpq say when a login fails. No driver is needed to tell.

libpq gives no SQLSTATE for a failed login, so the cause is told by the text, in English: the server's
``lc_messages`` must be so.
"""

from __future__ import annotations

import re

PATTERNS = (
    (r"(password|SASL|LDAP|PAM|RADIUS) authentication failed", "password"),
    (r"FATAL: +(auth failed|no such user)", "password"),  # PgBouncer
    (r'role "" does not exist', "password"),
    (r"pg_hba\.conf", "access-rule"),
    (r"authentication method requirement", "auth-method"),
    (r"not permitted to log in", "no-login"),
    (r"too many connections for role", "user-connections"),
    (r"too many connections|too many clients|remaining connection slots", "connections"),
    (r'database "" does not exist|not currently accepting connections', "database"),
    (r"permission denied for database", "database"),
    (r"starting up|shutting down|recovery mode|not yet accepting|terminating connection", "starting"),
    (r"does not match host name", "tls-host"),
    (r"certificate verify failed", "tls-untrusted"),
    (r"does not support SSL", "tls-unsupported"),
    # A server that is just stopping hangs up in the middle of the handshake.
    (r"unexpected eof while reading|SSL SYSCALL error|SSL connection has been closed", "closed"),
    (r"SSL|certificate", "tls"),
    (r"Connection refused", "closed-port"),
    (r"[Nn]o route to host|[Nn]etwork is unreachable|[Hh]ost is unreachable", "unreachable"),
    (r"translate host name|failed to resolve|name resolution|Name or service not known", "unknown-host"),
    (r"timeout expired|timed out", "timeout"),
    (r"closed the connection|reset by peer|EOF detected", "closed"),
)
"""(regular expression, key of ``strategies.causes.CAUSES``); the first that is found decides."""


def server_words(text: str) -> str:
    """What was said, without the names of hosts, users and databases, which may hold any words."""
    return re.sub(r'"[^"]*"', '""', text)
