"""The values of a rotation that a rotator receives, and the versions from which they are read.

Stages and values are read from the store when they are first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rotators.core.errors import (
    AccessDenied,
    KeyUnusable,
    NoCurrentValue,
    PendingHasNoValue,
    SecretFormatError,
    StoreError,
    VersionConflict,
)
from rotators.core.progress import Moment, Rejected
from rotators.core.secret import Members
from rotators.core.settings import Settings
from rotators.core.states import Stage, holder, may_act

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotators.core.errors import RotatorsError
    from rotators.core.secret import Secret
    from rotators.core.store import SecretState, Store, WithoutStage

UNREADABLE = (SecretFormatError, KeyUnusable, AccessDenied)
"""The errors of versions that cannot be read; other versions may still be readable."""

_LOOK_UP_REASONS = {"address", "no-endpoint"}

STAGES_SECONDS = 5.0
"""The age in seconds up to which the stages need not be read again before a change of the target.

A change that begins right after the check ends within the limit of a session (six seconds for databases), so
a delayed step can change the target for at most eleven seconds after a later rotation has begun.
"""


def failed_look_up(error: RotatorsError) -> bool:
    """Return True if a value was read and only the address of the target that it names is missing.

    Args:
        error: error of a store.
    """
    return error.reason in _LOOK_UP_REASONS


class Seen:
    """Values that were read. Iteration yields their strings that errors must not contain.

    Attributes:
        members: those that the rotator declares, once it is known.
    """

    def __init__(self) -> None:
        self.members = Members()
        self._values: list[Secret] = []

    def add(self, value: Secret) -> None:
        """Add a value.

        Args:
            value: as it was read or proposed.
        """
        self._values.append(value)

    def __iter__(self) -> Iterator[str]:
        for value in self._values:
            yield from value.sensitive(*self.members)


@dataclass
class Versions:
    """Reads the stages and values of a secret's versions.

    Attributes:
        store: the gateway to Secrets Manager.
        state: the secret's stages.
        token: token of the rotation; None if no rotation is running, and ``confirm`` checks nothing.
        seen: the values that were read.
        read_at: time of the last read of the stages.
    """

    store: Store
    state: SecretState
    token: str | None = None
    seen: Seen = field(default_factory=Seen, repr=False)
    read_at: Moment = field(default_factory=Moment.now)

    @classmethod
    def of(cls, store: Store, secret_id: str, token: str | None = None) -> Versions:
        """Read the stages of a secret.

        Args:
            store: the gateway to Secrets Manager.
            secret_id: name or ARN of the secret.
            token: token of the rotation, if one is running.

        Returns:
            The versions as they are now; values are read when they are asked for.

        Raises:
            StoreError: the secret cannot be described.
        """
        now = Moment.now()
        return cls(store, store.describe(secret_id), token, read_at=now)

    def holder(self, stage: Stage) -> str | None:
        """Return the id of the version that had a stage when this object was made, or None.

        Args:
            stage: one of the service's.
        """
        return holder(self.state.stages, stage)

    def value(self, version: str) -> Secret | None:
        """Return the value of a version; None if the version holds none.

        Args:
            version: its VersionId.
        """
        value = self.store.value(self.state.arn, version)
        if value is not None:
            self.seen.add(value)
        return value

    def current(self) -> Secret:
        """Return the AWSCURRENT value.

        Raises:
            NoCurrentValue: there is none.
        """
        version = self.holder(Stage.CURRENT)
        value = self.value(version) if version else None
        if value is None:
            raise NoCurrentValue("the secret has no AWSCURRENT version with a value")
        return value

    def pending(self) -> Secret | None:
        """Return the value stored for the rotation's token; None before createSecret has stored one."""
        return self.value(self.token) if self.token else None

    def required_pending(self) -> Secret:
        """Return the value that is stored for the rotation's token.

        Raises:
            PendingHasNoValue: createSecret has not stored one.
        """
        value = self.pending()
        if value is None:
            raise PendingHasNoValue("the version is AWSPENDING but createSecret has not stored a value in it")
        return value

    def previous(self) -> Secret | None:
        """Return the AWSPREVIOUS value; None if there is none."""
        version = self.holder(Stage.PREVIOUS)
        return self.value(version) if version else None

    def lost(self) -> Iterator[Secret]:
        """See Rotation.lost."""
        return self._values(self._without_stage.lost)

    def history(self) -> Iterator[Secret]:
        """See Rotation.history."""
        return self._values(self._without_stage)

    def admin(self, arn: str) -> Secret:
        """Return the current value of an admin's secret.

        Args:
            arn: ARN of the admin's secret.
        """
        value = self.store.admin(arn)
        self.seen.add(value)
        return value

    def may_act(self) -> bool:
        """Return True if a step of the rotation may act (see ``states.may_act``); False if it is complete.

        Raises:
            RotationStateError: the stages forbid every step.
        """
        return may_act(self.state.stages, self.token or "", enabled=self.state.rotation_enabled)

    def confirm(self) -> None:
        """See Rotation.confirm."""
        if self.token is None or self.read_at.age() < STAGES_SECONDS:
            return
        now = Versions.of(self.store, self.state.arn, self.token)
        now.may_act()
        if now.holder(Stage.PENDING) not in {None, self.token}:
            raise VersionConflict("another rotation has begun in the meantime; the target was not changed")
        if now.holder(Stage.CURRENT) not in {self.holder(Stage.CURRENT), self.token}:
            raise VersionConflict("AWSCURRENT moved while the step was running; the target was not changed")
        self.read_at = now.read_at

    @cached_property
    def _without_stage(self) -> WithoutStage:
        return self.store.without_stage(self.state.arn)

    def _values(self, versions: Iterable[str]) -> Iterator[Secret]:
        for version in versions:
            value = self._readable(version)
            if value is not None:
                yield value

    def _readable(self, version: str) -> Secret | None:
        try:
            return self.value(version)
        except UNREADABLE:
            return None
        except StoreError as error:
            if failed_look_up(error):
                return None
            raise


