"""What an examination found: records without any value of a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Trial(StrEnum):
    """What became of an attempt to log in with a stored value."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    """Nobody said that the value is wrong."""
    REFUSED = "refused"
    """The target knows the user and says no for another reason than the password."""
    EMPTY = "empty"
    """The version is staged and holds no value yet."""
    UNREADABLE = "unreadable"
    """The value cannot be read, or has not the shape that the rotator needs."""
    FOREIGN = "foreign"
    """The value names another user or target than the current one; nothing was tried with it."""
    UNTRIED = "not tried"
    """Left out, to keep the number of failed logins small."""


@dataclass(frozen=True)
class Finding:
    """One version of a secret, tried.

    Attributes:
        version: its id.
        stages: its labels.
        trial: what became of the login.
        detail: the error in words, with its code and next action; empty when there was none.
        movable: whether AWSCURRENT may be put on it: the value leads where the current one leads. An older
            one may name an old host; then only its password was tried, at the current host.
        fresh: whether it was made so recently that its rotation may still be running.
    """

    version: str
    stages: tuple[str, ...]
    trial: Trial
    detail: str = ""
    movable: bool = True
    fresh: bool = False


@dataclass(frozen=True)
class Findings:
    """A secret's versions and admin, tried.

    Attributes:
        current: the AWSCURRENT version; None when none carries the label.
        pending: the AWSPENDING version when it is another than the current one, else None.
        previous: the AWSPREVIOUS version, or None.
        history: the versions without these labels, newest first.
        admin: what became of the admin's login; None when the secret names no admin.
        admin_detail: its error in words.
        twin: the error about the second user of a pair; empty when it is proven, None when there is none.
        unlisted: whether the versions without a label could not be listed.
    """

    current: Finding | None
    pending: Finding | None = None
    previous: Finding | None = None
    history: tuple[Finding, ...] = ()
    admin: Trial | None = None
    admin_detail: str = ""
    twin: str | None = None
    unlisted: bool = False

    def versions(self) -> tuple[Finding, ...]:
        """All findings about versions, current first."""
        labelled = (self.current, self.pending, self.previous)
        return (*(each for each in labelled if each is not None), *self.history)
