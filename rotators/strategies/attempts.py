"""The logins of setSecret to a database with stored passwords. `core/tries.py` decides which and how many.

If the server cannot be reached, the step ends, because this is not a rejection.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rotators.core.errors import (
    CredentialsRejected,
    RotatorFailure,
    SecretFormatError,
    StoreError,
    TargetRefused,
)
from rotators.core.rotation import UNREADABLE
from rotators.core.tries import Tries
from rotators.logins.target import direct, same_target
from rotators.strategies.engine import rejections_left
from rotators.strategies.identity import proven_admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.progress import Credential
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Administers, Engine


NOT_CURRENT = "previous-password"
"""Reason of a rejected change: the login was accepted by a credential that is not the user's newest."""

_FOR_ADMIN = {"admin-needed", "blocked", "expired", "must-change", "too-young"}
"""Reasons of a refused login or change that no longer apply after an admin sets a new password.

Too many logins were rejected before, so this password was not checked; or the password is correct but has
expired, and its session may only change it; or the user may not change its own password, or not yet.
"""


@contextmanager
def changing(rotation: Rotation) -> Iterator[None]:
    """Change the target in the block: check the stages before, and forget rejected logins afterwards.

    A credential that was rejected before may be correct afterwards, unless the target refused the change.

    Args:
        rotation: rotation that changes the target.

    Raises:
        RotationStateError, VersionConflict: a later rotation has begun; the block was not run.
    """
    rotation.confirm()
    try:
        yield
    except TargetRefused:
        raise
    except BaseException:
        rotation.rejected.clear()  # the target may have made the change although its answer was lost
        raise
    rotation.rejected.clear()


class Attempts:
    """The logins of one step. Each object serves one step.

    Args:
        engine: engine of the secret.
        rotation: rotation with the stored values.
    """

    def __init__(self, engine: Engine, rotation: Rotation) -> None:
        self._engine, self._rotation = engine, rotation
        current = self._credential(rotation.current)
        untried = current is not None and current not in rotation.rejected
        self._tries = Tries(rotation, current_first=untried)
        self._waiting = iter(self._tries)
        self._refuted = False

    @property
    def rejected(self) -> list[Credential]:
        """The credentials that were rejected in this rotation."""
        return [self._engine.credential.of(value) for value in self._tries.rejected]

    @contextmanager
    def login(self) -> Iterator[tuple[Any, Credential] | None]:
        """Log in with one value after the other until one is accepted; the session ends with the block.

        If the server blocks the user or its password has expired, and an admin can help, the block ends where
        the error was raised, and the caller continues after it.

        A second call continues with the next value, and the value before counts as rejected (`NOT_CURRENT`).

        Yields:
            The session and the credential that was accepted; None if no value was accepted.

        Raises:
            TargetUnavailable, TargetRefused, SecretFormatError: a login failed for another reason than its
                password; no further value was tried.
        """
        try:
            with ExitStack() as sessions:
                yield self._first(sessions)
        except TargetRefused as error:
            if not self._admin_can_help(error):
                raise

    def failure(self) -> CredentialsRejected:
        """Return the error that the caller raises if no value was accepted."""
        user = self._rotation.pending.text("username")
        return self._tries.failure(f"Unable to log into database as {user!r}")

    def _admin_can_help(self, error: TargetRefused) -> bool:
        """Return True if an admin can change the credential of a user whose login was refused."""
        return error.reason in _FOR_ADMIN and self._rotation.current.get("masterarn") is not None

    def _first(self, sessions: ExitStack) -> tuple[Any, Credential] | None:
        current, settings = self._rotation.current, self._rotation.settings
        if self._tries.repeated or self._refuted:
            self._tries.limit(self._allowed_by_server)
        for stored in self._waiting:
            credential = self._credential(stored.value)
            here = same_target(stored.value, current, self._engine, settings)
            if credential is None or not self._tries.may_send(stored, credential, same_target=here):
                continue
            fields = {key: stored.value[key] for key in self._engine.credential.fields}
            secret = direct(current.replace(**fields), self._engine)
            try:
                session = sessions.enter_context(self._engine.login(secret, settings))
            except CredentialsRejected:
                self._tries.limit(self._allowed_by_server)
                continue
            except TargetRefused as error:
                if not self._admin_can_help(error):
                    raise
                return None
            self._tries.accepted()
            self._refuted = True  # if this is called again
            return session, credential
        return None

    def _credential(self, stored: Secret) -> Credential | None:
        if stored.get("username") != self._rotation.current["username"]:
            return None
        try:
            return self._engine.credential.of(stored)
        except SecretFormatError:
            return None

    @cached_property
    def _allowed_by_server(self) -> int | None:
        """The server's own limit, read by an admin; None without an admin, or if it cannot be read."""
        try:
            admin = proven_admin(self._rotation, self._engine)
            if admin is None:
                return None
            session: Administers[Any]
            with self._engine.login(admin, self._rotation.settings) as session:
                return rejections_left(
                    session, self._rotation.current.text("username"), self._tries.rejections
                )
        except (RotatorFailure, StoreError, *UNREADABLE):
            # The admin is needed only if no stored value works. Only then is its error reported.
            return None
