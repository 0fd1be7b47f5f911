"""One login to a cache. No API of AWS is called during it, so that its deadline is for the cache alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rotators.core.errors import IdentityMismatch
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.elasticache import CacheEngine
from rotators.engines.redis.node import RedisLogin, UserSession, connected
from rotators.logins.connecting import SESSION_SECONDS
from rotators.logins.target import port_of


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: CacheEngine) -> Iterator[UserSession]:
    """Log into the cache that a secret names, if no change of its credential is under way.

    A change reaches the nodes of a cache one after the other, so a login proves a password only when AWS
    reports that the change has ended.

    Args:
        secret: user, password and target.
        settings: settings of the function: trusted certificates.
        engine: engine with the default port; it finds the user or replication group of the secret.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
        IdentityMismatch: the resource is of another user, account or Region.
        StoreError: the API failed.
    """
    resource = engine.resource(secret)
    login = RedisLogin.of(secret, settings)
    user = resource.require_ready()
    until = time.monotonic() + SESSION_SECONDS
    with connected(secret.text("host"), port_of(secret, engine.default_port), login, until) as node:
        if user != login.user:
            raise IdentityMismatch(
                f"{resource.arn} is user {user!r}, and the secret's user {login.user!r} logged in",
                reason="user-arn",
                remedy="Correct username or the ARN in the secret (PutSecretValue), then rotate again.",
            )
        yield UserSession(node, login)
