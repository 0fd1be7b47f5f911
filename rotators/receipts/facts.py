"""Finds the rotations of a secret without a receipt, and the facts about them (pure functions).

Rotations are ordered by the times at which Secrets Manager stored their versions: they come from one clock,
and later moves of stages do not change them. The steps are those that the rotation function logged. It writes
one line per step in any case, so receipts add no call to a rotation. A line counts only if Secrets Manager
has the version that it names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rotators.aws.failures import LoggedStep
from rotators.aws.secrets import Version
from rotators.core.request import Step
from rotators.core.states import Stage
from rotators.core.steps import Outcome
from rotators.receipts.statement import LONGEST_NAME, LONGEST_WORD, Fact, Receipt, ReceiptStep

LOOK_BACK = dt.timedelta(days=7)
"""Period of the log in which rotations without a receipt are searched."""

_SKEW = dt.timedelta(seconds=60)  # between the clocks of the function and of the service
_SECOND = dt.timedelta(seconds=1)
_DELAY = dt.timedelta(seconds=5)  # between the end of the last step and the end of the rotation


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
        own_event: True if the handled event is about this rotation.
    """

    version: str
    time: dt.datetime
    steps: tuple[ReceiptStep, ...] = ()
    failed_steps: int | None = None
    rotator: str | None = None
    strategy: str | None = None
    replaced: str | None = None
    own_event: bool = False

    @property
    def passed_tests(self) -> tuple[str, ...]:
        """The tests that ran and passed. A step that had nothing to do did not test."""
        tested = (Outcome.DONE, Outcome.TESTED_CURRENT)
        tests = (step for step in self.steps if step.name == Step.TEST)
        return tuple(step.name for step in tests if step.outcome in tested)

    @property
    def unknown(self) -> tuple[Fact, ...]:
        """The facts that are not known, except the digest of the code."""
        facts: dict[Fact, bool] = {
            "replacedVersion": self.replaced is None,
            "rotator": self.rotator is None,
            "steps": len(self.steps) < len(Step),
        }
        return tuple(name for name, missing in facts.items() if missing)


def latest(time: dt.datetime) -> dt.datetime:
    """Return the latest time that a time can mean: without a fraction, it can be any time of its second.

    Args:
        time: time in a response of a service.
    """
    return time if time.microsecond else time + _SECOND


@dataclass(frozen=True)
class ReceiptGap:
    """The part of a secret's history that may have rotations without a receipt: up to an event.

    Attributes:
        versions: versions stored after the version of the newest receipt, newest first; not empty.
        since: time from which the log has their rotations.
        before: version that was AWSCURRENT before the current one, or None.
        end: time of the end of the event's rotation.
        is_certain: True if the service says that it has rotated the secret since the newest receipt.
    """

    versions: Sequence[Version]
    since: dt.datetime
    before: str | None
    end: dt.datetime
    is_certain: bool

    @property
    def expected(self) -> str:
        """The version of the event's rotation: the current one, if it has not changed since.

        Otherwise the last one that was stored before the rotation's end: other versions can be stored in
        between only while it is interrupted.
        """
        return self._current or self.versions[0].id

    @property
    def _current(self) -> str | None:
        return next((each.id for each in self.versions if Stage.CURRENT in each.stages), None)

    def is_logged(self, logged: Sequence[LoggedStep]) -> bool:
        """Return True if a log has the end of the event's rotation.

        Args:
            logged: steps that the function logged about the secret.
        """
        return any(each.version == self.expected for each in _ended(logged))

    def rotations(self, logged: Sequence[LoggedStep]) -> list[Rotated]:
        """Return the rotations without a receipt, oldest first.

        Args:
            logged: steps that the function logged about the secret since `since`, oldest first.

        Returns:
            The rotations; empty if the log has none of them.
        """
        ended = {each.version: each for each in _ended(logged)}
        known = {version.id for version in self.versions} & ended.keys()
        if self.is_certain and not any(abs(ended[each].time - self.end) < _SKEW for each in known):
            ended.setdefault(self.expected, Rotated(self.expected, self.end))
        found = (ended.get(version.id) for version in reversed(self.versions))
        return [self._completed(each) for each in found if each]

    def _completed(self, rotation: Rotated) -> Rotated:
        """Add the facts from the stages.

        They show the replaced version only while no newer version is current.
        """
        return replace(
            rotation,
            replaced=self.before if rotation.version == self._current else None,
            own_event=rotation.version == self.expected,
        )


