"""What a rotator is given: one frozen record of the values of one rotation."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from rotators.core.errors import AccessDenied, KeyUnusable, PendingHasNoValue, SecretFormatError
from rotators.core.progress import Rejected
from rotators.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.core.secret import Secret


UNREADABLE = (SecretFormatError, KeyUnusable, AccessDenied)
"""Why the value of an old version may be out of reach; others may still help."""


class Past(Protocol):
    """Values that most rotations never need; each is read when it is first asked for."""

    def previous(self) -> Secret | None:
        """The AWSPREVIOUS value, or None."""

    def lost(self) -> Iterable[Secret]:
        """The values of unlabelled versions that are newer than AWSCURRENT; otherwise as ``history``."""

    def history(self) -> Iterable[Secret]:
        """The values of all unlabelled versions, the newest first, each read when it is reached.

        Versions that cannot be read (see UNREADABLE) are left out.

        Raises:
            AccessDenied: the role lacks secretsmanager:ListSecretVersionIds; go on without them.
        """

    def admin(self) -> Secret | None:
        """The value of the secret behind ``masterarn``, or None when there is no such key."""

    def confirm(self) -> None:
        """See Rotation.confirm."""


class NoPast:
    """A first rotation without an admin."""

    def previous(self) -> Secret | None:
        """None."""
        return None

    def lost(self) -> Iterable[Secret]:
        """No versions."""
        return ()

    def history(self) -> Iterable[Secret]:
        """No versions."""
        return ()

    def admin(self) -> Secret | None:
        """None."""
        return None

    def confirm(self) -> None:
        """Nothing: there are no labels that could have moved."""


@dataclass(frozen=True)
class Rotation:
    """The values a rotator works with. Frozen; it grows new attributes, never new arguments.

    Attributes:
        current: the AWSCURRENT value.
        settings: the function's environment, parsed.
        proposed: the value stored for this rotation's token; None before createSecret has stored one.
        past: where the lazy values come from.
        untouched: whether this process stored the pending value and has not begun a setSecret since, so that
            the target most likely does not know it.
        rejections: the names of the values that the target rejected in this step, in order. A rotator
            appends to it; the handler logs the number.
        rejected: the credentials that the target rejected in this rotation, also in earlier steps of this
            process.
    """

    current: Secret
    settings: Settings = field(default_factory=Settings)
    proposed: Secret | None = None
    past: Past = field(default_factory=NoPast, repr=False)
    untouched: bool = False
    rejections: list[str] = field(default_factory=list)
    rejected: Rejected = field(default_factory=Rejected, repr=False)

    @property
    def pending(self) -> Secret:
        """The value to rotate to.

        Raises:
            PendingHasNoValue: asked before createSecret has stored one.
        """
        if self.proposed is None:
            raise PendingHasNoValue("the pending version has no value yet")
        return self.proposed

    @cached_property
    def previous(self) -> Secret | None:
        """The AWSPREVIOUS value, or None; read on first use."""
        return self.past.previous()

    @property
    def lost(self) -> Iterable[Secret]:
        """The values of rotations that never became current: unlabelled versions newer than AWSCURRENT.

        The newest first; each is read when it is reached.

        Raises:
            AccessDenied: as for ``history``.
        """
        return self.past.lost()

    @property
    def history(self) -> Iterable[Secret]:
        """The values of all unlabelled versions, ``lost`` ones first; each is read when it is reached.

        Raises:
            AccessDenied: while iterating, when the role lacks secretsmanager:ListSecretVersionIds; go on
                without them.
        """
        return self.past.history()

    @cached_property
    def admin(self) -> Secret | None:
        """The value of the secret behind ``masterarn``, or None without that key; read on first use."""
        return self.past.admin()

    def confirm(self) -> None:
        """Check that this rotation is still the one under way; call it right before changing the target.

        A step that was held up could otherwise change the target after a later rotation. Secrets Manager is
        asked only if the labels were read more than ``steps.LABELS_SECONDS`` ago.

        Raises:
            RotationStateError: the version is no longer AWSPENDING.
            VersionConflict: AWSCURRENT has moved.
        """
        self.past.confirm()
