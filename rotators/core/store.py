"""The store of secrets, as the core sees it: its contract, and what its methods return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rotators.core.secret import Secret


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
