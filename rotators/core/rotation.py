"""What a rotator is given: one frozen record of the values of one rotation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from rotators.core.errors import AccessDenied, KeyUnusable, PendingHasNoValue, SecretFormatError
from rotators.core.progress import Rejected
from rotators.core.secret import Secret
from rotators.core.settings import Settings

UNREADABLE = (SecretFormatError, KeyUnusable, AccessDenied)
"""Why the value of an old version may be out of reach; others may still help."""


def _nothing() -> None:
    """There is no such value, or nothing to do."""


@dataclass(frozen=True)
class Rotation:
    """The values a rotator works with. Frozen; it grows new attributes, never new arguments.

    The values that most rotations never need are read when they are first asked for. The ``read_…``
    functions, for those who make a Rotation, say how; without them there are no such values.

    Attributes:
        current: the AWSCURRENT value.
        settings: the function's environment, parsed.
        proposed: the value stored for this rotation's token; None before createSecret has stored one.
        untouched: whether this process stored the pending value and has not begun a setSecret since, so that
            the target most likely does not know it.
        rejections: the names of the values that the target rejected in this step, in order. A rotator
            appends to it; the handler logs the number.
        rejected: the credentials that the target rejected in this rotation, also in earlier steps of this
            process.
        read_previous: gives ``previous``.
        read_lost: gives ``lost``.
        read_history: gives ``history``.
        read_admin: gives ``admin``.
        check_stages: does what ``confirm`` promises.
    """

    current: Secret
    settings: Settings = field(default_factory=Settings)
    proposed: Secret | None = None
    untouched: bool = False
    rejections: list[str] = field(default_factory=list)
    rejected: Rejected = field(default_factory=Rejected, repr=False)
    read_previous: Callable[[], Secret | None] = field(default=_nothing, repr=False)
    read_lost: Callable[[], Iterable[Secret]] = field(default=tuple[Secret, ...], repr=False)
    read_history: Callable[[], Iterable[Secret]] = field(default=tuple[Secret, ...], repr=False)
    read_admin: Callable[[], Secret | None] = field(default=_nothing, repr=False)
    check_stages: Callable[[], None] = field(default=_nothing, repr=False)

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
        return self.read_previous()

    @property
    def lost(self) -> Iterable[Secret]:
        """The values of rotations that never became current: unlabelled versions newer than AWSCURRENT.

        The newest first; each is read when it is reached. Versions that cannot be read (see UNREADABLE) are
        left out.

        Raises:
            AccessDenied: as for ``history``.
        """
        return self.read_lost()

    @property
    def history(self) -> Iterable[Secret]:
        """The values of all unlabelled versions, ``lost`` ones first; each is read when it is reached.

        Raises:
            AccessDenied: while iterating, when the role lacks secretsmanager:ListSecretVersionIds; go on
                without them.
        """
        return self.read_history()

    @cached_property
    def admin(self) -> Secret | None:
        """The value of the secret behind ``masterarn``, or None without that key; read on first use."""
        return self.read_admin()

    def confirm(self) -> None:
        """Check that this rotation is still the one under way; call it right before changing the target.

        A step that was held up could otherwise change the target after a later rotation. Secrets Manager is
        asked only if the stages were read more than ``steps.STAGES_SECONDS`` ago.

        Raises:
            RotationStateError: the version is no longer AWSPENDING.
            VersionConflict: AWSCURRENT has moved.
        """
        self.check_stages()
