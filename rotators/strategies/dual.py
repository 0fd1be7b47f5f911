"""Strategy ``dual``: one user with two valid passwords, so that no login fails, on engines that support this.

After setSecret, the current and the pending password are both valid. The setSecret of the next rotation ends
the validity of the older one. The pair is set as a whole (exactly these two), so the step may be repeated,
and the next rotation removes any password that an interrupted rotation set.

The current password logs in first, which proves that the writer of the secret knows it. Then the admin sets
the pair if the secret names one, otherwise the user itself, which needs a right for it. If the current
password is rejected, the stored ones are tried as in ``single``. The current password works again afterwards,
because the applications use it.
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
    """One user, whose old password stays valid until the next rotation.

    `propose` and `verify` are those of Single.
    """

    name = "dual"

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Make the current and the pending password the only valid ones.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

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
