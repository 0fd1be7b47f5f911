"""Strategy ``dual`` for services whose API sets the passwords and needs minutes for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rotators.core.errors import CredentialsRejected, IdentityMismatch, SecretFormatError
from rotators.core.rotation import UNREADABLE
from rotators.logins.target import TargetIdentity, addresses
from rotators.strategies.attempts import Attempts, changing
from rotators.strategies.dual import Dual
from rotators.strategies.single import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.engines.elasticache.resources import CacheResource
    from rotators.strategies.engine import Engine


class ApiDual(Dual):
    """One user, whose two passwords the function's role sets after a login of that user.

    The login proves that the writer of the secret has the password, because CACHE_HOSTS must name the cache.
    Otherwise a login at a server of the writer's choice would prove nothing, and the role alone would change
    any user that a secret names.

    Args:
        resource_of: gives the resource that a value names.
    """

    def __init__(self, resource_of: Callable[[Secret], CacheResource]) -> None:
        super().__init__()
        self._resource_of = resource_of
        self._made_newest: set[tuple[str, str | None]] = set()

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """Return the current value with a new credential; for a token, that of an interrupted rotation.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            SecretFormatError: the value names no resource, or an admin, which does not exist here.
            IdentityMismatch: CACHE_HOSTS does not name the cache.
            AccessDenied: the role may not list the versions, which the rotation of a token needs.
        """
        current = rotation.current
        _require_named(engine, rotation)
        self._resource_of(current)
        if "masterarn" in current:
            raise SecretFormatError(
                "key 'masterarn' has no meaning here",
                remedy="Remove it from the secret: the function's role changes the password.",
            )
        interrupted = self._interrupted(engine, rotation)
        if interrupted is None:
            return super().propose(engine, rotation)
        return current.replace(**{key: interrupted[key] for key in engine.credential.fields})

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Start the change that makes the current and the pending password work, unless both do.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            TargetUnavailable: a change is under way (reason ``propagating``), or the cache is unreachable.
            IdentityMismatch: the pending value, or the resource, is for another user or target; or
                CACHE_HOSTS does not name the cache.
            CredentialsRejected: no stored value logs in.
            RotationStateError, VersionConflict: a later rotation has begun; nothing was changed.
            TargetRefused, SecretFormatError, StoreError: from the engine.
        """
        check(engine, rotation)
        _require_named(engine, rotation)
        attempts = Attempts(engine, rotation)
        with attempts.login() as accepted:
            if accepted is None:
                raise attempts.failure()
            session, credential = accepted
            session.check()
        # After the session: its deadline is for the cache, and a call of the API may take longer.
        old: Any = engine.credential.of(rotation.current)
        new: Any = engine.credential.of(rotation.pending)
        may_work = credential == old and self._may_work(engine, rotation, new)
        if may_work and _works(engine, rotation, rotation.pending):
            return
        resource = self._resource_of(rotation.current)
        if resource.newest_two:
            if credential == new:
                return
            if credential == old and _another_works(engine, rotation):
                self._keep_only(resource, rotation, old)
                resource.require_ready()
        with changing(rotation):
            resource.change(old, new)

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """Log in as the pending value, at a cache that CACHE_HOSTS names.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: CACHE_HOSTS does not name the cache.
        """
        _require_named(engine, rotation)
        super().verify(engine, rotation)

    def _keep_only(self, resource: CacheResource, rotation: Rotation, old: Any) -> None:
        """Start to end the group's other token. What AWS refuses twice, it never does."""
        attempt = resource.arn, rotation.versions.token if rotation.versions else None
        with changing(rotation):
            if resource.keep_only(old, newest=attempt in self._made_newest):
                self._made_newest.add(attempt)

    def _may_work(self, engine: Engine, rotation: Rotation, new: Any) -> bool:
        """Return True if an earlier step or rotation may have set the pending credential."""
        interrupted = self._interrupted(engine, rotation)
        return not rotation.untouched or (
            interrupted is not None and engine.credential.of(interrupted) == new
        )

    def _interrupted(self, engine: Engine, rotation: Rotation) -> Secret | None:
        """Return the newest value of an interrupted rotation whose token may be set; None for users."""
        if not self._resource_of(rotation.current).newest_two:
            return None
        return next((lost for lost in rotation.lost if _is_of_group(engine, rotation, lost)), None)


def _another_works(engine: Engine, rotation: Rotation) -> bool:
    """Return True if the group has another stored token, which may be newer than the current one.

    It is newer after another process gave AWSCURRENT back to the older version, or stored the older token
    again. ROTATE would then remove the current one. It can be the token of any version: one that was stored
    again has newer versions than the ones that a rotation stored before.
    """
    tried = [engine.credential.of(value) for value in (rotation.current, rotation.pending)]
    for stored in _stored(rotation):
        if not _is_of_group(engine, rotation, stored):
            continue
        token: Any = engine.credential.of(stored)
        if token in tried:
            continue
        tried.append(token)
        fields = {key: stored[key] for key in engine.credential.fields}
        if _works(engine, rotation, rotation.current.replace(**fields)):
            return True
    return False


def _stored(rotation: Rotation) -> Iterator[Secret]:
    """Yield the other values of the secret, the likeliest first."""
    with suppress(*UNREADABLE):
        if rotation.previous is not None:
            yield rotation.previous
    yield from rotation.history


def _is_of_group(engine: Engine, rotation: Rotation, stored: Secret) -> bool:
    """Return True if a value has a token of the same group that may be sent to the current host.

    The host may differ: AWS reports the current one as an endpoint of the group.
    """
    current, settings = rotation.current, rotation.settings
    try:
        engine.credential.of(stored)
        asked, offered = (
            TargetIdentity.of(value, engine.default_port, settings.ssl_root_cert)
            for value in (stored, current)
        )
    except SecretFormatError:
        return False
    same = all(stored.get(key) == current.get(key) for key in ("replication_group_arn", "username"))
    return same and offered.is_as_safe_as(asked)


def _require_named(engine: Engine, rotation: Rotation) -> None:
    """Check that CACHE_HOSTS names every address that a login of a rotation goes to."""
    for host, port in addresses(rotation.current, engine):
        if any(cache.admits(host, port) for cache in rotation.settings.cache_hosts):
            continue
        raise IdentityMismatch(
            f"CACHE_HOSTS does not name the cache {host}:{port}",
            reason="not-allowed",
            remedy="Name the caches in the function's CACHE_HOSTS (parameter CacheHosts): a login proves a"
            " password only at a server that the stack's owner chose.",
        )


def _works(engine: Engine, rotation: Rotation, value: Secret) -> bool:
    try:
        with engine.login(value, rotation.settings):
            return True
    except CredentialsRejected:
        return False
