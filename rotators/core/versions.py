"""The versions of one secret, read from the store when they are needed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rotators.core.errors import NoCurrentValue, PendingHasNoValue
from rotators.core.rotation import UNREADABLE, Rotation
from rotators.core.states import Stage, holder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotators.core.contracts import SecretState, Store, Unlabelled
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


@dataclass(frozen=True)
class Versions:
    """Reads the values of a secret's versions.

    Attributes:
        store: the gateway to Secrets Manager.
        state: the secret's stages.
        seen: gets the strings of every value that is read, so that errors can be kept free of them.
    """

    store: Store
    state: SecretState
    seen: set[str] = field(default_factory=set, repr=False)

    def value(self, version: str) -> Secret | None:
        """The value of a version; None if the version holds none."""
        return self._noted(self.store.value(self.state.arn, version))

    def current(self) -> Secret:
        """The AWSCURRENT value.

        Raises:
            NoCurrentValue: there is none.
        """
        version = holder(self.state.stages, Stage.CURRENT)
        value = self.value(version) if version else None
        if value is None:
            raise NoCurrentValue("the secret has no AWSCURRENT version that holds a value")
        return value

    def required(self, version: str) -> Secret:
        """The value of the AWSPENDING version.

        Raises:
            PendingHasNoValue: createSecret has not stored one.
        """
        value = self.value(version)
        if value is None:
            raise PendingHasNoValue("the version is AWSPENDING but createSecret has not stored a value in it")
        return value

    def rotation(self, settings: Settings, current: Secret, proposed: Secret | None) -> Rotation:
        """The record for a rotator, whose further values are read here on demand.

        Args:
            settings: of the rotation function.
            current: the AWSCURRENT value.
            proposed: the AWSPENDING value; None before createSecret has stored one.
        """
        return Rotation(
            current,
            settings,
            proposed,
            read_previous=self._previous,
            read_lost=lambda: self._values(self._unlabelled.lost),
            read_history=lambda: self._values(self._unlabelled),
            read_admin=lambda: self._admin(current),
        )

    def _previous(self) -> Secret | None:
        version = holder(self.state.stages, Stage.PREVIOUS)
        return self.value(version) if version else None

    def _admin(self, current: Secret) -> Secret | None:
        if current.get("masterarn") is None:
            return None
        return self._noted(self.store.admin(current.text("masterarn")))

    @cached_property
    def _unlabelled(self) -> Unlabelled:
        return self.store.unlabelled(self.state.arn)

    def _values(self, versions: Iterable[str]) -> Iterator[Secret]:
        for version in versions:
            with suppress(*UNREADABLE):
                value = self.value(version)
                if value is not None:
                    yield value

    def _noted(self, value: Secret | None) -> Secret | None:
        if value is not None:
            self.seen.update(value.sensitive())
        return value
