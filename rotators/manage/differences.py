"""The members in which two versions of a secret differ, without their values."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_DIGITS = 8

State = Literal["same", "changed", "added", "removed"]


@dataclass(frozen=True)
class Difference:
    """A member of two versions.

    Attributes:
        member: its name.
        state: ``same``, ``changed``, ``added`` or ``removed``.
        before, after: digests of the two values; empty where the member is missing. They are made with a key
            that is different in each run, so that a value cannot be guessed from them.
    """

    member: str
    state: State
    before: str
    after: str


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[Difference]:
    """Compare two versions, member by member.

    Args:
        before: members of the older version.
        after: members of the newer version.

    Returns:
        Every member of either version, in alphabetical order.
    """
    key = secrets.token_bytes(32)

    def digest(text: str | None) -> str:
        return "" if text is None else hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    return [
        Difference(name, _state(one, other), digest(one), digest(other))
        for name in sorted({*before, *after})
        for one, other in [(_text(before, name), _text(after, name))]
    ]


def _text(members: Mapping[str, object], name: str) -> str | None:
    """Return a member as JSON, because Python's 1, 1.0 and True are equal; None if it is missing."""
    return json.dumps(members[name], sort_keys=True) if name in members else None


def _state(before: str | None, after: str | None) -> State:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "same" if before == after else "changed"
