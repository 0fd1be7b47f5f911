"""Host patterns of accounts, compared with the address or name of a client as the server sees it.

Sources: MySQL 8.4 manual, "Specifying Account Names"; MariaDB knowledge base, "CREATE USER".
"""

from __future__ import annotations

import ipaddress
import math
import re

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NUMERIC = r"[0-9a-fA-F.:%_]+"


def admits(pattern: str, seen: str) -> bool:
    """Return True if an account with this host pattern may be the account of a login from this machine.

    A server that resolves addresses compares name and address with the pattern, and shows only the name. The
    address is not known then, so every pattern of addresses counts as a match.

    Args:
        pattern: host of the account.
        seen: host in the server's ``USER()``: an address, or a name if the server resolved the address.
    """
    address = _address(seen)
    if "/" in pattern:
        return address is None or _in_network(pattern, address)
    return like(pattern, seen) or (address is None and re.fullmatch(_NUMERIC, pattern) is not None)


def nearer(one: str, other: str) -> bool:
    """Return True if the server prefers ``one`` to ``other``: more text precedes its first wildcard.

    Args:
        one: host pattern.
        other: host pattern.
    """
    return _before_wildcard(one) > _before_wildcard(other)


def like(pattern: str, text: str) -> bool:
    """Return True if a text matches a pattern, ignoring case.

    Args:
        pattern: % and _ are wildcards, and a backslash escapes them.
        text: text to match.
    """
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    translated = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(translated, text, re.IGNORECASE | re.DOTALL) is not None


def _before_wildcard(pattern: str) -> float:
    found = re.search(r"[%_]", pattern)
    return found.start() if found else math.inf


def _in_network(pattern: str, address: _Address) -> bool:
    """Return True if an address is in a network: a mask, or for MySQL also a number of bits (8.0.23)."""
    try:
        return address in ipaddress.ip_network(pattern)
    except ValueError:
        return False


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
