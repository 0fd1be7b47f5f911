"""Strategy ``single``: one user, whose password changes.

Between the commit of the target and the promotion, the current password does not work. ``alternating`` does
not have this window.

setSecret logs in with the first stored value that works (``attempts.py``) and sets the pending password. If
no value works and the secret names an admin, the admin sets it. Before that, it checks that a new password
would help, because a login can be rejected although its password is correct.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.core.errors import CredentialsRejected, IdentityMismatch, TargetRefused
from rotators.logins.connecting import wants_tls
from rotators.strategies.attempts import NOT_CURRENT, Attempts, changing
from rotators.strategies.identity import check_target, check_user, proven_admin

if TYPE_CHECKING:
    from collections.abc import Collection

    from rotators.core.progress import Credential
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Administers, Changes, Engine


class Single:
    """One user changes its own password; an admin sets it if no stored password works.

    Args:
        needs_admin: True for an engine on which a user cannot change its own credential. The secret must then
            name an admin.
    """

    name = "single"

    def __init__(self, *, needs_admin: bool = False) -> None:
        self.needs_admin = needs_admin

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """Return the current value with a new credential.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            SecretFormatError: the secret has no ``masterarn``, and on this engine only an admin changes a
                credential.
        """
        current = rotation.current
        if self.needs_admin:
            current.text("masterarn")
        return current.replace(**engine.credential.new(rotation.settings, current))

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Set the user's password to the pending one.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: the pending value is for another user or target; no login was tried.
            CredentialsRejected: no stored value logs in, and there is no admin who does.
            TargetRefused: a reset by the admin would not help; nothing was changed.
            RotationStateError, VersionConflict: a later rotation has begun; nothing was changed.
            TargetUnavailable, SecretFormatError: from the engine.
        """
        check(engine, rotation)
        attempts = Attempts(engine, rotation)
        if self.needs_admin:
            with attempts.login() as accepted:
                if proven := accepted is not None:
                    accepted[0].check()
        else:
            proven = False
            if self.set_by_user(engine, attempts, rotation):
                return
        admin = proven_admin(rotation, engine)
        if admin is None:
            raise attempts.failure()
        user = rotation.pending.text("username")
        with engine.login(admin, rotation.settings) as session:
            _refuse_pooler(session)
            if not proven:
                require_reset_helps(session, rotation.current, attempts.rejected)
            with changing(rotation):
                session.set_credential(user, engine.credential.of(rotation.pending))

    def set_by_user(self, engine: Engine, attempts: Attempts, rotation: Rotation) -> bool:
        """Set the pending credential in the first login that may change it.

        Args:
            engine: engine of the secret.
            attempts: logins of the step.
            rotation: rotation of the secret.

        Returns:
            False if no login was accepted, or if no login could change the credential and an admin can.

        Raises:
            RotatorFailure, StoreError: see `apply`.
        """
        while True:
            changed = False
            try:
                with attempts.login() as accepted:
                    if accepted is not None:
                        _set_own(engine, *accepted, rotation)
                        changed = True
            except CredentialsRejected as error:
                # The server still accepts the credential before the newest one. An interrupted step or
                # another rotation set the newest one, which is among the next values.
                if error.reason != NOT_CURRENT:
                    raise
            else:
                return changed

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """Log in with the pending value.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: the pending value is for another user or target; no login was tried.
            CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: from the engine.
        """
        check(engine, rotation)
        with engine.login(rotation.pending, rotation.settings) as session:
            session.check()


def require_reset_helps(session: Administers[Any], current: Secret, rejected: Collection[Credential]) -> None:
    """Check, in an admin's session, that the user is ordinary and could log in with a new password.

    Args:
        session: session of the admin.
        current: the current value.
        rejected: the credentials of the user's rejected logins.

    Raises:
        TargetRefused: the user is an administrator, or a new password would not help; nothing was changed.
    """
    user = current.text("username")
    session.require_ordinary(user)
    session.require_resettable(user, rejected, tls=wants_tls(current))


def check(engine: Engine, rotation: Rotation) -> None:
    """Check that the pending value is for the current one's user and target.

    Args:
        engine: engine of the secret.
        rotation: rotation of the secret.

    Raises:
        IdentityMismatch: it is for another user or target.
        SecretFormatError: a key is missing or wrong.
    """
    check_target(rotation.pending, rotation.current, engine)
    check_user(rotation.pending, {rotation.current.text("username")})
    if rotation.pending.get("alternate_username") != rotation.current.get("alternate_username"):
        raise IdentityMismatch("the pending value has another alternate_username than the current one")


def _set_own(engine: Engine, session: Changes[Any], accepted: Credential, rotation: Rotation) -> None:
    """Set the pending credential in a login of the user itself."""
    wanted = engine.credential.of(rotation.pending)
    if accepted != wanted:
        _refuse_pooler(session)
        rotation.confirm()
        session.set_credential(rotation.pending.text("username"), wanted)


def _refuse_pooler(session: Changes[Any]) -> None:
    """Refuse a change through a pooler: it may reject a correct password, or keep the old one."""
    if session.behind_pooler:
        raise TargetRefused(
            "a pooler or proxy answers instead of the server, and it may still require the old password",
            reason="pooler",
            remedy='Name the server\'s own address in the secret\'s "admin_host" (and "admin_port"), or use'
            " strategy alternating; configure the pooler to read passwords from the server"
            " (docs/how-to/recovery.md).",
        )
