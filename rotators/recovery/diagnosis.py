"""From what was found to one sentence and one action: the whole table, pure.

The first row that matches decides. *Unsure* is everything in which a login was neither accepted nor
rejected: then nothing is done, for a label moved on a guess is an outage.

==========================================  ===============================================================
found                                       action
==========================================  ===============================================================
AWSPENDING is younger than a rotation lasts wait: it may be running
AWSCURRENT unreachable or refused           a human: mend what the error names
AWSCURRENT accepted, AWSPENDING accepted    promote AWSPENDING: the rotation lacked its last step only
AWSCURRENT accepted, AWSPENDING unreachable a human: the same
AWSCURRENT accepted, any other AWSPENDING   take AWSPENDING off; the version stays among the older ones
AWSCURRENT accepted                         none
AWSPENDING accepted                         promote AWSPENDING
AWSPENDING unreachable or refused           a human: the same
AWSPREVIOUS or an older version accepted    put AWSCURRENT on it; or, when it names an old address, log in
                                            with its password and set the one of AWSCURRENT
an admin accepted, AWSCURRENT rejected      set the password of AWSCURRENT as the admin
none of these                               a human: set the password at the target, or store one that works
==========================================  ===============================================================

Promoting loses nothing: the older value becomes AWSPREVIOUS. Where AWSCURRENT moves, an AWSPENDING that
stays behind is taken off as well, or the next rotation would be told that an earlier one is not over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rotators.core.states import Stage
from rotators.recovery.findings import Finding, Findings, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNSURE = (Trial.UNREACHABLE, Trial.REFUSED)


class Move(StrEnum):
    """One change that mends something."""

    PROMOTE = "promote"
    """Put AWSCURRENT on the version."""
    DROP_PENDING = "drop-pending"
    """Take AWSPENDING off the version."""
    RESET = "reset"
    """Make the target accept the AWSCURRENT value again."""


@dataclass(frozen=True)
class Act:
    """A move and the version it is about."""

    move: Move
    version: str

    def __str__(self) -> str:
        """In words."""
        short = self.version[:8]
        return {
            Move.PROMOTE: f"put AWSCURRENT on version {short}",
            Move.DROP_PENDING: f"take AWSPENDING off version {short}; its value stays",
            Move.RESET: f"set the target's password to that of version {short} (AWSCURRENT)",
        }[self.move]


@dataclass(frozen=True)
class Diagnosis:
    """The state of a secret.

    Attributes:
        state: a stable word for it.
        sentence: what is the matter.
        action: the one thing to do.
        acts: what `rotators repair` does, in order; empty when there is nothing to do, or nothing is sure.
    """

    state: str
    sentence: str
    action: str
    acts: tuple[Act, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing needs to be done."""
        return self.state == "healthy"


def diagnose(found: Findings, name: str) -> Diagnosis:
    """Explain what was found.

    Args:
        found: all versions and the admin, tried.
        name: of the secret, for commands in the text.
    """
    return _doubt(found, name) or _certainty(found, name)


def _doubt(found: Findings, name: str) -> Diagnosis | None:
    """Why nothing may be done now, or None."""
    pending, current = found.pending, found.current
    if pending is not None and pending.fresh:
        return Diagnosis(
            "rotating",
            "A rotation began a moment ago and may still be running.",
            f"Wait, then run `rotators doctor {name}` again; --idle if you know that none is running.",
        )
    if current is not None and current.trial in _UNSURE:
        return _human(current, "AWSCURRENT", name)
    works = current is not None and current.trial is Trial.ACCEPTED
    if pending is not None and (
        pending.trial is Trial.UNREACHABLE or (pending.trial is Trial.REFUSED and not works)
    ):
        return _human(pending, "AWSPENDING", name)
    return None


def _certainty(found: Findings, name: str) -> Diagnosis:
    pending, current = found.pending, found.current
    if current is not None and current.trial is Trial.ACCEPTED:
        return _current_works(pending, name)
    if pending is not None and pending.trial is Trial.ACCEPTED:
        state = "missing" if current is None else current.trial
        return _mendable(
            "promote-pending",
            f"AWSCURRENT is {state} and AWSPENDING is accepted: a rotation died between the target's change "
            "and its promotion.",
            [Act(Move.PROMOTE, pending.version)],
            name,
        )
    return _from_the_past(found, name)


