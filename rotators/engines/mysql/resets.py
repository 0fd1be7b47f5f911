"""Whether a new password would let a user log in: what an admin looks at before it resets one.

A server answers with the same error to a wrong password, to another address than the account's host pattern
admits, to a connection without TLS and to a missing client certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.hashes import is_password
from rotators.engines.mysql.hosts import admits, nearer
from rotators.engines.mysql.plugins import Kinds, Way, password_plugins

if TYPE_CHECKING:
    from collections.abc import Collection

    from rotators.engines.mysql.rights import Account

_CERTIFICATE = "X509"


_IS_RIGHT = (
    "If somebody has set it meanwhile, rotate again after ten minutes. Else compare the account's row in"
    " mysql.user with how this machine logs in; read the server's error log."
)


class Stored(NamedTuple):
    """What the server stores of an account and its logins.

    Attributes:
        account: whose.
        ways: its plugins with what they store; a second password is a way of its own.
        locked: whether an administrator locked it.
        ssl_type: empty, ANY, X509 or SPECIFIED.
        subject: of the certificate that the account requires; empty for any.
        issuer: of the same.
        cipher: that the account requires; empty for any.
        most_connections: the account's limit; negative for none at all.
        anonymous: the host patterns of users without a name, which may be nearer to this machine.
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


class Seen(NamedTuple):
    """This session, as the server sees it. A login of the user would look the same.

    Attributes:
        host: in ``USER()``.
        cipher: of its TLS; empty without TLS.
    """

    host: str
    cipher: str


def require_reset_helps(
    stored: Stored, kinds: Kinds, seen: Seen, rejected: Collection[str], *, tls: bool
) -> None:
    """Check that the password is wrong, and that a new one would let the user in.

    Args:
        stored: of the account.
        kinds: the server's plugins.
        seen: the admin's session.
        rejected: the passwords that were rejected.
        tls: whether the user's logins use TLS.

    Raises:
        TargetRefused: one of them is right, or a new one would be rejected too.
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


def _obstacle(stored: Stored, seen: Seen, *, tls: bool) -> tuple[str, str, str] | None:
    """What keeps the user out whatever its password is: reason, text and remedy."""
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


def _tls_obstacle(stored: Stored, seen: Seen, *, tls: bool) -> tuple[str, str, str] | None:
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
