"""Values of secrets are masked in errors.

A rotator's author cannot know all that a driver puts into an error, so the core masks what comes out of every
rotator (`finder.py` says which spellings are found, `cleaner.py` where they are looked for).

- A coded error (RotatorsError) keeps its type, because callers decide by it (is this worth a retry?).
- Another exception becomes a RotatorDefect that names the type and the masked text, with the masked exception
  as its cause. So only coded errors leave a step.
- A BaseException that is no Exception (an exit, an interrupt) keeps its type too: it must end the process.
- An application's own errors, which the client hands on, keep their type in any case (`redacted`).
- A value of one to three characters cannot be masked without damage to unrelated words. A text in which one
  occurs is dropped as a whole, and a remark takes its place.
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
    """Make every error that leaves the block a coded one that shows none of the ``sensitive`` strings.

    Args:
        sensitive: read after a failure, so that values added to it in the block count.
        uncoded: class of the error that replaces an exception without a code; the default blames the rotator.

    Raises:
        RotatorsError: the same error, masked in place; ``uncoded`` in place of an exception that is not
            coded, or that masking did not help (its text is made from something that cannot be changed).
        BaseException: an exit or interrupt, masked; a plain one of the nearest built-in type if that did not
            help.
    """
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - nothing is swallowed: it is raised again some lines on
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
    """The error with every sensitive string masked, in its causes, contexts, notes and members too.

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
    """The error without the frames it went through: a driver's hold what it was called with.

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
    """A JSON document with every sensitive string masked in its free texts.

    Args:
        document: any JSON value.
        sensitive: the strings.
        keys: the members that hold free text, such as the words of a server or of a rotator.
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
    """The name of an error's type, with its module unless that is Python's own.

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
    """An exit or interrupt of the nearest type of Python's own, without any text."""
    for kind in type(error).__mro__:
        own = kind.__module__.partition(".")[0] in sys.stdlib_module_names
        if own and issubclass(kind, BaseException) and not issubclass(kind, BaseExceptionGroup):
            return kind()
    return BaseException()