def _current_works(pending: Finding | None, name: str) -> Diagnosis:
    if pending is None:
        return Diagnosis("healthy", "AWSCURRENT logs in, and no rotation is under way.", "None is needed.")
    if pending.trial is Trial.ACCEPTED:
        return _mendable(
            "promote-pending",
            "AWSCURRENT logs in, and so does AWSPENDING: a rotation stopped before its last step.",
            [Act(Move.PROMOTE, pending.version)],
            name,
        )
    why = {
        Trial.EMPTY: "has no value: a rotation stopped before createSecret stored one",
        Trial.FOREIGN: "names another user or target, so no rotation will ever promote it; find out who "
        "stored it",
        Trial.UNREADABLE: "cannot be used by the rotator",
        Trial.REFUSED: "is refused by the target",
    }.get(pending.trial, "is not known to the target: a rotation stopped before setSecret changed it")
    return _mendable(
        "drop-pending",
        f"AWSCURRENT logs in; AWSPENDING {why}.",
        [Act(Move.DROP_PENDING, pending.version)],
        name,
    )


def _from_the_past(found: Findings, name: str) -> Diagnosis:
    """No labelled value of now works: an older one, or the admin, helps."""
    state = "is missing" if found.current is None else f"is {found.current.trial}"
    older = (*([found.previous] if found.previous else ()), *found.history)
    works = next((each for each in older if each.trial is Trial.ACCEPTED), None)
    drop = _dropped(found)
    label = "AWSPREVIOUS" if works is not None and works is found.previous else "an older version"
    if works is not None and works.movable:
        return _mendable(
            "restore-older",
            f"AWSCURRENT {state}, and {label} is accepted: a rotation lost its label, or the target was "
            "restored from a snapshot.",
            [Act(Move.PROMOTE, works.version), *drop],
            name,
        )
    unsure = next((each for each in older if each.trial in _UNSURE), None)
    if works is None and unsure is not None:
        return _human(unsure, "An older version", name)
    if found.current is not None and found.current.trial is Trial.REJECTED:
        reset = [Act(Move.RESET, found.current.version), *drop]
        if works is not None:
            return _mendable(
                "reset-by-older",
                f"AWSCURRENT is rejected, and the password of {label} is accepted, but that value names "
                "another address.",
                reset,
                name,
            )
        if found.admin is Trial.ACCEPTED:
            return _mendable(
                "reset-by-admin", "No stored password is accepted, and the admin's is.", reset, name
            )
    return _lost(found, older, state, name)


def _lost(found: Findings, older: Sequence[Finding], state: str, name: str) -> Diagnosis:
    sentence = f"AWSCURRENT {state}, and no stored value is accepted"
    if found.admin is None:
        sentence += "; the secret names no admin"
    elif found.admin is not Trial.ACCEPTED:
        sentence += f"; the admin is {found.admin}"
    untried = sum(each.trial is Trial.UNTRIED for each in older)
    if untried:
        sentence += f"; {untried} older versions were not tried"
    if found.unlisted:
        sentence += "; versions without a label could not be listed (secretsmanager:ListSecretVersionIds)"
    return Diagnosis(
        "lost",
        f"{sentence}.",
        "Set the user's password at the target as its administrator, and store the same one with "
        f"`aws secretsmanager put-secret-value --secret-id {name}`; or store one that is known to work.",
    )


def _human(finding: Finding, label: str, name: str) -> Diagnosis:
    return Diagnosis(
        "unsure",
        f"{label} is {finding.trial}: {finding.detail or 'the target gave no answer'}",
        f"Mend that (from a machine that reaches the target), then run `rotators doctor {name}` again.",
    )


def _mendable(state: str, sentence: str, acts: Sequence[Act], name: str) -> Diagnosis:
    return Diagnosis(state, sentence, f"`rotators repair {name}` does it.", tuple(acts))


def _dropped(found: Findings) -> list[Act]:
    """AWSPENDING goes from where it is; on the current version it is harmless until AWSCURRENT moves away."""
    for finding in (found.pending, found.current):
        if finding is not None and (finding is found.pending or Stage.PENDING in finding.stages):
            return [Act(Move.DROP_PENDING, finding.version)]
    return []
