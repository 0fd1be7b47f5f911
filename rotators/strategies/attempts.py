"""The logins of setSecret to a database with stored passwords; which and how many is said in core/tries.py.

A server that cannot be reached ends the step: that is no rejection.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rotators.core.errors import CredentialsRejected, RotatorFailure, SecretFormatError, TargetRefused
from rotators.core.rotation import UNREADABLE
from rotators.core.tries import Tries
from rotators.logins.target import direct, same_target
from rotators.strategies.identity import proven_admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.core.progress import Credential
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Administers, Engine

T = TypeVar("T")


@contextmanager
def changing(rotation: Rotation) -> Iterator[None]:
    """Change the target in the block: check the stages before, and forget rejected logins afterwards.

    A credential that was rejected before may be right afterwards, unless the target refused the change.

    Raises:
        RotationStateError, VersionConflict: a later rotation has begun; the block was not run.
    """
    rotation.confirm()
    try:
        yield
    except TargetRefused:
        raise
    except BaseException:
        rotation.rejected.clear()  # the change may have been made, and its answer lost
        raise
    rotation.rejected.clear()


@dataclass
class Attempts:
    """The logins of one step. Each object serves one step.

    Args:
        engine: whose logins.
        rotation: whose values.

    """

    engine: Engine
    rotation: Rotation
    _tries: Tries = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._tries = Tries(self.rotation, self._is_for_target, self._credential, self._allowed_by_server)

    @property
    def rejected(self) -> list[Credential]:
        """The credentials that were rejected in this rotation."""
        return [self.engine.credential.of(value) for value in self._tries.rejected]

    def first(self, use: Callable[[Any, Secret], T]) -> T | None:
        """Log in with one value after the other until one is accepted.

        Args:
            use: called with the session and the value that was accepted: the current one with the password
                that works.

        Returns:
            What ``use`` returned; None when no value was accepted.

        Raises:
            TargetUnavailable, TargetRefused, SecretFormatError: a login did not come about for another reason
                than its password; no further value was tried.
        """
        for _, stored in self._tries:
            fields = {key: stored[key] for key in self.engine.credential.fields}
            secret = direct(self.rotation.current.replace(**fields), self.engine)
            try:
                with self.engine.login(secret, self.rotation.settings) as session:
                    self._tries.accepted()
                    return use(session, secret)
            except CredentialsRejected:
                continue
            except TargetRefused as error:
                # Too many logins were rejected before, which says nothing about this password; or it is right
                # and has expired, and the strategy needs a session that may act. An admin can help.
                if (
                    error.reason not in {"blocked", "expired"}
                    or self.rotation.current.get("masterarn") is None
                ):
                    raise
                return None
        return None

    def failure(self) -> CredentialsRejected:
        """The error for the caller to raise when nothing was accepted."""
        user = self.rotation.pending.text("username")
        return self._tries.failure(f"Unable to log into database as {user!r}")

    def _is_for_target(self, stored: Secret) -> bool:
        return same_target(stored, self.rotation.current, self.engine, self.rotation.settings)

    def _credential(self, stored: Secret) -> Credential | None:
        if stored.get("username") != self.rotation.current["username"]:
            return None
        try:
            return self.engine.credential.of(stored)
        except SecretFormatError:
            return None

    def _allowed_by_server(self) -> int | None:
        """The server's own limit as an admin reads it; None without an admin, or if it cannot be read."""
        if self.rotation.current.get("masterarn") is None:
            return None
        try:
            admin = proven_admin(self.rotation, self.engine)
            if admin is None:
                return None
            session: Administers[Any]
            with self.engine.login(admin, self.rotation.settings) as session:
                return session.rejections_allowed(self.rotation.current.text("username"))
        except (RotatorFailure, *UNREADABLE):
            # The admin is needed only if no stored value works, and its error is reported then.
            return None