def gap(
    versions: Sequence[Version], head: Receipt | None, event: dt.datetime, rotated: dt.datetime | None
) -> ReceiptGap | None:
    """Return the rotations that may lack a receipt at an event; None if the chain has the event's rotation.

    The log of a function has the steps of all its secrets, so as little of it is read as possible: if only
    one version was stored since the newest receipt, only the steps since then.

    Args:
        versions: versions of the secret, newest first.
        head: the newest receipt of the secret, or None.
        event: time of the event RotationSucceeded.
        rotated: time of the last rotation in the service's response; None if rotation is off. A version that
            was stored later is not from a rotation, even if an event or a log says so.
    """
    end = event if rotated is None else min(event, rotated)
    stored_before = latest(event) if rotated is None else min(latest(event), latest(rotated))
    after = _position(versions, head) if head else None
    newer = [each for each in versions if _is_between(each, after, stored_before)]
    if not newer:
        return None
    before = next((each.id for each in versions if Stage.PREVIOUS in each.stages), None)
    is_certain = rotated is not None and (head is None or head.rotated + _DELAY < end)
    return ReceiptGap(newer, _log_since(newer, after, end), before, end, is_certain)


def _log_since(newer: Sequence[Version], after: dt.datetime | None, end: dt.datetime) -> dt.datetime:
    stored = newer[0].created if len(newer) == 1 and after else after
    return max(stored - _SKEW, end - LOOK_BACK) if stored else end - LOOK_BACK


def _position(versions: Sequence[Version], head: Receipt) -> dt.datetime:
    """Return the time at which a receipt's version was stored; if deleted, the latest possible time."""
    stored = (each.created for each in versions if each.id == head.version)
    return next((time for time in stored if time), head.rotated)


def _is_between(version: Version, after: dt.datetime | None, end: dt.datetime) -> bool:
    """True for a version that was stored in a time, and does not only wait for its rotation."""
    waits = Stage.PENDING in version.stages and not {Stage.CURRENT, Stage.PREVIOUS} & {*version.stages}
    return (
        not waits
        and version.created is not None
        and version.created < end
        and (after is None or after < version.created)
    )


def _ended(logged: Sequence[LoggedStep]) -> list[Rotated]:
    """Return the rotations whose finishSecret succeeded."""
    by_token: dict[str, list[LoggedStep]] = {}
    for step in logged:
        by_token.setdefault(step.token, []).append(step)
    found = (_rotation(token, steps) for token, steps in by_token.items() if token)
    return [rotation for rotation in found if rotation]


def _rotation(token: str, steps: Sequence[LoggedStep]) -> Rotated | None:
    succeeded = [step for step in steps if step.failure is None and step.outcome != "failed"]
    finish = next((step for step in succeeded if step.step == Step.FINISH), None)
    if finish is None or not any(step.outcome == Outcome.DONE for step in succeeded):
        return None  # steps that have nothing to do are also called for a value that a person stored
    until = [step for step in succeeded if step.time <= finish.time]
    last = {step.step: step for step in until if step is finish or step.step != Step.FINISH}
    kept = [last[name] for name in Step if name in last]
    named = next((step for step in reversed(kept) if step.rotator), None)
    return Rotated(
        version=token,
        time=finish.time,
        steps=tuple(map(_step, kept)),
        failed_steps=sum(step not in succeeded and step.time <= finish.time for step in steps),
        rotator=_name(named.rotator) if named else None,
        strategy=(_name(named.strategy) or None) if named else None,
    )


def _step(logged: LoggedStep) -> ReceiptStep:
    return ReceiptStep(
        name=logged.step,
        started=logged.time - dt.timedelta(seconds=logged.seconds),
        ended=logged.time,
        outcome=_name(logged.outcome, LONGEST_WORD),
    )


def _name(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a name from the log in the form that a receipt permits."""
    return "".join(char if char.isprintable() else "?" for char in text[:longest])
