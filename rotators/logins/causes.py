"""Causes of a failed login, shared by all engines.

An engine declares the messages that mean a cause, and what it adds to the next action (``remedies``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rotators.core.errors import CredentialsRejected, RotatorFailure, TargetRefused, TargetUnavailable

CONNECT_SECONDS = 5.0
"""Seconds for a whole login: name resolution, every address, TLS and authentication."""


class Cause(NamedTuple):
    """One cause of a failed login.

    Attributes:
        kind: class of the error.
        text: cause in words.
        remedy: next action on any engine; None for the default of the class.
    """

    kind: type[RotatorFailure]
    text: str
    remedy: str | None = None


CAUSES: dict[str, Cause] = {
    "password": Cause(
        CredentialsRejected,
        "the server rejected the password",
        "Run `rotators doctor SECRET`, which looks for a stored one that works. If it was set just now, a "
        "pooler may not know it.",
    ),
    "access-rule": Cause(
        TargetRefused,
        "an access rule of the server rejects this user, database, address or lack of TLS",
        "Add a rule for the function's address, the user and its clone, or use TLS.",
    ),
    "auth-method": Cause(
        TargetRefused,
        "the server asks for no hashed password, so a password would be sent unencrypted or prove nothing",
        "Make the server ask this user for a hash.",
    ),
    "digest": Cause(
        TargetRefused,
        "the server asks for a digest of the stored password, which this login cannot give",
        "Let applications log in with a driver of the server's maker, or store the password in another form.",
    ),
    "plugin": Cause(
        TargetRefused,
        "the server asks for an authentication plugin with which the driver cannot log in",
        "Give the user another plugin, and look whether the user exists.",
    ),
    "blocked": Cause(
        TargetRefused,
        "the server refuses every login of the user, because too many were rejected",
        "Unblock the user as administrator, then rotate.",
    ),
    "locked": Cause(
        TargetRefused,
        "the user is locked by an administrator; its password is right",
        "Ask who locked it, and let an administrator unlock it.",
    ),
    "account-expired": Cause(
        TargetRefused,
        "the password is right, and the account has expired",
        "Set the account's expiry to a later time, as administrator, then rotate.",
    ),
    "logon-hours": Cause(
        TargetRefused,
        "the password is right, and the user may not log in at this time of the day",
        "Rotate within the user's logon hours (rotation window), or extend them.",
    ),
    "workstation": Cause(
        TargetRefused,
        "the password is right, and the user may not log in from this machine",
        "Extend the user's limit of machines, or remove it.",
    ),
    "expired": Cause(
        TargetRefused,
        "the password is right and has expired",
        "Let an administrator of the server lengthen the password's life.",
    ),
    "must-change": Cause(
        TargetRefused,
        "the password is right, and the server permits nothing else than to change it",
        "Rotate with an admin (masterarn), or clear the mark at the server.",
    ),
    "scram-iterations": Cause(
        TargetRefused,
        "the server asks for too few or too many SCRAM iterations; nothing was derived from the password",
        "Find out who changed the user's password hash or the host. Set the password again as administrator, "
        "with 4096 iterations or somewhat more.",
    ),
    "no-login": Cause(TargetRefused, "the user may not log in", "Give the user the right to log in."),
    "needs-certificate": Cause(
        TargetRefused,
        "the server asks for a client certificate",
        "Put one into the function, or change the rule.",
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
        "already, another server may answer there: do not take a name over from the certificate.",
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
        "Turn TLS on at the server. If it was on before, another server may answer there: check that before "
        'you allow unencrypted connections with "ssl": false in the secret.',
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
    """Return the error for a known cause.

    Args:
        reason: key of CAUSES.
        doing: action that failed; shown in the message.
    """
    cause = CAUSES[reason]
    return cause.kind(f"{doing}: {cause.text}", reason=reason, remedy=cause.remedy)


@contextmanager
def advising(remedies: Mapping[str, str]) -> Iterator[None]:
    """Add an engine's own part to the next action of an error that the block raises for a known cause.

    An error with a next action of its own stays as it is.

    Args:
        remedies: the engine's own parts of the next action, by key of CAUSES.
    """
    try:
        yield
    except RotatorFailure as error:
        cause, own = CAUSES.get(error.reason or ""), remedies.get(error.reason or "")
        if cause and own and error.remedy == (cause.remedy or cause.kind.remedy):
            error.remedy = f"{error.remedy} {own}"
        raise


@dataclass(frozen=True)
class Messages:
    """Reports of failed logins by an engine's servers and drivers, for rotators and applications.

    Attributes:
        patterns: (regular expression, key of CAUSES) in order; the first match decides. ``"other"``
            instead of a key means that the error says nothing about the credential.
        states: key of CAUSES by SQLSTATE, for texts without a pattern.
        words: function that returns the text to search, from a driver's error or a server's text.
    """

    patterns: tuple[tuple[str, str], ...]
    states: Mapping[str, str] = field(default_factory=dict)
    words: Callable[[Any], str] = str

    def cause(self, said: Exception | str, state: str = "") -> str | None:
        """Return the key of CAUSES for an error; None if the error is unknown.

        Args:
            said: a driver's error or a server's text.
            state: SQLSTATE, if the server sent one.
        """
        words = self.words(said)
        found = next((reason for pattern, reason in self.patterns if re.search(pattern, words)), None)
        return found or self.states.get(state)

    def failure(self, said: Exception | str, where: str, state: str = "") -> RotatorFailure:
        """Return the error to raise for a failed login.

        Args:
            said: a driver's error or a server's text.
            where: host, port and user; shown in the message.
            state: SQLSTATE, if the server sent one.

        Returns:
            TargetUnavailable if the cause is unknown, because an unknown text is no rejection.
        """
        doing = f"Unable to log into database at {where}"
        if reason := self.cause(said, state):
            return failure(reason, doing)
        first_line = next(iter(self.words(said).strip().splitlines()), "no message")[:200]
        return TargetUnavailable(f"{doing}: {first_line}", reason="unknown")


CERTIFICATES = (
    (r"[Hh]ostname mismatch|IP address mismatch|doesn't match", "tls-host"),
    (r"certificate has expired", "tls-expired"),
    (r"certificate is not yet valid", "tls-not-yet-valid"),
    (r"certificate verify failed|CERTIFICATE_VERIFY_FAILED", "tls-untrusted"),
)
"""Patterns for messages of OpenSSL and Python about a server's certificate, which all drivers repeat."""
NETWORK = (
    (r"Connection refused", "closed-port"),
    (r"[Nn]o route to host|[Nn]etwork is unreachable|[Hh]ost is unreachable", "unreachable"),
    (r"translate host name|failed to resolve|name resolution|Name or service not known", "unknown-host"),
    (r"nodename nor servname", "unknown-host"),
    (r"timed out|timeout expired", "timeout"),
)
"""Patterns for messages of the operating system, which all drivers repeat."""
