"""The ways of an account to log in: its authentication plugin, or MariaDB's alternatives of several.

A change of the password keeps all of them. What stores a password gets the new one; what stores none (a
socket, PAM) stays as it is. An account with any other plugin is refused before anything changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import TargetRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rotators.engines.mysql.rights import Account

_NAME = r"`(?:[^`]|``)*`"
_WAY = r"(?P<plugin>\w+)(?: (?:USING|AS) '(?P<stored>(?:[^'\\]|\\.|'')*)')?"
_HEAD = re.compile(rf"CREATE USER {_NAME}@{_NAME} IDENTIFIED (?P<how>BY PASSWORD|VIA) ", re.DOTALL)
_ONE = re.compile(_WAY, re.DOTALL)
_HASH = re.compile(r"'(?P<stored>[^']*)'")


class Way(NamedTuple):
    """One way to log in.

    Attributes:
        plugin: its name, as the server stores it.
        stored: the plugin's string: a hash, or the name of a service.
    """

    plugin: str
    stored: str = ""


class Kinds(NamedTuple):
    """The server's plugins that a rotation can deal with.

    Attributes:
        hashes: those that store a password, each with the function that makes what is stored.
        without: those that store none.
    """

    hashes: Mapping[str, Callable[[str], str | bytes]]
    without: frozenset[str] = frozenset()


def password_plugins(ways: Iterable[Way], kinds: Kinds, account: Account | str) -> list[str]:
    """The plugins of an account that store a password, each once, in order.

    Args:
        ways: of the account.
        kinds: of the server.
        account: for the message.

    Raises:
        TargetRefused: there is none, or another plugin is among the ways.
    """
    names = list(dict.fromkeys(way.plugin for way in ways))
    foreign = [name for name in names if name not in kinds.hashes and name not in kinds.without]
    found = [name for name in names if name in kinds.hashes]
    if foreign or not found:
        raise TargetRefused(
            f"user {str(account)!r} logs in with {' or '.join(foreign or names) or 'an unknown plugin'},"
            " whose password this rotator cannot set",
            reason="plugin",
            remedy=f"Give the user one of: {', '.join(kinds.hashes)}.",
        )
    return found


def shown_ways(statement: str) -> tuple[Way, ...]:
    """The ways in what MariaDB's SHOW CREATE USER shows, the only source for a user without rights.

    Returns:
        The ways in order; none when the text is not understood.
    """
    head = _HEAD.match(statement)
    if head is None:
        return ()
    position = head.end()
    if head["how"] == "BY PASSWORD":
        found = _HASH.match(statement, position)
        return (Way("mysql_native_password", found["stored"]),) if found else ()
    ways = []
    while way := _ONE.match(statement, position):
        ways.append(Way(way["plugin"], way["stored"] or ""))
        position = way.end()
        if not statement.startswith(" OR ", position):
            break
        position += len(" OR ")
    return tuple(ways)
