"""One login to a cache. No API of AWS is called during it, so that its deadline is for the cache alone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rotators.core.errors import IdentityMismatch
from rotators.engines.redis.node import Login, Node, connected, require_user
from rotators.logins.connecting import SESSION_SECONDS
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.engines.elasticache.resources import Resource


@contextmanager
def logged_in(
    resource: Resource, secret: Secret, settings: Settings, default_port: int
) -> Iterator[CacheSession]:
    """Log into the cache that a secret names, if no change of its credential is under way.

    A change reaches the nodes of a cache one after the other, so a login proves a password only when AWS
    reports that the change has ended.

    Args:
        resource: user or replication group of the secret.
        secret: user, password and target.
        settings: of the function: trusted certificates.
        default_port: used when the secret has no port.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
        IdentityMismatch: the resource is of another user, account or Region.
        StoreError: the API failed.
    """
    login = Login.of(secret, settings)
    user = resource.require_ready()
    until = time.monotonic() + SESSION_SECONDS
    with connected(secret.text("host"), port_of(secret, default_port), login, until) as node:
        if user != login.user:
            raise IdentityMismatch(
                f"{resource.arn} is user {user!r}, and the secret's user {login.user!r} logged in",
                reason="user-arn",
                remedy="Correct username or the ARN in the secret (PutSecretValue), then rotate again.",
            )
        yield CacheSession(node, login)


class CacheSession:
    """One login.

    Args:
        node: the logged-in connection.
        login: user that logged in.
    """

    behind_pooler = False

    def __init__(self, node: Node, login: Login) -> None:
        self._node, self._login = node, login

    @property
    def account(self) -> str:
        """See Session.account."""
        return self._login.user

    def check(self, other: str = "") -> None:
        """See Session.check."""
        del other
        require_user(self._node, self._login.user)
