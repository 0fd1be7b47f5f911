"""One step of one rotation: the gate, then what the step does. Nothing else may call the store's writes.

The order of writes is what survives a crash (docs/architecture.md, "Why no crash loses a credential"):

- createSecret stores the new value before anybody shows it to the target, and never replaces one that is
  stored: after a crash the target may already have it.
- setSecret works from stored values only, so it can be repeated with the same token, and a rotation with
  a *new* token finds the older value among the versions.
  The labels are read again right before a change of the target, unless they were read a moment ago.
- finishSecret moves one label in one call. Before it there is nothing to undo, after it nothing to do. It
  promotes a value only after testSecret has passed: a container that did not see that tests it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from rotators.core.errors import RequestRefused, VersionConflict
from rotators.core.finder import MASK
from rotators.core.progress import Moment, Tested, progress
from rotators.core.redaction import masking
from rotators.core.registry import load, rotator_name, strategy_name
from rotators.core.request import RotationRequest, Step
from rotators.core.states import Stage, Verdict, holder, verdict
from rotators.core.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.contracts import Rotator, SecretState, Store
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

STAGES_SECONDS = 5.0
"""How old the stages may be when the target is changed.

A change that begins right after the check ends within the limit of a session (six seconds for
databases), so a late step can act for eleven seconds at most after a later rotation has begun.
"""


class Outcome(StrEnum):
    """How a step that did not fail ended."""

    DONE = "done"
    ALREADY_STORED = "already-stored"
    ALREADY_CURRENT = "already-current"
    TESTED_CURRENT = "tested-current"


@dataclass
class Report:
    """The names and counts of a step for the log, also of a step that failed. It shows no value of a secret.

    Attributes:
        rotator: the rotator's name; empty if none was chosen.
        strategy: the strategy's name; empty if no rotator was chosen.
        rejections: the name of each stored value that the target rejected.
    """

    rotator: str = ""
    strategy: str = ""
    rejections: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Work:
    """The data of a step: the request that passed the gate, and the secret's versions."""

    request: RotationRequest
    versions: Versions
    settings: Settings
    report: Report
    given: Rotator | None
    read_at: list[Moment] = field(default_factory=lambda: [Moment.now()])
    """When the stages were last read; one item."""

    @property
    def store(self) -> Store:
        return self.versions.store

    @property
    def state(self) -> SecretState:
        return self.versions.state

    def rotator(self, secret: Secret) -> Rotator:
        """The rotator for a value; the report gets its name and the strategy's."""
        private = secret.sensitive()
        name = type(self.given).__name__ if self.given else rotator_name(secret, self.settings)
        strategy = strategy_name(secret)
        self.report.rotator, self.report.strategy = (
            MASK if each in private else each for each in (name, strategy)
        )
        return self.given or load(name)

    def pending(self) -> Secret | None:
        return self.versions.value(self.request.token)

    def rotation(self, current: Secret, proposed: Secret | None) -> Rotation:
        arn, token = self.state.arn, self.request.token
        holds = holder(self.state.stages, Stage.CURRENT)
        return replace(
            self.versions.rotation(self.settings, current, proposed),
            untouched=self.request.step is Step.SET and progress.begin_set(arn, token),
            rejections=self.report.rejections,
            rejected=progress.rejected(arn, token, holds),
            check_stages=self.confirm,
        )

    def confirm(self) -> None:
        now = Moment.now()
        if self.read_at[0].age() < STAGES_SECONDS:
            return
        state = self.store.describe(self.request.secret_id)
        _gate(self.request, state)
        holds = holder(state.stages, Stage.CURRENT)
        begun = holder(state.stages, Stage.PENDING)
        if begun not in {None, self.request.token}:
            raise VersionConflict("another rotation has begun meanwhile; the target was not changed")
        if holds not in {holder(self.state.stages, Stage.CURRENT), self.request.token}:
            raise VersionConflict("AWSCURRENT moved while the step was running; the target was not changed")
        self.read_at[0] = now


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
        report: is filled in, also if the step fails.
        rotator: used for every secret; by default the one that ROTATOR or the secret names.

    Returns:
        How it ended; every member of Outcome is a success for Secrets Manager.

    Raises:
        RotationStateError: the stages forbid the step; nothing was done.
        RotatorFailure, StoreError, RegistryError, InvalidInput: the step failed. Secrets Manager repeats
            the rotation; every step may be repeated. No error shows a value of the secret.
    """
    state = store.describe(request.secret_id)
    if _gate(request, state) is not Verdict.PROCEED:
        return Outcome.ALREADY_CURRENT
    work = _Work(request, Versions(store, state), settings, report, rotator)
    with masking(work.versions.seen):
        return _STEPS[request.step](work)


def _create(work: _Work) -> Outcome:
    current = work.versions.current()
    rotator = work.rotator(current)
    if work.pending() is not None:
        return Outcome.ALREADY_STORED
    proposed = rotator.propose(work.rotation(current, None))
    work.versions.seen.update(proposed.sensitive())
    try:
        work.store.put_pending(work.state.arn, work.request.token, proposed, work.request.rotation_token)
    except VersionConflict:
        # The same step was delivered twice, and the other one was faster: its value is the one to keep.
        if work.pending() is None:
            raise
        return Outcome.ALREADY_STORED
    progress.stored(work.state.arn, work.request.token)
    return Outcome.DONE


def _set(work: _Work) -> Outcome:
    current = work.versions.current()
    pending = work.versions.required(work.request.token)
    work.rotator(current).apply(work.rotation(current, pending))
    return Outcome.DONE


def _test(work: _Work) -> Outcome:
    """Test the pending value; in the service's trial run (RotateImmediately=false) the current one.

    In a trial only testSecret is called, with AWSPENDING on an empty version or on a copy of the current
    value (API:RotateSecret). An empty one cannot be promoted by mistake: finishSecret refuses it.
    """
    current = work.versions.current()
    pending = work.pending()
    work.rotator(current).verify(work.rotation(current, current if pending is None else pending))
    if pending is None or pending == current:
        return Outcome.TESTED_CURRENT
    progress.tested(work.state.arn, work.request.token, Tested(work.report.rotator, work.report.strategy))
    return Outcome.DONE


def _finish(work: _Work) -> Outcome:
    tested = progress.passed(work.state.arn, work.request.token)
    if tested is None:
        # Either another container saw testSecret pass, or no container did: events can be sent out of order.
        pending = work.versions.required(work.request.token)
        current = work.versions.current()
        work.rotator(current).verify(work.rotation(current, pending))
    else:
        work.report.rotator, work.report.strategy = tested
    try:
        work.store.promote(work.state.arn, work.request.token, holder(work.state.stages, Stage.CURRENT))
    except RequestRefused:
        # Also said when the stage moved already: by a second delivery, or a call whose answer was lost.
        if _gate(work.request, work.store.describe(work.request.secret_id)) is Verdict.PROCEED:
            raise
        return Outcome.ALREADY_CURRENT
    return Outcome.DONE


def _gate(request: RotationRequest, state: SecretState) -> Verdict:
    return verdict(enabled=state.rotation_enabled, stages=state.stages, token=request.token)


_STEPS: dict[Step, Callable[[_Work], Outcome]] = {
    Step.CREATE: _create,
    Step.SET: _set,
    Step.TEST: _test,
    Step.FINISH: _finish,
}
