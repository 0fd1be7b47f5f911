"""Results of an examination: records without any value of a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple


class Trial(StrEnum):
    """Result of an attempt to log in with a stored value."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    """The login failed for a reason that does not show that the value is wrong."""
    REFUSED = "refused"
    """The target refused the login for another reason than a wrong password."""
    EMPTY = "empty"
    """The version is staged and has no value yet."""
    UNREADABLE = "unreadable"
    """The value cannot be read, or does not have the form that the rotator needs."""
    FOREIGN = "foreign"
    """The value was stored for another user or target than AWSCURRENT's; it was not tried."""
    UNTRIED = "not tried"
    """Not needed, or omitted to limit the number of rejected logins."""


UNSURE = (Trial.UNREACHABLE, Trial.REFUSED)
"""The password was not checked, or it was correct and the login failed for another reason."""


class TrialOutcome(NamedTuple):
    """Result of one attempt.

    Attributes:
        trial: result of the login.
        detail: code and cause of the error; empty if there was none.
        next: next action of the error.
        reason: stable word for the cause: of the error, or why no attempt was made (``target``, ``user``
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
        stages: its stages.
        trial: result of the login at the secret's ``host``.
        detail, next, reason: of that login, or of the one at the admin address if only that one failed; see
            TrialOutcome.
        direct: result of the login at the secret's ``admin_host``; None if the secret names no address
            other than ``host``.
        movable: True if AWSCURRENT may be moved to it: its public keys are those of the current value.
        own: True if it is of the user of AWSCURRENT, not of the second user of a pair.
        fresh: True if it was created so recently that its rotation may still be running.
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
        """Results of the logins at ``host`` and at the admin address."""
        return (self.trial,) if self.direct is None else (self.trial, self.direct)

    @property
    def works(self) -> bool:
        """True if every address accepted it."""
        return set(self.trials) == {Trial.ACCEPTED}

    @property
    def rejected(self) -> bool:
        """True if every address rejected it."""
        return set(self.trials) == {Trial.REJECTED}

    @property
    def unsure(self) -> bool:
        """True if a login failed for a reason other than the password."""
        return any(trial in UNSURE for trial in self.trials)

    def tried(self, at_host: TrialOutcome, direct: TrialOutcome | None = None) -> Finding:
        """Return a copy with the results of its logins.

        Args:
            at_host: result of the login at ``host``.
            direct: result of the login at ``admin_host``; None if there is no such address.
        """
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
        current: the AWSCURRENT version; None if no version has the stage.
        pending: the AWSPENDING version if it is not the current one, else None.
        previous: the AWSPREVIOUS version, or None.
        history: versions without these stages, the newest first.
        admin: result of the admin's login; None if the secret names no admin.
        admin_detail: its error in words, with code and next action.
        clone: error about the second user of a pair; empty if it is proven, None if there is none.
        unlisted: True if the versions without a stage could not be listed.
        fault: fault of the AWSCURRENT value itself, in which case no login was made; else None.
        no_reset: reason why the admin must not set the user's password, or why that would not help; None if
            it may, or if this was not checked.
        pooler: True if a pooler or proxy is known to answer at ``host``.
        pooled_admin: True if one is known to answer at the address where the admin logs in.
        remarks: further remarks.
        remedies: the engine's own parts of next actions, by reason.
    """

    current: Finding | None
    pending: Finding | None = None
    previous: Finding | None = None
    history: tuple[Finding, ...] = ()
    admin: Trial | None = None
    admin_detail: str = ""
    clone: str | None = None
    unlisted: bool = False
    fault: TrialOutcome | None = None
    no_reset: TrialOutcome | None = None
    pooler: bool = False
    pooled_admin: bool = False
    remarks: tuple[str, ...] = ()
    remedies: Mapping[str, str] = field(default_factory=dict)

    def staged(self) -> tuple[tuple[str, Finding], ...]:
        """Return all findings about versions with their display names, current first.

        Returns:
            Display name, such as ``AWSCURRENT`` or ``an older version``, and finding.
        """
        named = (("AWSCURRENT", self.current), ("AWSPENDING", self.pending), ("AWSPREVIOUS", self.previous))
        older = [("an older version", each) for each in self.history]
        return (*((name, each) for name, each in named if each is not None), *older)

    def versions(self) -> tuple[Finding, ...]:
        """Return all findings about versions, current first.

        Returns:
            The findings in the order of `staged`.
        """
        return tuple(each for _, each in self.staged())

    def older(self) -> tuple[tuple[str, Finding], ...]:
        """Return AWSPREVIOUS and the versions without a stage, with their display names.

        Returns:
            Pairs as in `staged`.
        """
        newest = ("AWSCURRENT", "AWSPENDING")
        return tuple((name, each) for name, each in self.staged() if name not in newest)
