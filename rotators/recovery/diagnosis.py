"""Maps the findings of an examination to a sentence and one action (pure function).

The first matching row of the table decides. No action is more destructive than the fault. A stage moves only
to a value that every address accepts, and AWSPENDING is removed from a version only if the server itself
rejected its value or never received it. A password is set only if every stored one was rejected and an admin
has checked that a new one helps.

===============================================  ==========================================================
found                                            action
===============================================  ==========================================================
the AWSCURRENT value itself is faulty            a person corrects it; no login was made
AWSPENDING is younger than a rotation lasts      wait: it may be running
AWSCURRENT or AWSPENDING unreachable or refused  a person takes away what the error names (refusals.py)
a pooler accepts what the server does not, or    a person gives the pooler the right password
the other way round, or a pooler alone rejected
AWSCURRENT accepted, AWSPENDING accepted         promote AWSPENDING: only the last step is missing
AWSCURRENT accepted, a newer version too         put AWSCURRENT on it: the server still accepts the previous
                                                 password, which is that of AWSCURRENT
AWSCURRENT accepted, other AWSPENDING            take AWSPENDING off; the version stays among the older ones
AWSCURRENT accepted                              none
AWSPENDING accepted                              promote AWSPENDING
AWSPREVIOUS or an older version accepted         put AWSCURRENT on it; if other keys of it differ, log in with
                                                 its password and set the one of AWSCURRENT
an older version refused                         a person, as above
AWSCURRENT rejected, the admin may reset         the admin sets the password of AWSCURRENT
AWSCURRENT rejected, a reset would not help      a person takes away what the admin found
versions were left out                           try more of them, if the server's limit allows
versions were stored for another target          a person says whether the database has moved
none of these                                    a person stores a password that works
===============================================  ==========================================================

A promotion loses no value: the older one becomes AWSPREVIOUS. If AWSCURRENT moves, a remaining AWSPENDING is
removed as well; otherwise the next rotation would fail because an earlier one seems unfinished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rotators.core.states import Stage
from rotators.recovery.findings import UNSURE, Finding, Findings, Trial, TrialOutcome
from rotators.recovery.refusals import REFUSALS


class Move(StrEnum):
    """One change that repairs something."""

    PROMOTE = "promote"
    """Put AWSCURRENT on the version."""
    DROP_PENDING = "drop-pending"
    """Take AWSPENDING off the version."""
    RESET = "reset"
    """Make the target accept the AWSCURRENT value again."""
    SET = "set"
    """Make the target accept the version, and test it: only for `rotators rollback`."""


@dataclass(frozen=True)
class Act:
    """A move and the version that it concerns.

    Attributes:
        move: the change.
        version: version that gets or loses the stage, or whose value is set.
        login: for RESET: version whose password logs in; None for the admin.
        rejected: for RESET: versions whose passwords were rejected.
    """

    move: Move
    version: str
    login: str | None = None
    rejected: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the act in words."""
        short = self.version[:8]
        return {
            Move.PROMOTE: f"put AWSCURRENT on version {short}",
            Move.DROP_PENDING: f"remove AWSPENDING from version {short}; its value stays",
            Move.RESET: f"set the target's password to that of version {short} (AWSCURRENT)",
            Move.SET: f"set the target to the value of version {short}, and test it",
        }[self.move]


@dataclass(frozen=True)
class Diagnosis:
    """State of a secret.

    Attributes:
        state: stable word for the state.
        sentence: description of the state.
        action: the next action.
        acts: acts of `rotators repair`, in order; empty if nothing is to be done, or nothing is sure.
    """

    state: str
    sentence: str
    action: str
    acts: tuple[Act, ...] = ()

    @property
    def healthy(self) -> bool:
        """True if no action is needed."""
        return self.state == "healthy"


