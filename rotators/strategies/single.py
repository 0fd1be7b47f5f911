"""Strategy ``single``: one user, whose password changes.

Between the target's commit and the promotion the current password is dead: that window is this strategy's
price. ``alternating`` has none.

setSecret logs in with the first stored value that works, in the order in which they are likely to:
current; pending (an earlier attempt was here); previous; versions that lost their label (an earlier
rotation died between the target's commit and the promotion, and a new one began); the admin, if the
secret names one. On the normal path the first one works. A server that cannot be reached ends the walk at
once: silence is no rejection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import AccessDenied, CredentialsRejected, IdentityMismatch
from rotators.core.rotation import UNREADABLE
from rotators.strategies.identity import check_target, check_user, proven_admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Engine


class Single:
    """One user changes its own password; an admin helps out where no stored password works."""

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """The current value with a new password."""
        current = rotation.current
        password = rotation.settings.password.generate(engine.password_rules, unlike=current.text("password"))
        return current.replace(password=password)

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """Make the user's password the pending one.

        Raises:
            IdentityMismatch: the pending value is for another user or target; no login was tried.
            CredentialsRejected: no stored value logs in, and there is no admin who does.
            TargetUnavailable, TargetRefused, SecretFormatError: from the engine.
        """
        pending = rotation.pending
        check(engine, rotation)
        tried: list[str] = []
        for label, secret in candidates(rotation, tried):
            if _set_password_as(secret, pending, engine, rotation):
                return
            tried.append(label)
        admin = proven_admin(rotation, engine)
        if admin is None:
            raise CredentialsRejected(
                f"Unable to log into database as {pending.text('username')!r}: rejected with "
                + ", ".join(tried)
            )
        user = pending.text("username")
        with engine.login(admin, rotation.settings) as session:
            session.require_ordinary(user)
            session.set_password(user, pending.text("password"))

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """Log in as the pending value."""
        check(engine, rotation)
        with engine.login(rotation.pending, rotation.settings) as session:
            session.check()


def check(engine: Engine, rotation: Rotation) -> None:
    """Check that the pending value is for the current one's user and target.

    Raises:
        IdentityMismatch: it is not.
        SecretFormatError: a key is missing or wrong.
    """
    check_target(rotation.pending, rotation.current, engine)
    check_user(rotation.pending, {rotation.current.text("username")})
    if rotation.pending.get("alternate_username") != rotation.current.get("alternate_username"):
        raise IdentityMismatch("the pending value has another alternate_username than the current one")


def candidates(rotation: Rotation, tried: list[str]) -> Iterator[tuple[str, Secret]]:
    """The stored values of this user, each password once; lazily, for reading one costs a call.

    Args:
        rotation: where they come from, the likeliest first.
        tried: gets a note when older versions may not be read.

    Yields:
        What the value is called, and the current value with its password.
    """
    user = rotation.current.text("username")
    passwords: set[object] = set()
    for label, secret in _stored(rotation, tried):
        password = secret.get("password")
        if secret.get("username") == user and isinstance(password, str) and password not in passwords:
            passwords.add(password)
            # Only its password is taken: an old version may name an old host.
            yield label, rotation.current.replace(password=password)


def _stored(rotation: Rotation, tried: list[str]) -> Iterator[tuple[str, Secret]]:
    """All stored values, the likeliest first. One that cannot be read must not hide those behind it."""
    yield "current", rotation.current
    yield "pending", rotation.pending
    try:
        if rotation.previous is not None:
            yield "previous", rotation.previous
    except UNREADABLE as error:
        tried.append(f"previous (unreadable: {error.code})")
    try:
        for number, secret in enumerate(rotation.history, 1):
            yield f"older version {number}", secret
    except AccessDenied:
        tried.append("older versions (not listed: grant secretsmanager:ListSecretVersionIds)")


def _set_password_as(secret: Secret, pending: Secret, engine: Engine, rotation: Rotation) -> bool:
    """Set the pending password in a login of the user's own; False when the login is rejected."""
    wanted = pending.text("password")
    try:
        login = engine.login(secret, rotation.settings)
        with login as session:
            if secret["password"] != wanted:
                session.set_password(pending.text("username"), wanted)
    except CredentialsRejected:
        return False
    return True
