"""The document that `rotators doctor` shows: a secret's state, made here or in the operate function.

It holds nothing but what JSON can hold, so that both ways print the same. It never holds a value of a secret.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.failures import LoggedStep, newest_failure
from rotators.aws.views import Failure, SecretView, last_failure, read_secret, steps_of
from rotators.core.redaction import masked, masked_texts, masking
from rotators.core.states import Stage
from rotators.recovery.coverage import may_invoke
from rotators.recovery.diagnosis import Diagnosis, diagnose, replica, without_effect
from rotators.recovery.examination import Examination
from rotators.recovery.findings import Finding, Findings, Trial
from rotators.recovery.mending import refuse_unsure, repair

if TYPE_CHECKING:
    from rotators.core.contracts import Store
    from rotators.core.settings import Settings

Document = dict[str, Any]

_FREE_TEXTS = ("action", "detail", "message", "next", "notes", "sentence")
_TOLD_APART = dt.timedelta(seconds=2)


@dataclass(frozen=True)
class Checkup:
    """A secret, examined with everything around it.

    Attributes:
        view: the secret without values.
        found: its versions and admin, tried.
        diagnosis: what follows from that.
        function: whether Secrets Manager may invoke the function: ``yes``, ``no``, ``unknown`` (the caller
            may not read its policy), ``none``.
        failure: the last failed rotation and its reason in words, or None.
        seen: the strings of all values that were read; they are masked in the document.
    """

    view: SecretView
    found: Findings
    diagnosis: Diagnosis
    function: str
    failure: tuple[Failure, str] | None
    seen: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def notes(self) -> list[str]:
        """What does not concern the stored values, and will stop the next rotation."""
        view, notes = self.view, [f"{remark[0].upper()}{remark[1:]}." for remark in self.found.remarks]
        if view.primary_arn is not None:
            return notes
        if not view.rotation_enabled:
            notes.append("Rotation is off, so nothing will rotate this secret.")
        elif view.next_rotation is None:
            notes.append("No rotation is scheduled.")
        elif view.next_rotation < dt.datetime.now(dt.UTC):
            notes.append("The next rotation is overdue.")
        if self.function == "no":
            notes.append("Secrets Manager may not invoke the function: add lambda:InvokeFunction for it.")
        if self.found.admin not in {None, Trial.ACCEPTED, Trial.UNTRIED}:
            notes.append(f"The admin is {self.found.admin}: {self.found.admin_detail}")
        if self.found.clone and self.found.previous is not None:
            notes.append(f"The second user is not usable: {self.found.clone}")
        return notes

    def document(self) -> Document:
        """Everything as JSON has it; times in ISO 8601, UTC."""
        found, diagnosis = self.found, self.diagnosis
        created = {version.id: version.created for version in self.view.versions}
        document = {
            "name": self.view.name,
            "arn": self.view.arn,
            "healthy": diagnosis.healthy,
            "state": diagnosis.state,
            "sentence": diagnosis.sentence,
            "action": diagnosis.action,
            "repair": [{"move": str(act.move), "version": act.version} for act in diagnosis.acts],
            "notes": self.notes,
            "versions": [
                {**asdict(finding), "created": created.get(finding.version)} for finding in found.versions()
            ],
            "admin": found.admin and {"login": found.admin, "detail": found.admin_detail},
            "function": self.function,
            "primary_region": self.view.primary_region,
            "rotation_enabled": self.view.rotation_enabled,
            "schedule": self.view.schedule,
            "next_rotation": self.view.next_rotation,
            "last_failure": self.failure and {**vars(self.failure[0]), "message": self.failure[1]},
        }
        plain: Document = json.loads(json.dumps(document, default=_iso))
        # Servers and rotators choose these words, so they may hold a value.
        masked: Document = masked_texts(plain, self.seen, _FREE_TEXTS)
        return masked


def check_up(store: Store, settings: Settings, secret: str, *, idle: bool) -> Checkup:
    """Examine a secret with everything around it; nothing is changed.

    Args:
        store: the gateway to Secrets Manager.
        settings: as the rotation function has them.
        secret: its name or ARN.
        idle: whether no rotation is known to run, so that a young AWSPENDING version is judged too.

    Raises:
        StoreError, RegistryError, ConfigurationError: see ``Examination.examine``.
    """
    with clients.in_region_of(secret):
        return _checked_up(store, settings, secret, idle=idle)


def _checked_up(store: Store, settings: Settings, secret: str, *, idle: bool) -> Checkup:
    view = read_secret(secret)
    if view.primary_region and view.primary_arn:
        diagnosis = replica(view.primary_region, view.primary_arn)
        return Checkup(view, _untouched(view), diagnosis, "unknown", None)
    failure = last_failure(view.arn)
    steps = steps_of(view, view.holder("AWSPENDING"))
    over = idle or _is_over(view, failure, steps)
    examination = Examination(store, settings, over)
    found = examination.examine(view.arn)
    failed = newest_failure(steps)
    why = (failed or failure).message if failure else ""
    return Checkup(
        view,
        found,
        diagnose(found, view.name),
        _invocable(view),
        (failure, why) if failure else None,
        frozenset(examination.seen),
    )


def mended(store: Store, settings: Settings, secret: str, *, idle: bool, dry_run: bool) -> Document:
    """Examine a secret and do what the diagnosis says.

    Args:
        store: the gateway to Secrets Manager.
        settings: as the rotation function has them.
        secret: its name or ARN.
        idle: whether no rotation is known to run.
        dry_run: whether to say only what would be done.

    Returns:
        The document of the secret afterwards, with ``dry_run``, ``acts`` (what was or would be done, in
        words) and ``before`` (``state`` and ``sentence`` of the diagnosis).

    Raises:
        RepairRefused: a person has to act; nothing was changed.
        RotatorsError: see ``repair`` and ``check_up``.
    """
    found = check_up(store, settings, secret, idle=idle)
    diagnosis = found.diagnosis
    with masking(found.seen):
        refuse_unsure(diagnosis)
    done = {
        "dry_run": dry_run,
        "acts": [str(act) for act in diagnosis.acts],
        "before": {"state": diagnosis.state, "sentence": masked(diagnosis.sentence, found.seen)},
    }
    if not dry_run and diagnosis.acts:
        current = found.found.current.version if found.found.current else None
        with clients.in_region_of(found.view.arn):
            repair(store, settings, found.view.arn, current, diagnosis)
        found = check_up(store, settings, found.view.arn, idle=True)
        found = replace(found, diagnosis=without_effect(found.diagnosis, diagnosis.acts))
    return {**done, **found.document()}


def _untouched(view: SecretView) -> Findings:
    """The versions of a secret of which nothing is tried."""
    all_of_them = {each.id: Finding(each.id, each.stages, Trial.UNTRIED) for each in view.versions}
    current, pending, previous = (all_of_them.get(view.holder(stage) or "") for stage in Stage)
    older = [each for each in all_of_them.values() if not {*each.stages} & {*Stage}]
    pending = pending if pending is not current else None
    return Findings(current, pending, previous, tuple(older), Trial.UNTRIED)


def _is_over(view: SecretView, failure: Failure | None, steps: list[LoggedStep]) -> bool:
    """Whether the rotation to AWSPENDING is known to have failed: its last step did, or the service said so.

    Secrets Manager stops a rotation at the first failed step, and repeats the whole rotation with the same
    token later (UG:rotate-secrets_lambda). So a step that succeeded after the failure shows that the rotation
    runs again.
    """
    pending = next((each for each in view.versions if "AWSPENDING" in each.stages), None)
    if pending is None:
        return False
    if steps and steps[-1].failure is not None:
        return True
    if failure is None or pending.created is None:
        return False
    if steps:
        return failure.time >= steps[-1].time
    # The service gives whole seconds, so an event of the same moment may be of the rotation before.
    return failure.time - pending.created >= _TOLD_APART


def _invocable(view: SecretView) -> str:
    """Whether the function's policy lets Secrets Manager invoke it."""
    if view.function_arn is None:
        return "none"
    admitted = may_invoke(view.function_arn, view.arn.split(":")[4])
    return {True: "yes", False: "no", None: "unknown"}[admitted]


def _iso(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    raise TypeError(type(value).__name__)
