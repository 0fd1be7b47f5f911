"""What an examination found: records without any value of a secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple


class Trial(StrEnum):
    """What became of an attempt to log in with a stored value."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    """Nobody said that the value is wrong."""
    REFUSED = "refused"
    """The target refused the login for another reason than a wrong password."""
    EMPTY = "empty"
    """The version is staged and holds no value yet."""
    UNREADABLE = "unreadable"
    """The value cannot be read, or has not the shape that the rotator needs."""
    FOREIGN = "foreign"
    """The value was stored for another user or target than AWSCURRENT's; it was not tried."""
    UNTRIED = "not tried"
    """Not needed, or left out to keep the number of rejected logins small."""


UNSURE = (Trial.UNREACHABLE, Trial.REFUSED)
"""Nobody judged the password, or it was right and something else kept the user out."""


class Outcome(NamedTuple):
    """How one attempt ended.

    Attributes:
        trial: what became of it.
        detail: code and cause of the error; empty if there was none.
        next: the error's next action.
        reason: a stable word for the cause: of the error, or why no attempt was made (``target``, ``user``
            for FOREIGN; ``unneeded``, ``limit``, ``stopped`` for UNTRIED).
    """

    trial: Trial
    detail: str = ""
    next: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One version of a secret, tried.

    Attributes:
        version: its id.
        stages: its labels.
        trial: what became of the login at the secret's ``host``.
        detail, next, reason: of that login, or of the one at the admin address if only that one failed; see
            Outcome.
        direct: what became of the login at the secret's ``admin_host``; None if the secret names no address
            besides ``host``.
        movable: whether AWSCURRENT may be put on it: its public keys are those of the current value.
        own: whether it is of the user of AWSCURRENT, not of the second user of a pair.
        fresh: whether it was made so recently that its rotation may still be running.
    """

    version: str
    stages: tuple[str, ...]
    trial: Trial
    detail: str = ""
    next: str = ""
    reason: str = ""
    direct: Trial | None = None
    movable: bool = True
    own: bool = True
    fresh: bool = False

    @property
    def trials(self) -> tuple[Trial, ...]:
        """What became of the logins, at ``host`` and at the admin address."""
        return (self.trial,) if self.direct is None else (self.trial, self.direct)

    @property
    def works(self) -> bool:
        """Whether every address accepted it."""
        return set(self.trials) == {Trial.ACCEPTED}

    @property
    def rejected(self) -> bool:
        """Whether every address rejected it."""
        return set(self.trials) == {Trial.REJECTED}

    @property
    def unsure(self) -> bool:
        """Whether a login failed for another reason than the password."""
        return any(trial in UNSURE for trial in self.trials)

    def tried(self, at_host: Outcome, direct: Outcome | None = None) -> Finding:
        """A copy with what became of its logins."""
        failed = direct if direct is not None and at_host.trial is Trial.ACCEPTED else at_host
        return replace(
            self,
            trial=at_host.trial,
            detail=failed.detail,
            next=failed.next,
            reason=failed.reason,
            direct=direct and direct.trial,
        )


@dataclass(frozen=True)
class Findings:
    """A secret's versions and admin, tried.

    Attributes:
        current: the AWSCURRENT version; None when none carries the label.
        pending: the AWSPENDING version when it is another than the current one, else None.
        previous: the AWSPREVIOUS version, or None.
        history: the versions without these labels, the newest first.
        admin: what became of the admin's login; None when the secret names no admin.
        admin_detail: its error in words, with code and next action.
        clone: the error about the second user of a pair; empty when it is proven, None when there is none.
        unlisted: whether the versions without a label could not be listed.
        fault: what is wrong with the AWSCURRENT value itself; then no login was made. None if nothing is.
        no_reset: why the admin must not set the user's password, or why that would not help; None if it may,
            or if nobody asked.
        pooler: whether a pooler or proxy is known to answer at ``host``.
        pooled_admin: whether one is known to answer where the admin logs in.
        remarks: what else is worth saying.
    """

    current: Finding | None
    pending: Finding | None = None
    previous: Finding | None = None
    history: tuple[Finding, ...] = ()
    admin: Trial | None = None
    admin_detail: str = ""
    clone: str | None = None
    unlisted: bool = False
    fault: Outcome | None = None
    no_reset: Outcome | None = None
    pooler: bool = False
    pooled_admin: bool = False
    remarks: tuple[str, ...] = ()

    def labelled(self) -> tuple[tuple[str, Finding], ...]:
        """All findings about versions with what to call them, current first."""
        named = (("AWSCURRENT", self.current), ("AWSPENDING", self.pending), ("AWSPREVIOUS", self.previous))
        older = [("an older version", each) for each in self.history]
        return (*((name, each) for name, each in named if each is not None), *older)

    def versions(self) -> tuple[Finding, ...]:
        """All findings about versions, current first."""
        return tuple(each for _, each in self.labelled())

    def older(self) -> tuple[tuple[str, Finding], ...]:
        """AWSPREVIOUS and the versions without a label, with what to call them."""
        newest = ("AWSCURRENT", "AWSPENDING")
        return tuple((name, each) for name, each in self.labelled() if name not in newest)