def diagnose(found: Findings, name: str) -> Diagnosis:
    """Return the diagnosis of what was found.

    Args:
        found: versions and admin, tried.
        name: name of the secret, for commands in the text.
    """
    return (
        _faulty(found)
        or _in_doubt(found, name)
        or _pooled(found, name)
        or _staged_works(found, name)
        or _older_works(found, name)
        or _by_admin(found, name)
        or _lost(found, name)
    )


def replica(primary_region: str, primary_arn: str) -> Diagnosis:
    """Return the state of a replica, which is neither examined nor changed.

    Args:
        primary_region: region of the secret itself.
        primary_arn: its ARN there.
    """
    return Diagnosis(
        "replica",
        f"This is a replica; the primary secret is in {primary_region}, and only the primary is "
        "rotated and changed.",
        f"Run `rotators doctor {primary_arn}`.",
    )


def without_effect(diagnosis: Diagnosis, before: Sequence[Act]) -> Diagnosis:
    """Return the diagnosis after a repair that had no effect; it does not repeat the same advice.

    Args:
        diagnosis: diagnosis after the repair.
        before: acts of the repair.

    Returns:
        The same diagnosis, unless it requests one of these acts again.
    """
    again = [
        act for act in diagnosis.acts if (act.move, act.version) in {(b.move, b.version) for b in before}
    ]
    if not again:
        return diagnosis
    return Diagnosis(
        "no-effect",
        f"This was done and did not help: {'; '.join(str(act) for act in again)}. The login is still not"
        " accepted, so its cause is not the password.",
        "Do not repeat it. Read in the server's log why the last login of the user was rejected "
        "(an expired password, an address that is not permitted, missing TLS, a pooler with "
        "separate passwords).",
    )


def _faulty(found: Findings) -> Diagnosis | None:
    if found.fault is None:
        return None
    return Diagnosis(
        "faulty-secret",
        f"The AWSCURRENT value cannot be used: {found.fault.detail}. No login was made.",
        found.fault.next,
    )


def _in_doubt(found: Findings, name: str) -> Diagnosis | None:
    """Return the reason why nothing may be done now, or None."""
    pending, current = found.pending, found.current
    if pending is not None and pending.fresh:
        return Diagnosis(
            "rotating",
            "A rotation began a moment ago and may still be running.",
            f"Wait, then run `rotators doctor {name}` again. Add --idle if you know that no "
            "rotation is running.",
        )
    if current is not None and current.unsure:
        return _person(current, "AWSCURRENT", found, name)
    if pending is not None and (pending.unsure or pending.reason == "key-unusable"):
        return _person(pending, "AWSPENDING", found, name)
    return None


def _pooled(found: Findings, name: str) -> Diagnosis | None:
    """Diagnosis if a pooler and the server disagree, or only a pooler has answered."""
    disagreeing = [(shown, each) for shown, each in found.staged() if _disagreed(each)]
    # The server decides, and the pooler has to be changed.
    for shown, each in sorted(disagreeing, key=lambda pair: pair[1].direct is not Trial.ACCEPTED):
        if each.direct is Trial.ACCEPTED:
            return Diagnosis(
                "pooler",
                f"The server accepts {shown}, and the pooler or proxy at `host` rejects it, "
                "because it does not have that password.",
                _give_password(shown, found, name),
            )
        return Diagnosis(
            "pooler",
            f"The pooler or proxy at `host` accepts {shown}, and the server rejects it: the "
            "pooler has a separate or an old password for this user.",
            "Find out which stored version the server accepts, or who set its password; set that "
            f"password in the pooler, then run `rotators doctor {name}` again. Do not move a "
            "stage before that.",
        )
    if not any(each.works for each in found.versions()):
        return None
    newest = [(shown, each) for shown, each in found.staged() if each in (found.pending, found.current)]
    for shown, each in reversed(newest):
        if each.works:
            return None
        if each.rejected and not _server_judged(each, found):
            return Diagnosis(
                "pooler",
                f"{shown} is rejected, but a pooler or proxy gave that answer: it may not have "
                "the password, and it may be the only password that the server accepts.",
                f"{_give_password(shown, found, name)} Once the secret is healthy, name the server's own"
                " address in `admin_host`.",
            )
    return None


