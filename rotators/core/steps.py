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

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from rotators.core.contracts import Rotator, SecretState, Store
from rotators.core.errors import NoCurrentValue, PendingHasNoValue, RequestRefused, VersionConflict
from rotators.core.past import StoredPast
from rotators.core.progress import Moment, progress
from rotators.core.redaction import guarded
from rotators.core.request import RotationRequest, Step
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.core.states import Stage, Verdict, holder, verdict

if TYPE_CHECKING:
    from rotators.core.settings import Settings

Choose = Callable[[Secret], Rotator]
"""Gives the rotator for a secret's value."""

LABELS_SECONDS = 5.0
"""How old the labels may be when the target is changed.

A change that begins right after the check ends within the limit of a session (six seconds for
databases), so a late step can act for eleven seconds at most after a later rotation has begun.
"""


class Outcome(StrEnum):
    """How a step that did not fail ended."""

    DONE = "done"
    ALREADY_STORED = "already-stored"
    ALREADY_CURRENT = "already-current"
    TESTED_CURRENT = "tested-current"


@dataclass(frozen=True)
class _Work:
    """What the four steps share: the request behind the gate, and the values on demand."""

    request: RotationRequest
    state: SecretState
    store: Store
    choose: Choose
    settings: Settings
    seen: set[str] = field(repr=False)
    rejections: list[str]
    read_at: list[Moment] = field(default_factory=lambda: [Moment.now()])
    """When the labels were last read; one item."""

    def value(self, version: str) -> Secret | None:
        return self._noted(self.store.value(self.state.arn, version))

    def current(self) -> Secret:
        version = holder(self.state.stages, Stage.CURRENT)
        value = self.value(version) if version else None
        if value is None:
            raise NoCurrentValue("the secret has no AWSCURRENT version that holds a value")
        return value

    def pending(self) -> Secret | None:
        return self.value(self.request.token)

    def rotation(self, current: Secret, proposed: Secret | None) -> Rotation:
        past = StoredPast(self.store, self.state, current, self.seen, self.confirm)
        untouched = self.request.step is Step.SET and progress.begin_set(self.state.arn, self.request.token)
        holds = holder(self.state.stages, Stage.CURRENT)
        rejected = progress.rejected(self.state.arn, self.request.token, holds)
        return Rotation(current, self.settings, proposed, past, untouched, self.rejections, rejected)

    def confirm(self) -> None:
        now = Moment.now()
        if self.read_at[0].age() < LABELS_SECONDS:
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

    def _noted(self, value: Secret | None) -> Secret | None:
        if value is not None:
            self.seen.update(value.sensitive())
        return value


def run_step(
    request: RotationRequest,
    store: Store,
    choose: Choose,
    settings: Settings,
    rejections: list[str] | None = None,
) -> Outcome:
    """Run one step of a rotation.

    Args:
        request: the checked event.
        store: the gateway to Secrets Manager.
        choose: gives the rotator for the secret's value; called once at most.
        settings: the function's environment.
        rejections: gets the name of each stored value that the target rejected, also if the step fails.

    Returns:
        How it ended; every member of Outcome is a success for Secrets Manager.

    Raises:
        RotationStateError: the labels forbid the step; nothing was done.
        RotatorFailure, StoreError, RegistryError, InvalidInput: the step failed. Secrets Manager repeats
            the rotation; every step may be repeated. No error shows a value of the secret.
    """
    state = store.describe(request.secret_id)
    if _gate(request, state) is not Verdict.PROCEED:
        return Outcome.ALREADY_CURRENT
    work = _Work(request, state, store, choose, settings, set(), [] if rejections is None else rejections)
    return guarded(lambda: _STEPS[request.step](work), lambda: work.seen)


def _create(work: _Work) -> Outcome:
    current = work.current()
    rotator = work.choose(current)
    if work.pending() is not None:
        return Outcome.ALREADY_STORED
    proposed = rotator.propose(work.rotation(current, None))
    work.seen.update(proposed.sensitive())
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
    current = work.current()
    pending = _required(work.pending())
    work.choose(current).apply(work.rotation(current, pending))
    return Outcome.DONE


def _test(work: _Work) -> Outcome:
    """Test the pending value; in the service's trial run (RotateImmediately=false) the current one.

    In a trial only testSecret is called, with AWSPENDING on an empty version or on a copy of the current
    value (API:RotateSecret). An empty one cannot be promoted by mistake: finishSecret refuses it.
    """
    current = work.current()
    pending = work.pending()
    work.choose(current).verify(work.rotation(current, current if pending is None else pending))
    if pending is None or pending == current:
        return Outcome.TESTED_CURRENT
    progress.tested(work.state.arn, work.request.token)
    return Outcome.DONE


def _finish(work: _Work) -> Outcome:
    pending = _required(work.pending())
    if progress.passed(work.state.arn, work.request.token):
        work.choose(pending)  # for the log; the rotator has no part in this step
    else:
        # Either another container saw testSecret pass, or no container did: events can be sent out of order.
        current = work.current()
        work.choose(current).verify(work.rotation(current, pending))
    try:
        work.store.promote(work.state.arn, work.request.token, holder(work.state.stages, Stage.CURRENT))
    except RequestRefused:
        # Also said when the label moved already: by a second delivery, or a call whose answer was lost.
        if _gate(work.request, work.store.describe(work.request.secret_id)) is Verdict.PROCEED:
            raise
        return Outcome.ALREADY_CURRENT
    return Outcome.DONE


def _gate(request: RotationRequest, state: SecretState) -> Verdict:
    return verdict(enabled=state.rotation_enabled, stages=state.stages, token=request.token)


def _required(pending: Secret | None) -> Secret:
    if pending is None:
        raise PendingHasNoValue("the version is AWSPENDING but createSecret has not stored a value in it")
    return pending


_STEPS: dict[Step, Callable[[_Work], Outcome]] = {
    Step.CREATE: _create,
    Step.SET: _set,
    Step.TEST: _test,
    Step.FINISH: _finish,
}
