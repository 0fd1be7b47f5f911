"""Strategy ``single`` with the checks of Active Directory that need no login, and with resets by AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.engines.ldap.principals import login_name, require_tls
from rotators.logins.target import addresses
from rotators.strategies.attempts import changing
from rotators.strategies.single import Single

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.engines.activedirectory.directories import AwsDirectory
    from rotators.strategies.attempts import Attempts
    from rotators.strategies.engine import Engine


class OverTls(Single):
    """One user. Its password is sent over TLS only, and AWS resets it after a login at a named server."""

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """See Single.propose.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            SecretFormatError: the secret permits a connection without TLS, or has no complete name.
            IdentityMismatch: AWS changes the password, and DIRECTORY_HOSTS does not name the server.
        """
        require_tls(rotation.current)
        login_name(rotation.current)
        _directory(engine, rotation)
        return super().propose(engine, rotation)

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """See Single.verify.

        Args:
            engine: engine of the secret.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: AWS changes the password, and DIRECTORY_HOSTS does not name the server.
        """
        _directory(engine, rotation)
        super().verify(engine, rotation)

    def set_by_user(self, engine: Engine, attempts: Attempts, rotation: Rotation) -> bool:
        """See Single.set_by_user. With ``directory_id``, AWS sets the password of the user that logged in.

        Args:
            engine: engine of the secret.
            attempts: logins of the step.
            rotation: rotation of the secret.

        Raises:
            IdentityMismatch: DIRECTORY_HOSTS does not name the server, or the directory is of another domain.
            StoreError: the API refused the call.
        """
        directory = _directory(engine, rotation)
        if directory is None:
            return super().set_by_user(engine, attempts, rotation)
        password = rotation.pending.text("password")
        user = None
        with attempts.login() as accepted:
            if accepted is not None:
                session, credential = accepted
                session.check()
                user = session.directory_user()
        if user is None:
            return False
        # After the session: its deadline is for the server, and a call of the API may take longer.
        if credential != password:
            directory.require(user[0])
            with changing(rotation):
                directory.reset(user[1], password)
        return True


def _directory(engine: Engine, rotation: Rotation) -> AwsDirectory | None:
    """Return the directory in AWS that changes the password; None if the user or an admin does."""
    if "directory_id" not in rotation.current:
        return None
    from rotators.engines.activedirectory.directories import AwsDirectory  # noqa: PLC0415 - boto3

    return AwsDirectory.of(rotation.current, rotation.settings, addresses(rotation.current, engine))
