"""The contract of a rotator, and its optional parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rotators.core.secret import Members

if TYPE_CHECKING:
    from collections.abc import Collection

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


@runtime_checkable
class Rotator(Protocol):
    """Rotates one type of credential. A rotator needs one module and does not call AWS.

    A rotator may raise CredentialsRejected, TargetUnavailable (the same call may succeed later),
    TargetRefused, SecretFormatError and IdentityMismatch. Any other exception fails the step as a
    RotatorDefect, which contains its type and its masked text; Secrets Manager then repeats the rotation
    later, with the same or a new token.
    """

    def propose(self, rotation: Rotation) -> Secret:
        """createSecret: return the new value, without a change of the target. The core then stores the value.

        The new value keeps all other keys of ``rotation.current``. A repeated call may return another value.

        Args:
            rotation: the ``current`` value and the settings; ``pending`` does not exist yet.

        Returns:
            The value to store.

        Raises:
            SecretFormatError: a key is missing or wrong. The step fails; nothing was stored or changed.
            IdentityMismatch: as for `apply`.
        """

    def apply(self, rotation: Rotation) -> None:
        """setSecret: make the target accept ``rotation.pending``. Idempotent.

        The core may call it again at any later time, also after a crash at any point of an earlier call.

        Args:
            rotation: the stored values. Call its ``confirm`` directly before the change.

        Raises:
            CredentialsRejected: the target rejected every login. The step fails, and the service repeats it.
            TargetUnavailable: the target gave no answer. The step fails, and the service repeats it; no login
                counts as rejected.
            TargetRefused: the target refused for another reason, which an administrator has to remove.
            SecretFormatError: a key is missing or wrong; an administrator has to store a correct value.
            IdentityMismatch: a value is for another user or target. No credential was sent to it.
        """

    def verify(self, rotation: Rotation) -> None:
        """testSecret: log in with ``rotation.pending``, and check that the user has what it needs.

        This method changes nothing. The core promotes the value only after it has returned.

        Args:
            rotation: rotation of the secret.

        Raises:
            CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError, IdentityMismatch: as for
                `apply`. The value is not promoted; AWSCURRENT stays where it is.
        """


@runtime_checkable
class ChecksValues(Protocol):
    """An optional part of a rotator: it can check a value without a login."""

    def check_value(self, value: Secret, settings: Settings) -> None:
        """Check all of a value that can be checked without a login.

        Args:
            value: the current value, or one that is to be stored.
            settings: settings of the function.

        Raises:
            SecretFormatError: a key is missing or of the wrong type, or names something unknown.
            IdentityMismatch: the settings do not allow the target.
        """


@runtime_checkable
class HasStrategies(Protocol):
    """An optional part of a rotator: it has more than one way to rotate."""

    def strategy_of(self, value: Secret) -> str:
        """Return the name of the strategy that rotates a value; the rotator need not offer it.

        Args:
            value: the current value.

        Returns:
            A value of the key ``strategy``, such as ``single``.

        Raises:
            SecretFormatError: the value's ``strategy`` is not a string.
        """


@runtime_checkable
class DeclaresMembers(Protocol):
    """An optional part of a rotator: it declares further members of its secrets that are not secret.

    Attributes:
        public_members: keys, beside PUBLIC_KEYS, that name a target or an identity. Errors may show them.
    """

    @property
    def public_members(self) -> Collection[str]: ...  # noqa: D102 - see Attributes


@runtime_checkable
class DeclaresCredential(Protocol):
    """An optional part of a rotator: its secrets have a credential under keys other than ``password``.

    Errors show no value of these members, however short it is. Of other members they may show values of
    fewer than four characters and numbers of fewer than six digits, because any text may hold these by
    chance.

    Attributes:
        credential_members: keys that are the credential, such as an API key or a private key.
    """

    @property
    def credential_members(self) -> Collection[str]: ...  # noqa: D102 - see Attributes


def public_members(rotator: Rotator | None) -> Collection[str]:
    """Return the members that a rotator declares as public; none if it declares none.

    Args:
        rotator: any rotator; None for none.

    Returns:
        Keys of the secret's JSON object.
    """
    return rotator.public_members if isinstance(rotator, DeclaresMembers) else ()


def declared_members(rotator: Rotator | None) -> Members:
    """Return the members that a rotator declares; none if it declares none.

    Args:
        rotator: any rotator; None for none.

    Returns:
        Public members and members of the credential.
    """
    credential = rotator.credential_members if isinstance(rotator, DeclaresCredential) else ()
    return Members(public_members(rotator), credential)
