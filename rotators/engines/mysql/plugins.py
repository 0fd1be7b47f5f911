"""Authentication ways of an account: its authentication plugin, or MariaDB's alternatives of several.

A password change keeps all ways. A way that stores a password gets the new one; a way that stores none
(socket, PAM) stays unchanged. An account with any other plugin is refused before anything changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.rights import Account

_NAME = r"`(?:[^`]|``)*`"
_WAY = r"(?P<plugin>\w+)(?: (?:USING|AS) '(?P<stored>(?:[^'\\]|\\.|'')*)')?"
_HEAD = re.compile(rf"CREATE USER {_NAME}@{_NAME} IDENTIFIED (?P<how>BY PASSWORD|VIA) ", re.DOTALL)
_ONE = re.compile(_WAY, re.DOTALL)
_HASH = re.compile(r"'(?P<stored>[^']*)'")


class Way(NamedTuple):
    """One authentication way of an account.

    Attributes:
        plugin: name of the plugin, as the server stores it.
        stored: string of the plugin: a hash, or the name of a service.
    """

    plugin: str
    stored: str = ""


class Kinds(NamedTuple):
    """Authentication plugins of the server that a rotation supports.

    Attributes:
        hashes: plugins that store a password, each with the function that computes the stored form.
        without: plugins that store none.
    """

    hashes: Mapping[str, Callable[[str], str | bytes]]
    without: frozenset[str] = frozenset()


def password_plugins(ways: Iterable[Way], kinds: Kinds, account: Account | str) -> list[str]:
    """Return the account's plugins that store a password, without duplicates, in order.

    Args:
        ways: ways of the account.
        kinds: supported plugins of the server.
        account: shown in the message.

    Returns:
        One name or more.

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
    """Return the ways in the output of MariaDB's SHOW CREATE USER, the only source for a user without rights.

    Args:
        statement: output of SHOW CREATE USER.

    Returns:
        Ways in order; empty if the text cannot be parsed.
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
