"""Runs one step of one rotation: first the check of the stages, then the step.

Only this module calls the methods of the store that write.

The order of writes makes every crash harmless (docs/architecture.md, "Why no crash loses a credential"):

- createSecret stores the new value before the target gets it, and never replaces one that is
  stored: after a crash the target may already have it.
- setSecret uses stored values only, so it can be repeated with the same token, and a rotation with a *new*
  token finds the older value among the versions. The stages are read again directly before a change of the
  target, unless they were read a few seconds ago.
- finishSecret moves one stage in one call. If it is interrupted before the call, nothing has to be undone;
  after the call, nothing remains to be done. It promotes a value only after testSecret has passed: a
  container that did not run testSecret tests the value again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.audit import StageMove
from rotators.core.contracts import HasStrategies, Rotator, declared_members
from rotators.core.errors import RequestRefused, VersionConflict
from rotators.core.finder import MASK
from rotators.core.progress import progress
from rotators.core.redaction import masking
from rotators.core.registry import load, rotator_name
from rotators.core.request import RotationRequest, Step
from rotators.core.rotation import Rotation, Versions
from rotators.core.states import Stage
from rotators.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


class Outcome(StrEnum):
    """The result of a step that did not fail."""

    DONE = "done"
    ALREADY_STORED = "already-stored"
    ALREADY_CURRENT = "already-current"
    TESTED_CURRENT = "tested-current"


@dataclass
class Report:
    """Names and counts of a step for the log, also if the step failed. It contains no value of a secret.

    Attributes:
        rotator: the rotator's name; empty if none was chosen.
        strategy: the strategy's name; empty if no rotator was chosen, or it has no strategies.
        rejections: the name of each stored value that the target rejected.
        moved: the stages that the step moved.
    """

    rotator: str = ""
    strategy: str = ""
    rejections: list[str] = field(default_factory=list)
    moved: list[StageMove] = field(default_factory=list)


class _Work(NamedTuple):
    """The data of a step: the request that passed the check, and the secret's versions."""

    request: RotationRequest
    versions: Versions
    settings: Settings
    report: Report
    given: Rotator | None

    @property
    def arn(self) -> str:
        return self.versions.state.arn

    def rotator(self, secret: Secret) -> Rotator:
        """Return the rotator for a value, and put its name and the strategy's into the report."""
        name = type(self.given).__name__ if self.given else rotator_name(secret, self.settings)
        rotator = self.given or load(name)
        self.versions.seen.members = declared_members(rotator)
        strategy = rotator.strategy_of(secret) if isinstance(rotator, HasStrategies) else ""
        private = secret.sensitive(*self.versions.seen.members)
        self.report.rotator, self.report.strategy = (
            MASK if each in private else each for each in (name, strategy)
        )
        return rotator

    def rotation(self, current: Secret, proposed: Secret | None) -> Rotation:
        token = self.request.token
        return Rotation(
            current,
            self.settings,
            proposed,
            untouched=self.request.step is Step.SET and progress.begin_set(self.arn, token),
            rejections=self.report.rejections,
            rejected=progress.rejected(self.arn, token, self.versions.holder(Stage.CURRENT)),
            versions=self.versions,
        )


def run_step(
    request: RotationRequest,
    store: Store,
    settings: Settings,
    report: Report,
    rotator: Rotator | None = None,
) -> Outcome:
    """Run one step of a rotation.

    Args:
        request: the checked event.
        store: the gateway to Secrets Manager.
        settings: the function's environment.
        report: filled in by this function, also if the step fails.
        rotator: used for every secret; by default the one that ROTATOR or the secret names.

    Returns:
        The result; every member of Outcome is a success for Secrets Manager.

    Raises:
        RotationStateError: the stages do not permit the step; nothing was done.
        RotatorFailure, StoreError, RegistryError, InvalidInput: the step failed. Secrets Manager repeats
            the rotation; every step may be repeated. No error shows a value of the secret.
    """
    versions = Versions.of(store, request.secret_id, request.token)
    if not versions.may_act():
        return Outcome.ALREADY_CURRENT
    work = _Work(request, versions, settings, report, rotator)
    with masking(versions.seen):
        return _STEPS[request.step](work)


def _create(work: _Work) -> Outcome:
    versions, token = work.versions, work.request.token
    current = versions.current()
    rotator = work.rotator(current)
    if versions.pending() is not None:
        return Outcome.ALREADY_STORED
    proposed = rotator.propose(work.rotation(current, None))
    versions.seen.add(proposed)
    try:
        versions.store.put_pending(work.arn, token, proposed, work.request.rotation_token)
    except VersionConflict:
        # The same step was delivered twice, and the other delivery stored its value first: that value is
        # kept.
        if versions.pending() is None:
            raise
        return Outcome.ALREADY_STORED
    progress.stored(work.arn, token)
    return Outcome.DONE


def _set(work: _Work) -> Outcome:
    current = work.versions.current()
    pending = work.versions.required_pending()
    work.rotator(current).apply(work.rotation(current, pending))
    return Outcome.DONE


def _test(work: _Work) -> Outcome:
    """Test the pending value; in the service's trial run (RotateImmediately=false) the current one.

    In a trial only testSecret is called (API:RotateSecret), with AWSPENDING on a copy of the current value,
    as was recorded on AWS. An empty version is tested in the same way; finishSecret refuses to promote it.
    """
    current = work.versions.current()
    pending = work.versions.pending()
    work.rotator(current).verify(work.rotation(current, current if pending is None else pending))
    if pending is None or pending == current:
        return Outcome.TESTED_CURRENT
    progress.tested(work.arn, work.request.token, (work.report.rotator, work.report.strategy))
    return Outcome.DONE


def _finish(work: _Work) -> Outcome:
    versions, token = work.versions, work.request.token
    tested = progress.passed(work.arn, token)
    if tested is None:
        # testSecret passed in another container, or did not run: events can be sent out of order.
        pending = versions.required_pending()
        current = versions.current()
        work.rotator(current).verify(work.rotation(current, pending))
    else:
        work.report.rotator, work.report.strategy = tested
    replaced = versions.holder(Stage.CURRENT)
    try:
        versions.store.promote(work.arn, token, replaced)
    except RequestRefused:
        # Also raised if the stage has moved already: by a second delivery, or by a call whose answer was
        # lost.
        if Versions.of(versions.store, work.arn, token).may_act():
            raise
        return Outcome.ALREADY_CURRENT
    work.report.moved.append(StageMove(Stage.CURRENT, replaced, token))
    return Outcome.DONE


_STEPS: dict[Step, Callable[[_Work], Outcome]] = {
    Step.CREATE: _create,
    Step.SET: _set,
    Step.TEST: _test,
    Step.FINISH: _finish,
}
