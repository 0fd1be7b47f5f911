"""The lazy half of a Rotation, read from the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rotators.core.rotation import UNREADABLE
from rotators.core.states import Stage, holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.contracts import SecretState, Store, Unlabelled
    from rotators.core.secret import Secret


@dataclass(frozen=True)
class StoredPast:
    """A `Past` whose values come from the store.

    Attributes:
        store: the gateway to Secrets Manager.
        state: the secret's labels.
        current: its current value.
        seen: gets the strings of every value that is read, so that errors can be kept free of them.
        fresh: checks the labels again, if they were read some time ago.
    """

    store: Store
    state: SecretState
    current: Secret
    seen: set[str]
    fresh: Callable[[], None] = lambda: None

    def previous(self) -> Secret | None:
        """See Past.previous."""
        version = holder(self.state.stages, Stage.PREVIOUS)
        return self._value(version) if version else None

    def lost(self) -> Iterator[Secret]:
        """See Past.lost."""
        return self._values(self._unlabelled.lost)

    def history(self) -> Iterator[Secret]:
        """See Past.history."""
        return self._values(self._unlabelled)

    def admin(self) -> Secret | None:
        """See Past.admin."""
        if self.current.get("masterarn") is None:
            return None
        return self._noted(self.store.admin(self.current.text("masterarn")))

    def confirm(self) -> None:
        """See Past.confirm."""
        self.fresh()

    @cached_property
    def _unlabelled(self) -> Unlabelled:
        return self.store.unlabelled(self.state.arn)

    def _values(self, versions: Iterable[str]) -> Iterator[Secret]:
        for version in versions:
            with suppress(*UNREADABLE):
                value = self._value(version)
                if value is not None:
                    yield value

    def _value(self, version: str) -> Secret | None:
        return self._noted(self.store.value(self.state.arn, version))

    def _noted(self, value: Secret | None) -> Secret | None:
        if value is not None:
            self.seen.update(value.sensitive())
        return value
