"""The logins of setSecret to a database with stored passwords; which and how many is said in core/tries.py.

A server that cannot be reached ends the step: that is no rejection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from rotators.core.errors import CredentialsRejected, RotatorFailure, TargetRefused
from rotators.core.rotation import UNREADABLE
from rotators.core.tries import Tries
from rotators.logins.target import direct, same_target
from rotators.strategies.identity import proven_admin

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Engine, Session

T = TypeVar("T")


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
        self._tries = Tries(self.rotation, self._is_for_target, self._password, self._allowed_by_server)

    @property
    def passwords(self) -> list[str]:
        """Those that were rejected in this rotation."""
        return [value.text("password") for value in self._tries.rejected]

    def first(self, use: Callable[[Session, Secret], T]) -> T | None:
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
            secret = direct(self.rotation.current.replace(password=stored["password"]), self.engine)
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

    def _password(self, stored: Secret) -> str | None:
        password = stored.get("password")
        same_user = stored.get("username") == self.rotation.current["username"]
        return password if same_user and isinstance(password, str) else None

    def _allowed_by_server(self) -> int | None:
        """The server's own limit as an admin reads it; None without an admin, or if it cannot be read."""
        if self.rotation.current.get("masterarn") is None:
            return None
        try:
            admin = proven_admin(self.rotation, self.engine)
            if admin is None:
                return None
            with self.engine.login(admin, self.rotation.settings) as session:
                return session.rejections_allowed(self.rotation.current.text("username"))
        except (RotatorFailure, *UNREADABLE):
            # The admin is needed only if no stored value works, and its error is reported then.
            return None
