"""Failed logins to Redis and Valkey, as redis-py reports them. This module needs no driver.

The server's codes (``WRONGPASS``, ``LOADING``) become classes of redis-py, so the class decides first. Only
texts distinguish the causes of its ``ConnectionError``.
"""

from __future__ import annotations

from rotators.logins.causes import NETWORK, Messages

_PATTERNS = (
    # A rejected login is also a ConnectionError, so it comes first.
    (r"^\S*AuthenticationError\b", "password"),
    (r"^\S*(Authorization|MaxConnections)Error\b", "other"),
    (r"^\S*BusyLoadingError\b", "starting"),
    (r"called without any password configured", "auth-method"),
    (r"max number of clients", "connections"),
    (r"protected mode", "access-rule"),
    (r"InvalidResponse\b|unknown command", "protocol"),
    *NETWORK,
    (r"\bConnectionError\b", "closed"),
    (r"\bTimeoutError\b", "timeout"),
)


def _words(said: Exception | str) -> str:
    """The error's class, its ancestors in redis-py, and its text; empty for errors of other packages."""
    if isinstance(said, str):
        return said
    kinds = [kind.__name__ for kind in type(said).__mro__ if kind.__module__.startswith("redis.")]
    return f"{'/'.join(kinds)}: {said}" if kinds else ""


MESSAGES = Messages(_PATTERNS, words=_words)
