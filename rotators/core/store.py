"""The contract of the store of secrets, and the results of its methods."""

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
        lost: versions newer than AWSCURRENT, from rotations that were not completed.
        replaced: versions older than AWSCURRENT.
    """

    lost: Sequence[str] = ()
    replaced: Sequence[str] = ()

    def __iter__(self) -> Iterator[str]:
        """Yield all ids, the lost ones first."""
        yield from self.lost
        yield from self.replaced


class Store(Protocol):
    """The gateway to Secrets Manager, as the core sees it. All methods raise StoreError subclasses."""

    def describe(self, secret_id: str) -> SecretState:
        """Return the stages of a secret, and whether it rotates.

        Args:
            secret_id: name or ARN of the secret.

        Raises:
            StoreError: the secret does not exist, or cannot be described.
        """

    def value(self, arn: str, version: str) -> Secret | None:
        """Return the value of a version; None if the version has a stage but no value.

        Versions are immutable, so a store may answer from memory. If a value names its target by an
        identifier in AWS, the store adds the address.

        Args:
            arn: ARN of the secret.
            version: its VersionId.

        Raises:
            SecretFormatError: the value is not a JSON object, or its identifier does not exist in AWS.
            ServiceUnavailable: the target has no address yet, or AWS did not answer.
            StoreError: the value cannot be read.
        """

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        """Store a value as a version with the stage AWSPENDING.

        Args:
            arn: ARN of the secret.
            token: token of the rotation; the version's id.
            value: the new value.
            rotation_token: proof that Secrets Manager started this rotation, if the event has one.

        Raises:
            VersionConflict: the version has another value already; read that value and use it.
        """

    def promote(self, arn: str, token: str, current: str | None) -> None:
        """Move AWSCURRENT to a version.

        Args:
            arn: ARN of the secret.
            token: the version that gets the stage.
            current: the version that has it now; None if no version has it.

        Raises:
            RequestRefused: ``current`` no longer has the stage. Nothing was moved.
        """

    def without_stage(self, arn: str) -> WithoutStage:
        """Return the versions without any of the service's own stages.

        Args:
            arn: ARN of the secret.

        Raises:
            AccessDenied: the role may not list versions; the caller continues without them.
        """

    def admin(self, arn: str) -> Secret:
        """Return the current value of an admin's secret, with the address of one that AWS manages.

        Args:
            arn: ARN of the admin's secret.

        Raises:
            SecretFormatError: the value is not a JSON object.
            StoreError: the secret or its address cannot be read.
        """