@dataclass(frozen=True)
class Rotation:
    """The values that a rotator uses. Frozen; later versions may add attributes.

    Attributes:
        current: the AWSCURRENT value.
        settings: the function's environment, parsed.
        proposed: the value stored for this rotation's token; None before createSecret has stored one.
        untouched: True if this process stored the pending value and has not begun a setSecret since, so that
            the target most likely does not accept it yet.
        rejections: the names of the values that the target rejected in this step, in order. A rotator appends
            to it; the handler logs the number.
        rejected: the credentials that the target rejected in this rotation, also in earlier steps of this
            process.
        versions: reads the other values on first use; if None, there are no other values.
    """

    current: Secret
    settings: Settings = field(default_factory=Settings)
    proposed: Secret | None = None
    untouched: bool = False
    rejections: list[str] = field(default_factory=list)
    rejected: Rejected = field(default_factory=Rejected, repr=False)
    versions: Versions | None = field(default=None, repr=False)

    @property
    def pending(self) -> Secret:
        """The value to rotate to.

        Raises:
            PendingHasNoValue: createSecret has not stored one yet.
        """
        if self.proposed is None:
            raise PendingHasNoValue("the pending version has no value yet")
        return self.proposed

    @cached_property
    def previous(self) -> Secret | None:
        """The AWSPREVIOUS value, or None; read on first use."""
        return self.versions.previous() if self.versions else None

    @property
    def lost(self) -> Iterable[Secret]:
        """The values of rotations that were not completed.

        They are the versions without a stage that are newer than AWSCURRENT. The newest comes first. Each is
        read when it is reached. Versions that cannot be read are left out.

        Raises:
            AccessDenied: as for ``history``.
        """
        return self.versions.lost() if self.versions else ()

    @property
    def history(self) -> Iterable[Secret]:
        """The values of all versions without a stage, ``lost`` ones first; each is read when it is reached.

        Raises:
            AccessDenied: the role lacks secretsmanager:ListSecretVersionIds; continue without them.
        """
        return self.versions.history() if self.versions else ()

    @cached_property
    def admin(self) -> Secret | None:
        """The value of the secret behind ``masterarn``, or None without that key; read on first use."""
        if self.versions is None or self.current.get("masterarn") is None:
            return None
        return self.versions.admin(self.current.text("masterarn"))

    def confirm(self) -> None:
        """Check that no later rotation has begun; call it directly before a change of the target.

        Otherwise a delayed step could change the target after a later rotation. Secrets Manager is
        asked only if the stages were read more than ``STAGES_SECONDS`` ago.

        Raises:
            RotationStateError: the version is no longer AWSPENDING.
            VersionConflict: AWSCURRENT has moved, or another rotation has begun.
        """
        if self.versions is not None:
            self.versions.confirm()
