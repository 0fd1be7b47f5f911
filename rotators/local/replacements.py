"""Temporary replacements of other packages' functions and methods."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class Replacements(ExitStack):
    """Replaced methods and functions, which `close` restores."""

    def wrap(self, owner: type | ModuleType, name: str, replacement: Callable[..., Any], *args: Any) -> None:
        """Replace a function that the replacement uses.

        Args:
            owner: class or module of the function.
            name: name of the function.
            replacement: called with the original, then ``args``, then the arguments of the original.
            *args: further arguments of the replacement.
        """
        self.replace(owner, name, replacement, getattr(owner, name), *args)

    def replace(self, owner: type | ModuleType, name: str, replacement: Any, *args: Any) -> None:
        """Replace a function or property.

        Args:
            owner: its class or module.
            name: its name.
            replacement: function, property, or method of another object.
            *args: first arguments of the replacement, before those of the original.
        """
        if args or inspect.ismethod(replacement):
            replacement = _function(replacement, args)
        self.enter_context(mock.patch.object(owner, name, replacement, create=True))


def _function(method: Callable[..., Any], first: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a function that, as an attribute of moto's class, also gets moto's object, after ``first``."""

    def function(*args: Any, **named: Any) -> Any:
        return method(*first, *args, **named)

    return function
