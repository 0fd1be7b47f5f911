"""Strategy ``dual``: one user with two passwords, so that no login fails, on engines that keep two.

setSecret makes the current and the pending password work side by side; they do until the next rotation's
setSecret, where the older one of the two dies. The pair is set as a whole (exactly these two), so it may be
repeated, and what a rotation that died left there is gone after the next.

The current password logs in first, which proves that the writer of the secret holds that login. Then the
admin sets the pair where the secret names one, else the user itself, which needs a right for it. Where the
current password is rejected, the stored ones are tried as in ``single``, and the current one works again
afterwards: it is what the applications use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.strategies.attempts import Attempts, changing
from rotators.strategies.identity import proven_admin
from rotators.strategies.single import Single, check, require_reset_helps

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.strategies.engine import Engine, KeepsTwo


class Dual(Single):
    """One user; its old password stays valid until the next rotation. Proposed and verified as in Single."""

    name = "dual"

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Make the current and the pending password work, and no other.

        Args:
            engine: of the secret.
            rotation: its values.

        Raises:
            IdentityMismatch: the pending value, or the admin's, is for another user or target.
            CredentialsRejected: no stored value logs in, and there is no admin who does.
            RotationStateError, VersionConflict: a later rotation has begun; nothing was changed.
            TargetUnavailable, TargetRefused, SecretFormatError: from the engine.
        """
        check(engine, rotation)
        admin = proven_admin(rotation, engine)
        user, account = rotation.pending.text("username"), None
        attempts = Attempts(engine, rotation)
        with attempts.login() as accepted:
            if accepted is not None:
                session, _ = accepted
                session.check()
                account = session.account
                if admin is None:
                    _keep_two(engine, session, user, rotation)
        if admin is None:
            if account is None:
                raise attempts.failure()
            return
        with engine.login(admin, rotation.settings) as session:
            if account is None:
                require_reset_helps(session, rotation.current, attempts.rejected)
            _keep_two(engine, session, account or user, rotation)


def _keep_two(engine: Engine, session: KeepsTwo[Any], user: str, rotation: Rotation) -> None:
    with changing(rotation):
        session.set_pair(user, engine.credential.of(rotation.current), engine.credential.of(rotation.pending))
