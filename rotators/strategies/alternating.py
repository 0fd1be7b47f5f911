"""Strategy ``alternating``: two users take turns, so that the current password works at every instant.

The pending value is for the user that is *not* current. An admin sets that user's password; the user of the
applications is not changed until the stage moves. The other user is ``alternate_username`` if the secret
names one (an existing second user), otherwise a clone with the name that AWS's templates use (``_clone``
appended, or removed if it is there). A name is not a proof, so the engine checks that the two users belong
together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.logins.target import direct
from rotators.strategies.identity import check_target, check_user, proven_admin

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Engine, Session

SUFFIX = "_clone"


class Alternating:
    """Two users, and an admin who sets the password of the one that is not in use."""

    name = "alternating"
    needs_admin = True

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """Return the other user's value with a new password.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            SecretFormatError: the secret has no ``masterarn``, or the clone's name would be too long.
        """
        current = rotation.current
        current.text("masterarn")
        changes: dict[str, object] = {
            **engine.credential.new(rotation.settings, current),
            "username": other_user(current, engine),
        }
        if "alternate_username" in current:
            changes["alternate_username"] = current.text("username")
        return current.replace(**changes)

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Set the pending password of the other user, which acts as the original.

        The current value logs in first: it proves that the writer of the secret holds that login.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: the pending value, or the admin's, is not for this pair and target.
            CredentialsRejected: the admin is rejected.
            TargetRefused: the other user is not proven to be the clone, or the admin lacks a right.
            RotationStateError, VersionConflict: a later rotation has begun; nothing was changed.
            TargetUnavailable, SecretFormatError: from the engine.
        """
        current, pending = rotation.current, rotation.pending
        _check(engine, rotation, users={other_user(current, engine)})
        admin = proven_admin(rotation, engine)
        if admin is None:
            raise SecretFormatError(
                "Key is missing from secret JSON: 'masterarn' (alternating needs an admin)"
            )
        account = _account(engine, rotation)
        user, other = current.text("username"), pending.text("username")
        credential = engine.credential.of(pending)
        with engine.login(admin, rotation.settings) as session:
            if account is None:
                session.require_ordinary(user)
            original = account or user
            rotation.confirm()
            if other == user + SUFFIX and "alternate_username" not in current:
                session.ensure_clone(original, other, credential)
            else:
                session.require_clone(original, other)
                session.set_credential(other, credential)

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """Log in with the pending value, as the other user; in a trial run as the current one.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: the pending value is for another target, or for neither of the two users.
            CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: from the engine.
        """
        current, pending = rotation.current, rotation.pending
        if pending != current:
            _check(engine, rotation, users={other_user(current, engine)})
        with engine.login(pending, rotation.settings) as session:
            session.check(partner(pending, engine))


def _check(engine: Engine, rotation: Rotation, *, users: set[str]) -> None:
    """Check target and user of the pending value, and that it names the current user as the other one."""
    current, pending = rotation.current, rotation.pending
    check_target(pending, current, engine)
    check_user(pending, users)
    next_time = current.text("username") if "alternate_username" in current else None
    if pending.get("alternate_username") != next_time:
        raise IdentityMismatch("the pending value has another alternate_username than the current user")


def other_user(current: Secret, engine: Engine) -> str:
    """Return the user that the next rotation makes current.

    Args:
        current: the current value.
        engine: gives the longest name.

    Raises:
        SecretFormatError: the clone's name would exceed the engine's limit.
        IdentityMismatch: ``alternate_username`` is the current user itself.
    """
    user = current.text("username")
    if "alternate_username" in current:
        other = current.text("alternate_username")
        if other == user:
            raise IdentityMismatch(
                f"alternate_username is the current user {user!r} itself",
                remedy="Name the second user there, or remove the key.",
            )
        if len(other.encode()) > engine.longest_username:
            raise SecretFormatError(f"key 'alternate_username' exceeds {engine.longest_username} bytes")
        return other
    if user.endswith(SUFFIX) and user != SUFFIX:
        return user.removesuffix(SUFFIX)
    clone = user + SUFFIX
    if len(clone.encode()) > engine.longest_username:
        raise SecretFormatError(
            f"username length with {SUFFIX} appended would exceed {engine.longest_username} bytes",
            remedy="Set alternate_username to a second user of your own, or use a shorter name.",
        )
    return clone


def partner(value: Secret, engine: Engine) -> str:
    """Return the other user of the pair; empty if its name would break a rule.

    Args:
        value: value with one of the two users.
        engine: gives the longest name.
    """
    try:
        return other_user(value, engine)
    except (SecretFormatError, IdentityMismatch):
        return ""


def _account(engine: Engine, rotation: Rotation) -> str | None:
    """Return the server's name of the current user; None if its password is rejected or it is blocked."""
    credential = engine.credential.of(rotation.current)
    if credential in rotation.rejected:  # a repeated step must not increase the number of rejected logins
        return None
    session: Session
    try:
        with engine.login(direct(rotation.current, engine), rotation.settings) as session:
            return session.account
    except CredentialsRejected:
        rotation.rejections.append("current")
        rotation.rejected.add(credential)
        return None
    except TargetUnavailable as error:
        # The server checks a user's limit after its password, so the password was correct.
        if error.reason == "user-connections":
            return rotation.current.text("username")
        raise
    except TargetRefused as error:
        # Too many logins of the current user were rejected, or its password has expired: the other user still
        # works.
        if error.reason in {"blocked", "expired"}:
            return None
        raise
