"""The selector's options, which all commands about many secrets have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import wraps
from itertools import chain
from typing import Any, TypeVar

import click

from rotators.manage.errors import NothingSelected, SelectorInvalid
from rotators.manage.selector import Selection, Selector

_T = TypeVar("_T")

_OPTIONS = (
    click.argument("ids", metavar="[SECRET]...", nargs=-1),
    click.option(
        "--name",
        "names",
        multiple=True,
        metavar="BEGINNING",
        help="Secrets whose names begin with this text.",
    ),
    click.option("--tag", "tags", multiple=True, metavar="KEY[=VALUE]", help="Secrets with this tag."),
    click.option(
        "--engine",
        "engines",
        multiple=True,
        metavar="ENGINE",
        help="Secrets of this engine. Reads their values, which counts as a use of them.",
    ),
    click.option("--key", "keys", multiple=True, metavar="KEY", help="Secrets under this KMS key or alias."),
    click.option("--stale", multiple=True, metavar="AGE", help="Values at least this old, such as 30d."),
    click.option("--unused", multiple=True, metavar="AGE", help="Secrets not read for this long."),
    click.option("--never-rotated/--ever-rotated", default=None, help="Secrets that were never rotated."),
    click.option("--failed/--not-failed", default=None, help="Secrets whose last rotation failed."),
    click.option("--overdue/--not-overdue", default=None, help="Secrets whose rotation is overdue."),
    click.option("--replicated/--not-replicated", default=None, help="Secrets with replicas."),
    click.option("--all", "everything", is_flag=True, help="All secrets of the account and Region."),
)


def selector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the selector's options to a command, which gets a `Selector` as its first argument.

    An option of the command that has the name of a condition becomes a part of the selector too.

    A ``-`` among the names means names on standard input, one per line.

    Args:
        command: function of the command.

    Returns:
        The function with the options.
    """

    @wraps(command)
    def with_selector(**given: Any) -> Any:
        names = [each.name for each in fields(Selector) if each.name in given]
        chosen = {name: given.pop(name) for name in names}
        chosen["ids"] = tuple(_ids(chosen["ids"]))
        return command(Selector(**chosen), **given)

    decorated: Callable[..., Any] = with_selector
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _ids(given: tuple[str, ...]) -> list[str]:
    if "-" not in given:
        return list(given)
    try:
        read = [line.strip() for line in sys.stdin]
    except UnicodeDecodeError:
        raise SelectorInvalid(
            "standard input is not text", remedy="Give one name or ARN per line, in UTF-8."
        ) from None
    found = [each for each in given if each != "-"] + [line for line in read if line]
    if not found:
        raise NothingSelected("standard input names no secret", remedy="Give one name or ARN per line.")
    return found


def require_conditions(selector: Selector) -> None:
    """Refuse a selector without conditions, which does not mean all secrets.

    Args:
        selector: the selector.

    Raises:
        SelectorInvalid: it has no condition.
    """
    if selector.is_empty:
        raise SelectorInvalid(
            "no secret is named, and there is no condition",
            remedy="Name the secrets, give conditions, or give --all.",
        )


def not_empty(found: Iterable[_T], selection: Selection) -> Iterator[_T]:
    """Return the secrets of a selection after a look for the first one, before anything is printed.

    Args:
        found: the secrets, or a result for each.
        selection: the selection.

    Returns:
        All elements of ``found``, with the first one.

    Raises:
        NothingSelected: no secret meets the conditions.
        SecretsUnreadable: no readable secret meets the conditions, and some could not be read.
    """
    rest = iter(found)
    first = next(rest, None)
    if first is None:
        selection.require_complete()
        raise nothing_selected()
    return chain([first], rest)


def nothing_selected() -> NothingSelected:
    """Return the error for a selector that finds no secret."""
    return NothingSelected("no secret meets the conditions")
