"""Replacement of locks, loads and timers in a forked child, which lacks the threads that held them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """An object that a forked child keeps using."""

    def renew_after_fork(self) -> None:
        """Replace everything that a thread of the parent may hold. Called in the child; must not block."""


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(forkable: Forkable) -> None:
    """Call an object's ``renew_after_fork`` in every child, as long as the object lives.

    Args:
        forkable: referenced weakly.
    """
    _forkable.add(forkable)


def _renew() -> None:
    for forkable in _forkable:
        forkable.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
