"""Which rotations of a secret have no receipt yet, and what is known about them (pure functions).

The steps are those that the rotation function logged: it writes one line per step in any case, so a receipt
costs a rotation nothing. A line counts only if Secrets Manager has the version that it names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rotators.core.request import Step as StepName
from rotators.core.states import Stage
from rotators.receipts.statement import LONGEST_NAME, LONGEST_WORD, Fact, Step

if TYPE_CHECKING:
    from rotators.aws.failures import LoggedStep
    from rotators.aws.secrets import Version
    from rotators.receipts.statement import Receipt

# The event is of the second in which the rotation ended, and comes right after the last step. The clocks of
# the function and of the service may differ.
_NEAR = dt.timedelta(seconds=60)
_SECOND = dt.timedelta(seconds=1)
_LONGEST_LOOK_BACK = dt.timedelta(days=7)


@dataclass(frozen=True)
class Rotated:
    """A rotation that succeeded.

    Attributes:
        version: the new version.
        time: its end.
        steps: the steps that are known.
        failed_steps: number of steps that failed before; None if the steps are unknown.
        rotator, strategy: names, or None.
        replaced: the version that was AWSCURRENT before, or None.
        own_event: True if the event that is handled is about this rotation.
    """

    version: str
    time: dt.datetime
    steps: tuple[Step, ...] = ()
    failed_steps: int | None = None
    rotator: str | None = None
    strategy: str | None = None
    replaced: str | None = None
    own_event: bool = False

    @property
    def unknown(self) -> tuple[Fact, ...]:
        """The facts that are not known, except the digest of the code."""
        facts: dict[Fact, bool] = {
            "replacedVersion": self.replaced is None,
            "rotator": self.rotator is None,
            "steps": len(self.steps) < len(StepName),
        }
        return tuple(name for name, missing in facts.items() if missing)


def logged_since(versions: Sequence[Version], head: Receipt | None, event: dt.datetime) -> dt.datetime:
    """Return the time from which the log must be read, so that no rotation without a receipt is missed.

    The log of a function has the steps of all its secrets, so as little of it is read as possible: if the
    chain ends with the version that was current before, only the steps since the new version was stored.

    Args:
        versions: of the secret, newest first.
        head: the newest receipt of the secret, or None.
        event: time of the event.
    """
    if head is not None and _holder(versions, Stage.PREVIOUS) != head.version != _holder(
        versions, Stage.CURRENT
    ):
        return max(head.rotated, event - _LONGEST_LOOK_BACK)
    stored = _stored_before(versions, event)
    return (stored.created if stored and stored.created else event) - _NEAR


def without_receipt(
    versions: Sequence[Version], logged: Sequence[LoggedStep], head: Receipt | None, event: dt.datetime
) -> list[Rotated]:
    """Return the rotations without a receipt, oldest first.

    Args:
        versions: of the secret, newest first.
        logged: steps that the function logged about the secret, oldest first.
        head: the newest receipt of the secret, or None.
        event: time of the event RotationSucceeded.

    Returns:
        The rotations that ended after the head's. If the log does not have that of the event, it is the last
        version that was stored before the event: no other version can be stored during a rotation that
        succeeds (the service abandons it then).
    """
    known = {version.id for version in versions}
    ended = [each for each in _ended(logged) if each.version in known]
    if not is_logged(logged, event):
        stored = _stored_before(versions, event)
        if stored and stored.created and (head is None or stored.created > head.rotated):
            ended.append(Rotated(stored.id, event, own_event=True))
    ended.sort(key=lambda rotation: rotation.time)
    if head is not None:
        ended = [each for each in ended if each.time > head.rotated and each.version != head.version]
    return [_completed(each, versions, event) for each in ended]


def is_logged(logged: Sequence[LoggedStep], event: dt.datetime) -> bool:
    """Return True if the log has the end of the rotation that an event is about.

    Args:
        logged: steps that the function logged about the secret.
        event: time of the event.
    """
    return any(abs(each.time - event) < _NEAR for each in _ended(logged))


def _completed(rotation: Rotated, versions: Sequence[Version], event: dt.datetime) -> Rotated:
    """Add what the stages tell: they tell what was replaced only while nothing newer is current."""
    current = rotation.version == _holder(versions, Stage.CURRENT)
    return replace(
        rotation,
        replaced=_holder(versions, Stage.PREVIOUS) if current else None,
        own_event=abs(rotation.time - event) < _NEAR,
    )


def _ended(logged: Sequence[LoggedStep]) -> list[Rotated]:
    """The rotations whose finishSecret succeeded."""
    by_token: dict[str, list[LoggedStep]] = {}
    for step in logged:
        by_token.setdefault(step.token, []).append(step)
    found = (_rotation(token, steps) for token, steps in by_token.items() if token)
    return [rotation for rotation in found if rotation]


def _rotation(token: str, steps: Sequence[LoggedStep]) -> Rotated | None:
    succeeded = [step for step in steps if step.failure is None and step.outcome != "failed"]
    finish = next((step for step in succeeded if step.step == StepName.FINISH), None)
    if finish is None:
        return None
    until = [step for step in succeeded if step.time <= finish.time]
    last = {step.step: step for step in until if step is finish or step.step != StepName.FINISH}
    kept = [last[name] for name in StepName if name in last]
    named = next((step for step in reversed(kept) if step.rotator), None)
    return Rotated(
        version=token,
        time=finish.time,
        steps=tuple(map(_step, kept)),
        failed_steps=sum(step not in succeeded and step.time <= finish.time for step in steps),
        rotator=_name(named.rotator) if named else None,
        strategy=(_name(named.strategy) or None) if named else None,
    )


def _step(logged: LoggedStep) -> Step:
    return Step(
        name=logged.step,
        started=logged.time - dt.timedelta(seconds=logged.seconds),
        ended=logged.time,
        outcome=_name(logged.outcome, LONGEST_WORD),
    )


def _name(text: str, longest: int = LONGEST_NAME) -> str:
    """A name from the log, as a receipt can have it."""
    return "".join(char if char.isprintable() else "?" for char in text[:longest])


def _stored_before(versions: Sequence[Version], event: dt.datetime) -> Version | None:
    return next((each for each in versions if each.created and each.created < event + _SECOND), None)


def _holder(versions: Sequence[Version], stage: str) -> str | None:
    return next((version.id for version in versions if stage in version.stages), None)
