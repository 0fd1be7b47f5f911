"""Masks the values of secrets in errors.

A rotator's author cannot know everything that a driver puts into an error, so the core masks the errors of
every rotator (`finder.py` describes which spellings are found, `cleaner.py` where they are searched for).

- An error with a code (RotatorsError) keeps its type, because callers depend on it, for example to repeat a
  call.
- Another exception becomes a RotatorDefect that names the type and the masked text, with the masked exception
  as its cause. So only coded errors leave a step.
- A BaseException that is not an Exception (an exit, an interrupt) keeps its type too: it must end the
  process.
- An application's own errors, which the client raises again, keep their type in any case (`redacted`).
- A value of one to three characters cannot be masked without damage to unrelated words. A text that contains
  one is replaced by a remark.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from rotators.core.cleaner import Cleaner, family
from rotators.core.errors import RotatorDefect, RotatorsError
from rotators.core.finder import Finder


@contextmanager
def masking(sensitive: Iterable[str], uncoded: type[RotatorsError] = RotatorDefect) -> Iterator[None]:
    """Mask the ``sensitive`` strings in every error of the block, and give every error a code.

    Args:
        sensitive: read after a failure, so that values added to it in the block count.
        uncoded: class of the error that replaces an exception without a code; by default, a defect of the
            rotator.

    Raises:
        RotatorsError: the same error, masked in place; ``uncoded`` instead of an exception that has no code,
            or that still shows a value (its text is made from something that cannot be changed).
        BaseException: an exit or interrupt, masked; one of the nearest built-in type without a text if it
            still shows a value.
    """
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - every error is raised again below
        failure = _coded(error, sensitive, uncoded)
    else:
        return
    raise_unchained(failure)


def raise_unchained(failure: BaseException) -> NoReturn:
    """Raise an error whose context stays as it is: in a context manager it would be the replaced error.

    Args:
        failure: the error.

    Raises:
        BaseException: ``failure`` itself.
    """
    context = failure.__context__
    try:
        raise failure  # noqa: TRY301 - Python sets the context here, and the handler sets it back
    except BaseException:
        failure.__context__ = context
        raise


def redacted(error: Exception, sensitive: Iterable[str]) -> Exception:
    """Return the error with every sensitive string masked, in its causes, contexts, notes and members too.

    Args:
        error: changed in place; it keeps its type.
        sensitive: the strings that must not be shown, not encoded.

    Returns:
        ``error`` itself, a new group of the same type, or a RotatorDefect naming the type of an error that
        still shows a value.
    """
    finder = Finder(sensitive)
    clean = Cleaner(finder).cleaned(error)
    return cast("Exception", clean) if clean is not None else _withheld(error, finder)


def without_frames(error: Exception) -> Exception:
    """Return the error without its frames: those of a driver contain the arguments of its calls.

    Args:
        error: changed in place.
    """
    for member in family(error):
        member.__traceback__ = None
    return error


def masked(text: str, sensitive: Iterable[str]) -> str:
    """Replace every sensitive string in ``text``, in any of its usual spellings, by a mask.

    Args:
        text: any text.
        sensitive: the strings that must not be shown.

    Returns:
        The text to show.
    """
    return Finder(sensitive).masked(text)


def masked_texts(document: Any, sensitive: Iterable[str], keys: Collection[str]) -> Any:
    """Return a copy of a JSON document with every sensitive string masked in its free texts.

    Args:
        document: any JSON value.
        sensitive: the strings.
        keys: names of the members with free text, such as a message of a server or of a rotator.

    Returns:
        The copy; all other members are unchanged.
    """
    finder = Finder(sensitive)

    def walk(value: Any, *, free: bool) -> Any:
        if isinstance(value, dict):
            return {key: walk(each, free=free or key in keys) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each, free=free) for each in value]
        return finder.masked(value) if free and isinstance(value, str) else value

    return walk(document, free=False)


def name_of(error: BaseException) -> str:
    """Return the name of an error's type, with its module unless that is Python's own.

    Args:
        error: any error.
    """
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _coded(error: BaseException, sensitive: Iterable[str], uncoded: type[RotatorsError]) -> BaseException:
    finder = Finder(sensitive)
    clean = Cleaner(finder).cleaned(error)
    if not isinstance(error, Exception):
        return clean or _plain_exit(error)
    if clean is None:
        return _withheld(error, finder, uncoded)
    if isinstance(clean, RotatorsError):
        return clean
    coded = uncoded(f"{name_of(clean)}: {clean}".rstrip(".: \n")).with_traceback(error.__traceback__)
    coded.__cause__ = clean
    return coded


def _withheld(
    error: BaseException, finder: Finder, uncoded: type[RotatorsError] = RotatorDefect
) -> RotatorsError:
    name = finder.masked_long(name_of(error))
    return uncoded(
        f"an error of type {name} was withheld, because it shows a secret's value", reason="withheld"
    )


def _plain_exit(error: BaseException) -> BaseException:
    """Return an exit or interrupt of the nearest built-in type, without a text."""
    for kind in type(error).__mro__:
        own = kind.__module__.partition(".")[0] in sys.stdlib_module_names
        if own and issubclass(kind, BaseException) and not issubclass(kind, BaseExceptionGroup):
            return kind()
    return BaseException()
