"""What PostgreSQL and libpq say when a login fails. No driver is needed to tell.

libpq gives no SQLSTATE for a failed login. So for applications the cause is found by the text, and the
server's ``lc_messages`` must be English. A login of our own reads the SQLSTATE where the text is unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rotators.logins.causes import cause_of, failure, login_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.errors import RotatorFailure

PATTERNS = (
    (r"(password|SASL|LDAP|PAM|RADIUS) authentication failed", "password"),
    (r"FATAL: +(auth failed|no such user)", "password"),  # PgBouncer
    (r'role "" does not exist', "password"),
    (r"has been banned", "blocked"),  # the module credcheck
    (r"pg_hba\.conf", "access-rule"),
    (r"authentication method requirement", "auth-method"),
    (r"not permitted to log in", "no-login"),
    (r"too many connections for role", "user-connections"),
    (r"too many connections|too many clients|remaining connection slots", "connections"),
    (r'database "" does not exist|not currently accepting connections', "database"),
    (r"permission denied for database", "database"),
    (r"starting up|shutting down|recovery mode|not yet accepting|terminating connection", "starting"),
    (r"requires a valid client certificate", "needs-certificate"),
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
"""(regular expression, key of ``logins.causes.CAUSES``); the first that is found decides."""


def server_words(text: str) -> str:
    """What was said, without the names of hosts, users and databases, which may hold any words."""
    return re.sub(r'"[^"]*"', '""', text)


# PostgreSQL manual, Appendix A. The text comes first: it tells apart what shares a code.
_STATES = {
    "28P01": "password",
    "28000": "access-rule",
    "3D000": "database",
    "42501": "database",
    "53300": "connections",
    "57P01": "starting",
    "57P03": "starting",
}


def server_failure(fields: Mapping[str, str], where: str) -> RotatorFailure:
    """The failure for an error message that ended a login.

    Args:
        fields: of the message, by their letters (PostgreSQL manual, "Error and Notice Message Fields").
        where: host, port and user, for the message.
    """
    said = f"FATAL:  {fields.get('M', '')}"
    state = _STATES.get(fields.get("C", ""))
    if state and cause_of(server_words(said), PATTERNS) is None:
        return failure(state, f"Unable to log into database at {where}")
    return login_failure(server_words(said), PATTERNS, where)
