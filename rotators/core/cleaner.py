"""Removes the values of secrets from errors, their causes and their attributes, in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from traceback import format_exception_only
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from rotators.core.errors import RotatorsError
from rotators.core.finder import MASK, WITHHELD, Finder

TOO_LONG = "*** (text withheld: it is too long to be searched for secret values)"
TOO_DEEP = "*** (data withheld: it is nested too deeply to be searched for secret values)"

# These limit the time of cleaning: an error may contain a whole document, or be the last of a long chain.
_MOST_ERRORS = 64
_MOST_CHARACTERS = 80_000
_MOST_ITEMS = 10_000
_DEEPEST = 12

_Container = dict[Any, Any] | list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]

_LINKS = {"args", "exceptions"}
_REASON = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Cleaner:
    """Cleans one error with its causes, contexts, notes, members and the errors of a group.

    Args:
        finder: finds the values.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._done: dict[int, BaseException] = {}
        self._texts: dict[str, str] = {}
        self._unclean: set[int] = set()
        self._errors, self._characters, self._items = _MOST_ERRORS, _MOST_CHARACTERS, _MOST_ITEMS

    def cleaned(self, error: BaseException) -> BaseException | None:
        """Remove every value from the error.

        Args:
            error: changed in place.

        Returns:
            The same error; for a group, whose text cannot be changed, a new group of the same type;
            None if the error still shows a value.
        """
        found = self._cleaned(error)
        if found is None or any(id(member) in self._unclean for member in family(found)):
            return None
        return found

    def text(self, text: str) -> str:
        """Return a text without any value; a remark instead if it is too long or contains a short value.

        Args:
            text: any text.
        """
        known = self._texts.get(text)
        if known is None:
            self._characters -= len(text)
            known = self._finder.masked(text) if self._characters >= 0 else TOO_LONG
            self._texts[text] = known
        return known

    def _cleaned(self, error: BaseException) -> BaseException | None:
        if id(error) in self._done:
            return self._done[id(error)]
        self._errors -= 1
        if self._errors < 0:
            return None
        self._done[id(error)] = error  # errors may refer to each other in a circle
        try:
            found = self._without_values(error)
            clean = not self._still_shows(found)
        except Exception:  # noqa: BLE001 - a third party's class may raise anything when it is read
            found, clean = error, False
        self._done[id(error)] = found
        if clean:
            return found
        self._unclean |= {id(error), id(found)}
        return None

    def _without_values(self, error: BaseException) -> BaseException:
        if error.__suppress_context__:
            error.__context__ = None
        error.args = tuple(self._plain(arg, 0) for arg in error.args)
        for name, value, built_in in _members(error):
            self._set(error, name, self._member(error, name, value, built_in=built_in))
        # Read and written last: setting a cause suppresses the context.
        suppressed = error.__suppress_context__
        error.__cause__ = self._cleaned(error.__cause__) if error.__cause__ else None
        error.__context__ = self._cleaned(error.__context__) if error.__context__ else None
        error.__suppress_context__ = suppressed
        return self._regrouped(error) if isinstance(error, BaseExceptionGroup) else error

    def _member(self, error: BaseException, name: str, value: object, *, built_in: bool) -> object:
        if isinstance(error, RotatorsError) and isinstance(value, str) and name == "reason":
            # A word of the code, which contains the letters of a short password by chance.
            return self._finder.masked_long(value) if _REASON.fullmatch(value) else self.text(value)
        clean = self._plain(value, 0)
        # AttributeError.obj and similar members contain the object that the failed code used.
        return None if built_in and clean is value and not _is_data(value) else clean

    def _set(self, error: BaseException, name: str, value: object) -> None:
        if name == "remedy" and isinstance(error, RotatorsError) and value in (WITHHELD, TOO_LONG):
            del error.remedy  # the remedy of the class replaces it
        elif value is not getattr(error, name, None):
            try:
                setattr(error, name, value)
            except (AttributeError, TypeError):
                return  # read-only; the text of the error is checked at the end

    def _regrouped(self, group: BaseExceptionGroup[Any]) -> BaseException:
        """Return the group with clean errors and a clean text; both are fixed when a group is made."""
        errors = [clean for error in group.exceptions if (clean := self._cleaned(error)) is not None]
        message = self.text(group.message)
        if message == group.message and errors == [*group.exceptions]:
            return group
        made = group.derive(errors)
        if made.message != message:
            made = type(made)(message, errors)
        made.__dict__.update(vars(group))
        made.__cause__, made.__context__ = group.__cause__, group.__context__
        made.__suppress_context__ = group.__suppress_context__
        return made.with_traceback(group.__traceback__)

    def _plain(self, value: object, depth: int) -> object:
        """Return data without any value, the same object if it had none; None if its text still has one."""
        self._items -= 1
        if depth > _DEEPEST or self._items < 0:
            return value if value is None or isinstance(value, bool) else TOO_DEEP
        if isinstance(value, str):
            clean = self.text(str.__str__(value))
            return value if clean == value else clean
        if isinstance(value, bytes | bytearray):
            # Latin-1 keeps each byte, and the finder searches it for UTF-8 and UTF-16.
            text = value.decode("latin-1")
            clean = self.text(text)
            return value if clean == text else clean.encode("latin-1")
        if isinstance(value, dict | list | tuple | set | frozenset):
            return self._container(value, depth + 1)
        return self._cleaned(value) if isinstance(value, BaseException) else self._object(value)

    def _container(self, value: _Container, depth: int) -> object:
        items = [item for pair in value.items() for item in pair] if isinstance(value, dict) else [*value]
        clean = [self._plain(item, depth) for item in items]
        if all(new is old for new, old in zip(clean, items, strict=True)):
            return value
        if isinstance(value, dict):
            return dict(zip(clean[::2], clean[1::2], strict=True))
        return tuple(clean) if isinstance(value, tuple) else clean

    def _object(self, value: object) -> object:
        """Return a number or an object of any class, unless its text contains a value."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return MASK if self._finder.names(str(value)) else value
        try:
            # For example, psycopg keeps the connection's parameters in an object.
            shown = f"{value!r} {getattr(value, '__dict__', '')!r}"
        except Exception:  # noqa: BLE001 - a third party's class may raise anything when it is shown
            return None
        return value if self.text(shown) == shown else None

    def _still_shows(self, error: BaseException) -> bool:
        shown = [str(error), repr(error), repr(vars(error)), *format_exception_only(error)]
        shown += [repr(value) for _, value, built_in in _members(error) if built_in]
        if any(self._finder.shows(text) for text in shown):
            return True
        # The letters of a short value occur by chance in names of types and in texts of this project, so only
        # a text that a third-party class returns counts.
        ours = isinstance(error, RotatorsError) and type(error).__str__ is RotatorsError.__str__
        text = str(error).replace(WITHHELD, "")
        return not ours and self._finder.shows_short(text)


def family(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all errors that can be reached from it; a suppressed context is not followed.

    Args:
        error: the first one.

    Yields:
        Each error once, in no particular order.
    """
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        member = waiting.pop()
        if not isinstance(member, BaseException) or id(member) in seen:
            continue
        seen.add(id(member))
        waiting += [
            member.__cause__,
            None if member.__suppress_context__ else member.__context__,
            *member.args,
        ]
        waiting += [value for _, value, _ in _members(member)]
        if isinstance(member, BaseExceptionGroup):
            waiting += member.exceptions
        yield member


def _members(error: BaseException) -> list[tuple[str, object, bool]]:
    """Return name and value of each member, and True if ``vars`` lacks it, as members of built-in errors."""
    found: list[tuple[str, object, bool]] = [(name, value, False) for name, value in vars(error).items()]
    for kind in type(error).__mro__:
        for name, slot in vars(kind).items():
            built_in = isinstance(slot, GetSetDescriptorType | MemberDescriptorType)
            if built_in and name not in _LINKS and not name.startswith("__"):
                found.append((name, getattr(error, name, None), True))
    return found


def _is_data(value: object) -> bool:
    return value is None or isinstance(
        value, str | bytes | bytearray | int | float | list | tuple | dict | set | frozenset | BaseException
    )
