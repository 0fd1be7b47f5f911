"""Host patterns of accounts, compared with what a server sees of a client.

Sources: MySQL 8.4 manual, "Specifying Account Names"; MariaDB knowledge base, "CREATE USER".
"""

from __future__ import annotations

import ipaddress
import math
import re

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NUMERIC = r"[0-9a-fA-F.:%_]+"


def admits(pattern: str, seen: str) -> bool:
    """Whether an account with a host pattern may be the one of a login from this machine.

    A server that resolves addresses compares name and address with the pattern, and shows the name only. The
    address is not known then, so every pattern of addresses is taken as fitting.

    Args:
        pattern: the host of the account.
        seen: the host in the server's ``USER()``: an address, or a name if the server resolved the address.
    """
    address = _address(seen)
    if "/" in pattern:
        return address is None or _in_network(pattern, address)
    return like(pattern, seen) or (address is None and re.fullmatch(_NUMERIC, pattern) is not None)


def nearer(one: str, other: str) -> bool:
    """Whether the server prefers one pattern to another: more comes before its first wildcard."""
    return _before_wildcard(one) > _before_wildcard(other)


def like(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern, in any case; % and _ are wildcards there, and a backslash quotes."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    translated = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(translated, text, re.IGNORECASE | re.DOTALL) is not None


def _before_wildcard(pattern: str) -> float:
    found = re.search(r"[%_]", pattern)
    return found.start() if found else math.inf


def _in_network(pattern: str, address: _Address) -> bool:
    """MariaDB and MySQL take a mask, MySQL also a number of bits (8.0.23)."""
    try:
        return address in ipaddress.ip_network(pattern)
    except ValueError:
        return False


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
