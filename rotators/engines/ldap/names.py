"""Comparison of distinguished names (RFC 4514): case, blanks and escapes make no difference."""

from __future__ import annotations

import re

# An attribute type, and a value in which a special character is escaped.
_RDN = re.compile(r'\s*([A-Za-z0-9.-]+)\s*=((?:\\(?s:.)|[^\\,;+"])*)([,;+]|$)')
_HEXADECIMAL = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)

NormalizedName = tuple[tuple[tuple[str, str], ...], ...]
"""The RDNs of a DN; each has the pairs of type and value, in lower case and sorted."""


def normalized(name: str) -> NormalizedName | None:
    """Return a DN in a form in which equal names compare equal; None if the text is not a DN.

    Values are compared as most attributes of names are: without case, and with blanks reduced.

    Args:
        name: text of a DN.
    """
    found: list[tuple[tuple[str, str], ...]] = []
    pairs: list[tuple[str, str]] = []
    position, separator = 0, ","
    while separator:
        match = _RDN.match(name, position)
        if match is None:
            return None
        kind, value, separator = match.groups()
        pairs.append((kind.lower(), _normalized(value)))
        position = match.end()
        if separator != "+":
            found.append(tuple(sorted(pairs)))
            pairs = []
    return tuple(found) if position == len(name) else None


def same_name(one: str, other: str) -> bool:
    """Return True if two texts are the same DN.

    Args:
        one: text of a DN.
        other: another one.
    """
    return normalized(one) is not None and normalized(one) == normalized(other)


def _normalized(value: str) -> str:
    octets = _HEXADECIMAL.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], value.strip().encode()
    )
    return " ".join(octets.decode(errors="replace").split()).casefold()
