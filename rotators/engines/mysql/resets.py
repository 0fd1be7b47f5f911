"""Checks that an admin makes before a reset: whether the user could log in with a new password.

The server gives the same error for a wrong password, for an address that the account's host pattern does not
admit, for a connection without TLS and for a missing client certificate.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.hashes import is_password
from rotators.engines.mysql.hosts import admits, nearer
from rotators.engines.mysql.plugins import Kinds, Way, password_plugins
from rotators.engines.mysql.rights import Account

_CERTIFICATE = "X509"


_IS_RIGHT = (
    "If another user or process has set it meanwhile, rotate again after ten minutes. Otherwise compare the"
    " account's row in mysql.user with how this machine logs in; read the server's error log."
)


class StoredAccount(NamedTuple):
    """Properties that the server stores for an account and its logins.

    Attributes:
        account: the account.
        ways: its plugins with their stored strings; a second password is a separate way.
        locked: True if an administrator locked it.
        ssl_type: empty, ANY, X509 or SPECIFIED.
        subject: subject of the certificate that the account requires; empty for any.
        issuer: issuer of that certificate; empty for any.
        cipher: TLS cipher that the account requires; empty for any.
        most_connections: the account's limit of connections; negative if it may have none.
        anonymous: host patterns of users without a name, which may match this machine more closely.
    """

    account: Account
    ways: tuple[Way, ...]
    locked: bool
    ssl_type: str
    subject: str
    issuer: str
    cipher: str
    most_connections: int
    anonymous: tuple[str, ...]


class SeenSession(NamedTuple):
    """This session as the server sees it. A login of the user would look the same.

    Attributes:
        host: host in ``USER()``.
        cipher: TLS cipher; empty without TLS.
    """

    host: str
    cipher: str


def require_reset_helps(
    stored: StoredAccount, kinds: Kinds, seen: SeenSession, rejected: Collection[str], *, tls: bool
) -> None:
    """Check that the password is wrong, and that a new one would let the user in.

    Args:
        stored: stored properties of the account.
        kinds: supported plugins of the server.
        seen: the admin's session.
        rejected: passwords that were rejected, in clear text.
        tls: True if the user's logins use TLS.

    Raises:
        TargetRefused: one of the passwords is correct, or a new one would be rejected too.
    """
    right = any(
        is_password(way.plugin, way.stored.encode("latin-1", "replace"), password)
        for way in stored.ways
        for password in rejected
    )
    password_plugins(stored.ways, kinds, stored.account)
    obstacle = _obstacle(stored, seen, tls=tls)
    if obstacle is None and not right:
        return
    reason, text, remedy = obstacle or (
        "correct-password",
        "the stored hash shows that the password is right, and yet it was rejected",
        _IS_RIGHT,
    )
    known = "; the stored hash shows that the password is right" if right and obstacle else ""
    raise TargetRefused(
        f"a new password for {str(stored.account)!r} would not help: {text}{known}",
        reason=reason,
        remedy=remedy,
    )


def _obstacle(stored: StoredAccount, seen: SeenSession, *, tls: bool) -> tuple[str, str, str] | None:
    """Return the obstacle that blocks the user regardless of its password: reason, text and remedy."""
    account = stored.account
    if not admits(account.host, seen.host):
        return (
            "elsewhere",
            f"the account admits logins from {account.host!r} only, and this one comes from {seen.host!r}",
            "Run the function where the account admits it, or make an account for its address (RENAME USER).",
        )
    if any(admits(host, seen.host) and nearer(host, account.host) for host in stored.anonymous):
        return (
            "elsewhere",
            f"the server takes logins from {seen.host!r} for an anonymous user's, whose host is nearer",
            "Drop the user without a name: DROP USER ''@'…'.",
        )
    if stored.locked:
        return (
            "locked",
            "an administrator has locked it",
            "Ask who did; then ALTER USER … ACCOUNT UNLOCK.",
        )
    if stored.most_connections < 0:
        return "no-login", "its MAX_USER_CONNECTIONS is negative", "ALTER USER … WITH MAX_USER_CONNECTIONS 0."
    return _tls_obstacle(stored, seen, tls=tls)


def _tls_obstacle(stored: StoredAccount, seen: SeenSession, *, tls: bool) -> tuple[str, str, str] | None:
    if stored.ssl_type == _CERTIFICATE or stored.subject or stored.issuer:
        return (
            "needs-certificate",
            "it requires a client certificate, and rotations present none",
            "Let the account REQUIRE SSL instead.",
        )
    if stored.ssl_type and not tls:
        return "needs-tls", "it requires TLS", 'Remove "ssl": false from the secret.'
    if stored.cipher and seen.cipher not in {"", stored.cipher}:
        return (
            "needs-tls",
            f"it requires the cipher {stored.cipher!r}, and this session uses {seen.cipher!r}",
            "Let the account REQUIRE SSL instead.",
        )
    return None
