"""Why a login fails, in words that every engine shares. An engine adds only how its driver says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import CredentialsRejected, RotatorFailure, TargetRefused, TargetUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECT_SECONDS = 5.0
"""For a login in all: name resolution, every address, TLS and authentication."""


class Cause(NamedTuple):
    """One cause of a failed login.

    Attributes:
        kind: the error's class.
        text: what happened.
        remedy: the next action; None for the class's own.
    """

    kind: type[RotatorFailure]
    text: str
    remedy: str | None = None


CAUSES: dict[str, Cause] = {
    "password": Cause(
        CredentialsRejected,
        "the server rejected the password",
        "Run `rotators doctor SECRET`, which looks for a stored one that works. If it was set just now, it "
        "may be right and have expired (PostgreSQL: VALID UNTIL), or a pooler does not know it.",
    ),
    "access-rule": Cause(
        TargetRefused,
        "an access rule of the server rejects this user, database, address or lack of TLS",
        "Add a rule (PostgreSQL: pg_hba.conf) for the function's address, the user and its clone, or"
        " use TLS.",
    ),
    "auth-method": Cause(
        TargetRefused,
        "the server asks for no hashed password, so one would go out in clear or prove nothing",
        "Make the server ask this user for a hash (PostgreSQL: scram-sha-256 in pg_hba.conf; MySQL: "
        "caching_sha2_password; MariaDB: mysql_native_password or ed25519).",
    ),
    "plugin": Cause(
        TargetRefused,
        "the server asks for an authentication plugin with which the driver cannot log in",
        "Give the user another plugin, and look whether the user exists.",
    ),
    "blocked": Cause(
        TargetRefused,
        "the server refuses every login of the user, because too many were rejected",
        "Unblock the user as administrator (MySQL and MariaDB: ALTER USER … ACCOUNT UNLOCK, and on MariaDB"
        " FLUSH PRIVILEGES; PostgreSQL with credcheck: pg_banned_role_reset), then rotate.",
    ),
    "locked": Cause(
        TargetRefused,
        "the user is locked by an administrator; its password is right",
        "Ask who locked it. To unlock it: ALTER USER … ACCOUNT UNLOCK, as administrator.",
    ),
    "expired": Cause(
        TargetRefused,
        "the password is right and has expired",
        "Rotate: on MySQL and MariaDB, strategy single and an admin (masterarn) change an expired password."
        " On PostgreSQL, set VALID UNTIL to a later time first: a new password expires with it.",
    ),
    "scram-iterations": Cause(
        TargetRefused,
        "the server asks for too few or too many SCRAM iterations; nothing was derived from the password",
        "Find out who changed the user's password hash or the host. Set the password again as administrator, "
        "with 4096 iterations or somewhat more (PostgreSQL 16 and later: scram_iterations).",
    ),
    "no-login": Cause(TargetRefused, "the user may not log in", "Give the user the right to log in."),
    "needs-certificate": Cause(
        TargetRefused,
        "the server asks for a client certificate",
        "Put one into the function (PostgreSQL: PGSSLCERT and PGSSLKEY name it), or change the rule.",
    ),
    "connections": Cause(
        TargetUnavailable,
        "the server, database or user has too many connections",
        "Raise the limit or free connections; a rotation needs one at a time.",
    ),
    "user-connections": Cause(
        TargetUnavailable,
        "the user has as many connections as its limit allows",
        "Raise the user's limit by one; a rotation needs a connection.",
    ),
    "database": Cause(
        TargetRefused,
        "the database is missing or closed, or the user may not connect to it",
        "Correct the secret's dbname, or grant the right to connect.",
    ),
    "starting": Cause(TargetUnavailable, "the server is starting, stopping or recovering"),
    "tls-host": Cause(
        TargetUnavailable,
        "the server's certificate is for another host name",
        "Use the database's own endpoint as the secret's host, not an alias or an address. If it is that "
        "already, somebody else may answer there: do not take a name over from the certificate.",
    ),
    "tls-expired": Cause(
        TargetUnavailable,
        "the server's certificate has expired, or one that it was issued by",
        "Renew the certificate on the server (for RDS: rotate its certificate authority); no change of the "
        "secret helps.",
    ),
    "tls-not-yet-valid": Cause(
        TargetUnavailable,
        "the server's certificate is not valid yet",
        "Compare the certificate's first day with the clock of this machine, and correct what is wrong.",
    ),
    "tls-untrusted": Cause(
        TargetUnavailable,
        "the server's certificate is not signed by a trusted authority",
        "Name the authority's certificate (for RDS: the Region's bundle) in sslrootcert or SSL_ROOT_CERT.",
    ),
    "tls-no-ca": Cause(
        TargetUnavailable,
        "the file of trusted certificates is missing, unreadable, empty or no regular file",
        "Put it into the function and name it in the secret's sslrootcert or in SSL_ROOT_CERT.",
    ),
    "tls-unsupported": Cause(
        TargetUnavailable,
        "the server does not offer TLS",
        "Turn TLS on at the server. If it was on before, somebody else may answer there: look before you "
        'allow unencrypted connections with "ssl": false in the secret.',
    ),
    "tls": Cause(TargetUnavailable, "the TLS handshake failed"),
    "closed-port": Cause(
        TargetUnavailable,
        "nothing listens on the port",
        "Check host and port in the secret, and that the server runs.",
    ),
    "unreachable": Cause(
        TargetUnavailable,
        "the network has no way to the host",
        "Check routes, subnets and network ACLs, and that the host name leads to the right address.",
    ),
    "timeout": Cause(
        TargetUnavailable,
        f"no answer within {CONNECT_SECONDS:.0f} seconds",
        "Check security groups (function to database port), routes, network ACLs and the server's health.",
    ),
    "unknown-host": Cause(
        TargetUnavailable,
        "the host name could not be resolved",
        "Correct the secret's host, or the DNS settings of the function's VPC.",
    ),
    "protocol": Cause(
        TargetUnavailable,
        "the answer does not follow the database's protocol",
        "Check host and port in the secret: another service may listen there.",
    ),
    "closed": Cause(TargetUnavailable, "the server closed the connection"),
}


def failure(reason: str, doing: str) -> RotatorFailure:
    """The error for a known cause.

    Args:
        reason: a key of CAUSES.
        doing: what was being done, for the message.
    """
    cause = CAUSES[reason]
    return cause.kind(f"{doing}: {cause.text}", reason=reason, remedy=cause.remedy)


def cause_of(said: str, patterns: Sequence[tuple[str, str]]) -> str | None:
    """The key of CAUSES that a driver's text means, or None.

    Args:
        said: the text.
        patterns: (regular expression, key of CAUSES); the first that is found decides.
    """
    return next((reason for pattern, reason in patterns if re.search(pattern, said)), None)


def login_failure(said: str, patterns: Sequence[tuple[str, str]], where: str) -> RotatorFailure:
    """The error for a failed login, told by the driver's text.

    Args:
        said: the text.
        patterns: as for ``cause_of``.
        where: host, port and user, for the message.

    Returns:
        The error to raise; TargetUnavailable when no pattern fits, for an unknown text is no rejection.
    """
    doing = f"Unable to log into database at {where}"
    if reason := cause_of(said, patterns):
        return failure(reason, doing)
    first_line = next(iter(said.strip().splitlines()), "no message")[:200]
    return TargetUnavailable(f"{doing}: {first_line}", reason="unknown")
