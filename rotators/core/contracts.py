"""The two contracts of the core: what a rotator does, and what the store of secrets offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

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
        """

    def apply(self, rotation: Rotation) -> None:
        """setSecret: make the target accept ``rotation.pending``. Idempotent.

        It may be called again at any later time, also after a crash at any point of an earlier call.
        """

    def verify(self, rotation: Rotation) -> None:
        """testSecret: log in for real as ``rotation.pending`` and check what that user needs.

        Changes nothing. Core promotes the value only after this has returned.
        """


@runtime_checkable
class ChecksValues(Protocol):
    """What a rotator offers besides if it can judge a value without a login."""

    def check_value(self, value: Secret, settings: Settings) -> None:
        """Check all of a value that can be checked without a login.

        Raises:
            SecretFormatError: a key is missing, of the wrong kind, or names what is not offered.
            IdentityMismatch: the settings do not allow the target.
        """


@dataclass(frozen=True, slots=True)
class SecretState:
    """What the store knows about a secret without reading a value.

    Attributes:
        arn: the full ARN.
        rotation_enabled: whether rotation is on.
        stages: version id to its labels.
    """

    arn: str
    rotation_enabled: bool
    stages: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Ids of the versions without any of the service's own labels, newest first.

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
        """The secret's labels and whether it rotates."""

    def value(self, arn: str, version: str) -> Secret | None:
        """The value of a version; None when the version is staged but holds none.

        Versions are immutable, so a store may answer from memory.
        """

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        """Store ``value`` as version ``token`` with the label AWSPENDING."""

    def promote(self, arn: str, token: str, current: str | None) -> None:
        """Move AWSCURRENT from version ``current`` to version ``token``."""

    def unlabelled(self, arn: str) -> Unlabelled:
        """The versions without any of the service's own labels."""

    def admin(self, arn: str) -> Secret:
        """The current value of an admin's secret, with the connection data of an RDS-managed one."""