def _disagreed(finding: Finding) -> bool:
    return set(finding.trials) == {Trial.ACCEPTED, Trial.REJECTED}


def _give_password(shown: str, found: Findings, name: str) -> str:
    """Return the action if a pooler does not know a version's password."""
    action = f"Set the password of {shown} in the pooler (RDS Proxy: in its secrets)."
    own = found.remedies.get("pooler")
    after = f"Then run `rotators doctor {name}` again. Do not move a stage before that."
    return f"{action} {own} {after}" if own else f"{action} {after}"


def _server_judged(finding: Finding, found: Findings) -> bool:
    """Return True if the server itself checked the password, as far as known."""
    return not (found.pooler if finding.direct is None else found.pooled_admin)


def _staged_works(found: Findings, name: str) -> Diagnosis | None:
    pending, current = found.pending, found.current
    if current is not None and current.works:
        return _newer_works(found, name) or _current_works(pending, name)
    if pending is not None and pending.works:
        state = "missing" if current is None else current.trial
        return _mendable(
            "promote-pending",
            f"AWSCURRENT is {state} and AWSPENDING is accepted: a rotation stopped after it "
            "changed the target and before the promotion.",
            [Act(Move.PROMOTE, pending.version)],
            name,
        )
    return None


def _newer_works(found: Findings, name: str) -> Diagnosis | None:
    """Return the diagnosis if AWSCURRENT works, and a newer version does too or is in doubt.

    Newer versions are tried beside an accepted AWSCURRENT only where servers accept the previous password.
    """
    if found.pending is not None and (found.pending.works or Trial.UNTRIED in found.pending.trials):
        return None  # it is judged first
    tried = [each for each in found.history if each.reason != "unneeded"]
    for each in tried:
        if each.unsure:
            return _person(each, "a newer version", found, name)
        if not each.works:
            continue
        if not each.movable:
            return Diagnosis(
                "older-differs",
                "AWSCURRENT logs in as the previous password, and a newer version is accepted, but that value"
                " differs in other keys too.",
                "Store the correct value with the password of the newer version (PutSecretValue).",
            )
        return _mendable(
            "restore-newer",
            "AWSCURRENT logs in, and so does a newer version: the server still accepts the "
            "previous password, and AWSPENDING was removed from the version of a rotation.",
            [Act(Move.PROMOTE, each.version), *_dropped(found)],
            name,
        )
    left_out = sum(Trial.UNTRIED in each.trials for each in tried)
    return _more_logins(left_out, name) if left_out else None


def _current_works(pending: Finding | None, name: str) -> Diagnosis:
    if pending is None:
        return Diagnosis("healthy", "AWSCURRENT logs in, and no rotation is in progress.", "None is needed.")
    if pending.works:
        return _mendable(
            "promote-pending",
            "AWSCURRENT logs in, and so does AWSPENDING: a rotation stopped before its last step.",
            [Act(Move.PROMOTE, pending.version)],
            name,
        )
    if Trial.UNTRIED in pending.trials:
        return _more_logins(1, name)
    why = {
        Trial.EMPTY: "has no value: a rotation stopped before createSecret stored one",
        Trial.FOREIGN: f"was {pending.detail}, so no rotation will ever promote it; find out who stored it",
        Trial.UNREADABLE: f"cannot be used by the rotator: {pending.detail}",
    }.get(pending.trial, "is rejected by the target: a rotation stopped before setSecret changed the target")
    return _mendable(
        "drop-pending",
        f"AWSCURRENT logs in; AWSPENDING {why}.",
        [Act(Move.DROP_PENDING, pending.version)],
        name,
    )


