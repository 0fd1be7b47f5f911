"""Messages of PostgreSQL and libpq about failed logins. This module needs no driver.

libpq reports no SQLSTATE for a failed login. For applications the text decides, so the server's
``lc_messages`` must be English. The rotator's login uses the SQLSTATE if the text is unknown.
"""

from __future__ import annotations

import re

from rotators.logins.causes import NETWORK, Messages

_PATTERNS = (
    (r"(password|SASL|LDAP|PAM|RADIUS) authentication failed", "password"),
    (r"FATAL: +(auth failed|no such user)", "password"),  # PgBouncer
    (r'role "" does not exist', "password"),
    (r"has been banned", "blocked"),  # the module credcheck
    (r"pg_hba\.conf", "access-rule"),
    (r"authentication method requirement", "auth-method"),
    (r"authentication method 13 not supported", "digest"),  # libpq, about Amazon Redshift
    (r"not permitted to log in", "no-login"),
    (r"(user|account|role) .*\block(ed|out)\b", "blocked"),  # Amazon Redshift; its exact text is not known
    (r"too many connections for role", "user-connections"),
    (r"too many connections|too many clients|remaining connection slots", "connections"),
    (r'database "" does not exist|not currently accepting connections', "database"),
    (r"permission denied for database", "database"),
    (r"starting up|shutting down|recovery mode|not yet accepting|terminating connection", "starting"),
    (r"requires a valid client certificate", "needs-certificate"),
    (r"does not match host name", "tls-host"),
    (r"certificate verify failed", "tls-untrusted"),
    (r"does not support SSL", "tls-unsupported"),
    # A server that is stopping closes the connection during the handshake.
    (r"unexpected eof while reading|SSL SYSCALL error|SSL connection has been closed", "closed"),
    (r"SSL|certificate", "tls"),
    *NETWORK,
    (r"closed the connection|reset by peer|EOF detected", "closed"),
)

# PostgreSQL manual, Appendix A. The text comes first, because several causes share a code.
_STATES = {
    "28P01": "password",
    "28000": "access-rule",
    "3D000": "database",
    "42501": "database",
    "53300": "connections",
    "57P01": "starting",
    "57P03": "starting",
}


def _words(said: Exception | str) -> str:
    """Return the text without the names of hosts, users and databases, which may contain any words."""
    return re.sub(r'"[^"]*"', '""', str(said))


MESSAGES = Messages(_PATTERNS, _STATES, _words)
