"""Values of secrets are masked in errors, and the errors keep their type.

A rotator's author cannot know all that a driver puts into an error, so the core masks what comes out of
every rotator. The type stays, because callers decide by it (is this worth a retry?).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from rotators.core.errors import RotatorDefect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

MASK = "***"

T = TypeVar("T")


def guarded(call: Callable[[], T], sensitive: Callable[[], Iterable[str]]) -> T:
    """Run ``call``; an error that leaves it shows none of the ``sensitive`` strings.

    Args:
        call: what to run.
        sensitive: asked after a failure, so that values learned on the way count.

    Returns:
        What ``call`` returned.

    Raises:
        Exception: the same error, masked in place; RotatorDefect in its stead when masking did not help
            (an error whose text is made from something that cannot be changed).
    """
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - nothing is swallowed: it is raised again three lines on
        failure = redacted(error, sensitive())
    # Outside the handler, so that a replaced error does not stay reachable as the context of the new one.
    raise failure


def redacted(error: Exception, sensitive: Iterable[str]) -> Exception:
    """The error with every sensitive string masked, in its causes, contexts, notes and members too.

    Args:
        error: changed in place.
        sensitive: the strings that must not be shown, in clear.

    Returns:
        ``error`` itself, or a RotatorDefect naming its type when it still shows a value.
    """
    forms = sorted({form for value in sensitive for form in spellings(value)}, key=len, reverse=True)
    family = list(_family(error))
    for member in family:
        _mask_in_place(member, forms)
    if any(form in shown for member in family for shown in _shown(member) for form in forms):
        return RotatorDefect(
            f"an error of type {type(error).__name__} was withheld: it shows a secret's value"
        )
    return error


def without_frames(error: Exception) -> Exception:
    """The error without the frames it went through: a driver's hold what it was called with."""
    for member in _family(error):
        member.__traceback__ = None
    return error


def masked(text: str, sensitive: Iterable[str]) -> str:
    """``text`` with every sensitive string, in any of its usual spellings, replaced by a mask."""
    forms = sorted({form for value in sensitive for form in spellings(value)}, key=len, reverse=True)
    return _mask(text, forms)


def masked_texts(document: Any, sensitive: Iterable[str], keys: Collection[str]) -> Any:
    """A JSON document with every sensitive string masked in its free texts.

    Args:
        document: what JSON can hold.
        sensitive: the strings.
        keys: the members that hold free text, such as the words of a server or of a rotator.
    """
    forms = sorted({form for value in sensitive for form in spellings(value)}, key=len, reverse=True)

    def walk(value: Any, *, free: bool) -> Any:
        if isinstance(value, dict):
            return {key: walk(each, free=free or key in keys) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each, free=free) for each in value]
        return _mask(value, forms) if free and isinstance(value, str) else value

    return walk(document, free=False)


def _mask(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    return text


def spellings(value: str) -> Iterator[str]:
    """The spellings in which a value turns up in texts: quoted for Python, JSON, SQL, URLs; base64."""
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield value.replace("'", "''")
    data = value.encode(errors="surrogatepass")
    yield quote(data, safe="")
    yield quote_plus(data)
    yield base64.b64encode(data).decode()


def _family(error: BaseException) -> Iterator[BaseException]:
    """The error and all that can be reached from it; a suppressed context is cut off on the way."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        member = waiting.pop()
        if member is None or id(member) in seen:
            continue
        seen.add(id(member))
        if member.__suppress_context__:
            member.__context__ = None
        waiting += [member.__cause__, member.__context__]
        if isinstance(member, BaseExceptionGroup):
            waiting += member.exceptions
        yield member


def _mask_in_place(error: BaseException, forms: list[str]) -> None:
    error.args = tuple(_masked_value(arg, forms) for arg in error.args)
    members = dict(vars(error))
    if isinstance(error, OSError):  # keeps its texts beside args, out of sight of vars
        members |= {"strerror": error.strerror, "filename": error.filename}
    if isinstance(error, UnicodeError):  # keeps the whole text that it could not convert
        members["object"] = getattr(error, "object", None)
    for name, value in members.items():
        if isinstance(value, str | bytes | list | tuple | dict):
            setattr(error, name, _masked_value(value, forms))
        elif any(form in repr(value) for form in forms):
            # psycopg keeps the connection's parameters in an object, for one.
            setattr(error, name, None)


def _masked_value(value: object, forms: list[str]) -> object:
    if isinstance(value, str):
        return _mask(value, forms)
    if isinstance(value, bytes):
        return _mask(value.decode(errors="backslashreplace"), forms).encode()
    if isinstance(value, list | tuple):
        return type(value)(_masked_value(item, forms) for item in value)
    if isinstance(value, dict):
        return {_masked_value(key, forms): _masked_value(item, forms) for key, item in value.items()}
    return value


def _shown(error: BaseException) -> Iterator[str]:
    yield str(error)
    yield repr(error)
    yield repr(vars(error))
    yield repr(getattr(error, "object", None))