def _older_works(found: Findings, name: str) -> Diagnosis | None:
    """Return the diagnosis if an older version (AWSPREVIOUS too) works, or failed for another reason."""
    state = _state(found)
    pending_judged = found.pending is None or Trial.UNTRIED not in found.pending.trials
    for shown, works in found.older():
        if not works.works or not pending_judged:
            continue
        if works.movable:
            return _mendable(
                "restore-older",
                f"AWSCURRENT {state}, and {shown} is accepted{_how(found)}.",
                [Act(Move.PROMOTE, works.version), *_dropped(found)],
                name,
            )
        if not works.own or found.current is None or not found.current.rejected:
            return Diagnosis(
                "older-differs",
                f"AWSCURRENT {state}, and {shown} is accepted, but other keys of that value differ too.",
                f"Compare the two values. If {shown} is correct, put AWSCURRENT on it: `aws secretsmanager"
                f" update-secret-version-stage --secret-id {name} --version-stage AWSCURRENT"
                f" --move-to-version-id {works.version}`. If not, store the correct value.",
            )
        return _mendable(
            "reset-by-older",
            f"AWSCURRENT is rejected, and the password of {shown} is accepted, but that value differs in "
            "other keys too.",
            [_reset(found, found.current, works.version), *_dropped(found)],
            name,
        )
    unsure = next(((shown, each) for shown, each in found.older() if each.unsure), None)
    return _person(unsure[1], unsure[0], found, name) if unsure else None


def _by_admin(found: Findings, name: str) -> Diagnosis | None:
    current = found.current
    if current is None or not current.rejected or found.admin is not Trial.ACCEPTED:
        return None
    if found.no_reset is not None:
        return _no_reset(found.no_reset, name)
    if not _server_judged(current, found):
        return Diagnosis(
            "pooler",
            "AWSCURRENT is rejected by a pooler or proxy, which may not have its password or the "
            "password of the server.",
            "Name the server's own address in the secret's `admin_host` (and `admin_port`), and give the"
            f" admin's secret the same address; then run `rotators doctor {name}` again.",
        )
    if found.pending is not None and Trial.UNTRIED in found.pending.trials:
        return None
    return _mendable(
        "reset-by-admin",
        "No stored password is accepted, and the admin's is.",
        [_reset(found, current, None), *_dropped(found)],
        name,
    )


def _no_reset(refused: TrialOutcome, name: str) -> Diagnosis:
    again = f"Then run `rotators doctor {name}` again."
    if refused.trial is not Trial.REFUSED:
        return Diagnosis(
            "unsure", f"The admin could not examine the user: {refused.detail}.", f"{refused.next} {again}"
        )
    if refused.reason == "correct-password":
        sentence = (
            f"A stored password is correct, and its login is refused for another reason: {refused.detail}."
        )
        return Diagnosis("correct-password", sentence, f"{refused.next} {again}")
    state = refused.reason if refused.reason in {*REFUSALS, "administrator"} else "unsure"
    sentence = f"AWSCURRENT is rejected, and a new password would not help: {refused.detail}."
    return Diagnosis(state, sentence, f"{refused.next} {again}")


def _lost(found: Findings, name: str) -> Diagnosis:
    left_out = [shown for shown, each in found.staged() if Trial.UNTRIED in each.trials]
    if left_out:
        return _more_logins(len(left_out), name)
    sentence = f"AWSCURRENT {_state(found)}, and no stored value is accepted"
    if found.admin is None:
        sentence += "; the secret names no admin"
    elif found.admin is not Trial.ACCEPTED:
        sentence += f"; the admin is {found.admin}"
    if found.unlisted:
        sentence += "; versions without a stage could not be listed (secretsmanager:ListSecretVersionIds)"
    if moved := _moved(found):
        return Diagnosis("other-target", f"{sentence}{moved}.", _HAS_IT_MOVED)
    current = found.current
    if current is not None and current.trial is Trial.UNREADABLE:
        return Diagnosis("unreadable", f"{sentence}. {current.detail}.", current.next)
    for shown, each in found.staged():
        if each.trial is Trial.UNREADABLE and each.reason in _OF_KEYS:
            return Diagnosis("unreadable", f"{sentence}. {shown}: {each.detail}.", each.next)
    return Diagnosis(
        "lost",
        f"{sentence}.",
        "First check whether the applications still log in. If they do, store the password that "
        "they use with "
        f"`aws secretsmanager put-secret-value --secret-id {name}`. If they do not, and the server's log"
        " names no other cause (an expired password, an address, TLS), an administrator of the "
        "server must set a new password; store it with the same command.",
    )


