"""What a forked child must not take over from its parent: locks that a thread holds, connections, timers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

_renewals: list[weakref.WeakMethod[Callable[[], None]]] = []


def after_fork(renew: Callable[[], None]) -> None:
    """Call a method in every child that is forked from here on, for as long as its object lives.

    Args:
        renew: a bound method; it must not wait for anything.
    """
    _renewals.append(weakref.WeakMethod(renew, _renewals.remove))


def _renew() -> None:
    for reference in [*_renewals]:
        renew = reference()
        if renew is not None:
            renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
