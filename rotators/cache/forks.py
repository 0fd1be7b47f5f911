"""What a forked child must not take over from its parent: locks that a thread holds, loads, timers."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """An object that is of use in a child too."""

    def renew_after_fork(self) -> None:
        """Give up what the parent's threads hold, and wait for nothing; called in the child, at once."""


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()


def remember(forkable: Forkable) -> None:
    """Renew an object in every child that is forked from here on, for as long as it lives."""
    _forkable.add(forkable)


def _renew() -> None:
    for forkable in _forkable:
        forkable.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