_OF_KEYS = {"key-unusable", "sealing-key"}
"""Reasons of values that can be read, and may be accepted, after their key is enabled."""

_HAS_IT_MOVED = (
    "If the database has moved, store its new address together with the password that works there"
    " (PutSecretValue), or name both addresses in ALLOWED_TARGETS of the function and of this command. If it"
    " has not moved, find out who changed the address in the secret, and store the correct address."
)


def _more_logins(left_out: int, name: str) -> Diagnosis:
    return Diagnosis(
        "not-tried",
        f"The logins that were made do not show the state, and {left_out} versions were not "
        "tried, to keep the server"
        " from locking the account.",
        "Find out after how many rejected logins the server locks an account. If it permits "
        f"more, wait until earlier rejections no longer count, and run `rotators doctor {name}` "
        "with a higher MAX_REJECTED_LOGINS.",
    )


def _how(found: Findings) -> str:
    """Return the sentence that explains why an older version is accepted."""
    current = found.current
    if current is not None and current.trial is Trial.UNREADABLE:
        return f"; {current.detail}"
    return (
        ": AWSPENDING was removed from the version of a rotation, or the target was restored from a snapshot"
    )


def _moved(found: Findings) -> str:
    """Return the sentence about versions that were stored for another target; empty if there is none."""
    away = [(shown, each) for shown, each in found.staged() if each.reason == "target"]
    if not away:
        return ""
    places = ", ".join(dict.fromkeys(shown for shown, _ in away))
    return f"; {places}: {away[0][1].detail}, so the password was not sent there"


def _state(found: Findings) -> str:
    return "is missing" if found.current is None else f"is {found.current.trial}"


def _person(finding: Finding, shown: str, found: Findings, name: str) -> Diagnosis:
    works = found.current is not None and found.current is not finding and found.current.works
    begin = f"AWSCURRENT logs in; {shown}" if works else shown
    again = f"Then run `rotators doctor {name}` again."
    if known := REFUSALS.get(finding.reason):
        own = found.remedies.get(finding.reason)
        action = f"{known.action} {own}" if own else known.action
        return Diagnosis(finding.reason, f"{begin}: {known.meaning} ({finding.detail}).", f"{action} {again}")
    trial = next((trial for trial in finding.trials if trial in UNSURE), finding.trial)
    detail = finding.detail or "the target gave no answer"
    return Diagnosis(
        "unsure",
        f"{begin} is {trial}: {detail}{_moved(found)}.",
        f"{finding.next or 'Correct that.'} {again}",
    )


def _mendable(state: str, sentence: str, acts: Sequence[Act], name: str) -> Diagnosis:
    return Diagnosis(state, sentence, f"`rotators repair {name}` does it.", tuple(acts))


def _reset(found: Findings, current: Finding, login: str | None) -> Act:
    rejected = tuple(each.version for each in found.versions() if Trial.REJECTED in each.trials)
    return Act(Move.RESET, current.version, login, rejected)


def _dropped(found: Findings) -> list[Act]:
    """Return the acts that remove AWSPENDING.

    On the current version AWSPENDING is harmless until AWSCURRENT moves away.
    """
    for finding in (found.pending, found.current):
        if finding is not None and (finding is found.pending or Stage.PENDING in finding.stages):
            return [Act(Move.DROP_PENDING, finding.version)]
    return []
