"""One frozen record of the values of a rotation, which a rotator gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rotators.core.errors import PendingHasNoValue
from rotators.core.progress import Rejected
from rotators.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.core.secret import Secret
    from rotators.core.versions import Versions


@dataclass(frozen=True)
class Rotation:
    """The values a rotator works with. Frozen; it grows new attributes, never new arguments.

    Attributes:
        current: the AWSCURRENT value.
        settings: the function's environment, parsed.
        proposed: the value stored for this rotation's token; None before createSecret has stored one.
        untouched: True if this process stored the pending value and has not begun a setSecret since, so that
            the target most likely does not know it.
        rejections: the names of the values that the target rejected in this step, in order. A rotator
            appends to it; the handler logs the number.
        rejected: the credentials that the target rejected in this rotation, also in earlier steps of this
            process.
        versions: reads the other values when they are first asked for; without it there are none.
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
            PendingHasNoValue: asked before createSecret has stored one.
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
        """The values of rotations that never became current: unlabelled versions newer than AWSCURRENT.

        The newest first; each is read when it is reached. Versions that cannot be read are left out.

        Raises:
            AccessDenied: as for ``history``.
        """
        return self.versions.lost() if self.versions else ()

    @property
    def history(self) -> Iterable[Secret]:
        """The values of all unlabelled versions, ``lost`` ones first; each is read when it is reached.

        Raises:
            AccessDenied: the role lacks secretsmanager:ListSecretVersionIds; go on without them.
        """
        return self.versions.history() if self.versions else ()

    @cached_property
    def admin(self) -> Secret | None:
        """The value of the secret behind ``masterarn``, or None without that key; read on first use."""
        if self.versions is None or self.current.get("masterarn") is None:
            return None
        return self.versions.admin(self.current.text("masterarn"))

    def confirm(self) -> None:
        """Check that this rotation is still the one under way; call it right before changing the target.

        A step that was held up could otherwise change the target after a later rotation. Secrets Manager is
        asked only if the stages were read more than ``versions.STAGES_SECONDS`` ago.

        Raises:
            RotationStateError: the version is no longer AWSPENDING.
            VersionConflict: AWSCURRENT has moved, or another rotation has begun.
        """
        if self.versions is not None:
            self.versions.confirm()
