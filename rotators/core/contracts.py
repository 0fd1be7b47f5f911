"""The two contracts of the core: what a rotator does, and what the store of secrets offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


@runtime_checkable
class Rotator(Protocol):
    """Rotates one type of credential. One file, no AWS in it.

    A rotator may raise CredentialsRejected, TargetUnavailable (the call is worth repeating),
    TargetRefused, SecretFormatError and IdentityMismatch. Any other exception fails the step as a
    RotatorDefect, which names its type and its masked text; Secrets Manager then repeats the rotation later,
    with the same or a new token.
    """

    def propose(self, rotation: Rotation) -> Secret:
        """createSecret: give the new value. Touches nothing; the core stores the result first.

        Unknown keys of ``rotation.current`` must survive. Called again, it may give another value.

        Args:
            rotation: its ``current`` value; ``pending`` does not exist yet.

        Returns:
            The value to store.
        """

    def apply(self, rotation: Rotation) -> None:
        """setSecret: make the target accept ``rotation.pending``. Idempotent.

        It may be called again at any later time, also after a crash at any point of an earlier call.

        Args:
            rotation: its values; ``confirm`` is called directly before the change.
        """

    def verify(self, rotation: Rotation) -> None:
        """testSecret: log in for real as ``rotation.pending`` and check what that user needs.

        Changes nothing. Core promotes the value only after this has returned.

        Args:
            rotation: its values.
        """


@runtime_checkable
class ChecksValues(Protocol):
    """An optional part of a rotator: it can check a value without a login."""

    def check_value(self, value: Secret, settings: Settings) -> None:
        """Check all of a value that can be checked without a login.

        Args:
            value: the current value, or one that is to be stored.
            settings: of the function.

        Raises:
            SecretFormatError: a key is missing, of the wrong kind, or names what is not offered.
            IdentityMismatch: the settings do not allow the target.
        """


@runtime_checkable
class HasStrategies(Protocol):
    """An optional part of a rotator: it has more than one way to rotate."""

    def strategy_of(self, value: Secret) -> str:
        """The name of the strategy that rotates a value; the rotator need not offer it.

        Args:
            value: the current value.

        Raises:
            SecretFormatError: the value's ``strategy`` is not a string.
        """


@runtime_checkable
class DeclaresMembers(Protocol):
    """An optional part of a rotator: its secrets have members of their own that are not secret.

    Attributes:
        public_members: keys, beside PUBLIC_KEYS, that name a target or an identity. Errors may show them.
    """

    @property
    def public_members(self) -> Collection[str]: ...  # noqa: D102 - see Attributes


def public_members(rotator: Rotator | None) -> Collection[str]:
    """The members that a rotator declares as public; none if it declares none.

    Args:
        rotator: any rotator; None for none.
    """
    return rotator.public_members if isinstance(rotator, DeclaresMembers) else ()


class SecretState(NamedTuple):
    """The state of a secret, without any value.

    Attributes:
        arn: the full ARN.
        rotation_enabled: True if rotation is on.
        stages: version id to its stages.
    """

    arn: str
    rotation_enabled: bool
    stages: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class WithoutStage:
    """Ids of the versions without any of the service's own stages, newest first.

    Attributes:
        lost: those that are newer than the AWSCURRENT version: rotations that never became current.
        replaced: the others, which AWSCURRENT has left behind.
    """

    lost: Sequence[str] = ()
    replaced: Sequence[str] = ()

    def __iter__(self) -> Iterator[str]:
        """All of them, the lost ones first."""
        yield from self.lost
        yield from self.replaced


class Store(Protocol):
    """The gateway to Secrets Manager, as the core sees it. All methods raise StoreError subclasses."""

    def describe(self, secret_id: str) -> SecretState:
        """The stages of a secret, and whether it rotates.

        Args:
            secret_id: name or ARN of the secret.
        """

    def value(self, arn: str, version: str) -> Secret | None:
        """The value of a version; None if the version has a stage but no value.

        Versions are immutable, so a store may answer from memory. If a value names its target by an
        identifier in AWS, the store adds the address.

        Args:
            arn: the secret.
            version: its VersionId.

        Raises:
            SecretFormatError: the value is no JSON object, or AWS does not know its identifier.
            ServiceUnavailable: the target has no address yet, or AWS did not answer.
            StoreError: it cannot be read.
        """

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        """Store a value as a version with the stage AWSPENDING.

        Args:
            arn: the secret.
            token: of the rotation; the version's id.
            value: the new value.
            rotation_token: the service's proof that its rotation stores this, if the event has one.

        Raises:
            VersionConflict: the version holds another value; read it and keep that.
        """

    def promote(self, arn: str, token: str, current: str | None) -> None:
        """Move AWSCURRENT to a version.

        Args:
            arn: the secret.
            token: the version that gets the stage.
            current: the version that has it; None if none has.

        Raises:
            RequestRefused: ``current`` does not have the stage any more.
        """

    def without_stage(self, arn: str) -> WithoutStage:
        """The versions without any of the service's own stages.

        Args:
            arn: the secret.

        Raises:
            AccessDenied: the role may not list versions; the caller goes on without them.
        """

    def admin(self, arn: str) -> Secret:
        """The current value of an admin's secret, with the address of one that AWS manages.

        Args:
            arn: the admin's secret.
        """
