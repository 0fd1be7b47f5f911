"""Document of `rotators doctor`: a secret's state, determined here or in the operate function.

It contains only JSON types, so that both ways print the same. It never contains a value of a secret.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rotators.aws import clients
from rotators.aws.failures import LoggedStep, newest_failure
from rotators.aws.views import FailedRotation, SecretView, last_failure, read_secret, steps_of
from rotators.core.audit import StageMove
from rotators.core.redaction import masked, masked_texts, masking
from rotators.core.settings import Settings
from rotators.core.states import Stage
from rotators.core.store import Store
from rotators.recovery.coverage import may_invoke
from rotators.recovery.diagnosis import Act, Diagnosis, diagnose, replica, without_effect
from rotators.recovery.examination import Examination
from rotators.recovery.findings import Findings, Trial
from rotators.recovery.mending import moves, refuse_unsure, repair

Document = dict[str, Any]

_FREE_TEXTS = ("action", "detail", "message", "next", "notes", "sentence")
_TOLD_APART = dt.timedelta(seconds=2)


@dataclass(frozen=True)
class Checkup:
    """A secret, examined together with its function and its last failure.

    Attributes:
        view: the secret without values.
        found: its versions and admin, tried.
        diagnosis: diagnosis of the findings.
        function: ``yes`` if Secrets Manager may invoke the function, else ``no``, ``unknown`` (the caller may
            not read its policy) or ``none``.
        failure: last failed rotation, with the reason that the function logged if it did; or None.
        seen: strings of all values that were read; they are masked in the document.
    """

    view: SecretView
    found: Findings
    diagnosis: Diagnosis
    function: str
    failure: FailedRotation | None
    seen: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def notes(self) -> list[str]:
        """Return obstacles for the next rotation that do not concern the stored values."""
        view, notes = self.view, [f"{remark[0].upper()}{remark[1:]}." for remark in self.found.remarks]
        if view.primary_arn is not None:
            return notes
        if not view.rotation_enabled:
            notes.append("Rotation is off, so this secret will not be rotated.")
        elif view.next_rotation is None:
            notes.append("No rotation is scheduled.")
        elif view.next_rotation < dt.datetime.now(dt.UTC):
            notes.append("The next rotation is overdue.")
        if self.function == "no":
            notes.append("Secrets Manager may not invoke the function: add lambda:InvokeFunction for it.")
        if self.found.admin not in {None, Trial.ACCEPTED, Trial.UNTRIED}:
            notes.append(f"The admin is {self.found.admin}: {self.found.admin_detail}")
        if self.found.clone and self.found.previous is not None:
            notes.append(f"The second user cannot be used: {self.found.clone}")
        return notes

    def document(self) -> Document:
        """Return everything as JSON types; times in ISO 8601, UTC."""
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
            "last_failure": self.failure and vars(self.failure),
        }
        plain: Document = json.loads(json.dumps(document, default=_iso))
        # Servers and rotators choose these texts, so they may contain a value.
        masked: Document = masked_texts(plain, self.seen, _FREE_TEXTS)
        return masked


def check_up(store: Store, settings: Settings, secret: str, *, idle: bool) -> Checkup:
    """Examine a secret together with its function and its last failure; nothing is changed.

    Args:
        store: gateway to Secrets Manager.
        settings: settings of the rotation function.
        secret: name or ARN of the secret.
        idle: True if no rotation is known to run, so that a young AWSPENDING version is judged too.

    Returns:
        The findings and the diagnosis.

    Raises:
        StoreError, RegistryError, ConfigurationError: see ``Examination.examine``.
    """
    with clients.in_region_of(secret):
        view = read_secret(secret)
        if view.primary_region and view.primary_arn:
            untried = Examination(store, settings, view, idle=True).untried(Trial.UNTRIED)
            return Checkup(view, untried, replica(view.primary_region, view.primary_arn), "unknown", None)
        failure = last_failure(view.arn)
        steps = steps_of(view, view.holder(Stage.PENDING))
        examination = Examination(store, settings, view, idle or _is_over(view, failure, steps))
        found = examination.examine()
        if failure and (logged := newest_failure(steps)):
            failure = replace(failure, message=logged.message)
        seen = frozenset(examination.seen)
        return Checkup(view, found, diagnose(found, view.id), _invocable(view), failure, seen)


@dataclass
class Mending:
    """One repair of one secret. It records what it did, also if an error or a signal stops it.

    Args:
        store: gateway to Secrets Manager.
        settings: settings of the rotation function.
        secret: name or ARN of the secret.
        idle: True if no rotation is known to run.

    Attributes:
        begun: True if a change may have been made.
    """

    store: Store
    settings: Settings
    secret: str
    idle: bool
    begun: bool = field(default=False, init=False)
    _found: Checkup | None = field(default=None, init=False, repr=False)
    _made: list[Act] = field(default_factory=list, init=False)

    def run(self, *, dry_run: bool) -> Document:
        """Examine the secret and apply the diagnosis.

        Args:
            dry_run: True to report only what would be done.

        Returns:
            The document of the secret afterwards, with the members of `told`.

        Raises:
            RepairRefused: a person has to act; nothing was changed.
            RotatorsError: see ``repair`` and ``check_up``.
        """
        found = self._found = check_up(self.store, self.settings, self.secret, idle=self.idle)
        diagnosis = found.diagnosis
        with masking(found.seen):
            refuse_unsure(diagnosis)
        if not dry_run and diagnosis.acts:
            self.begun = True
            with clients.in_region_of(found.view.arn):
                current = found.view.holder(Stage.CURRENT)
                repair(self.store, self.settings, found.view.arn, current, diagnosis, self._made)
            found = check_up(self.store, self.settings, found.view.arn, idle=True)
            found = replace(found, diagnosis=without_effect(found.diagnosis, diagnosis.acts))
        return {"dry_run": dry_run, **self.told(), **found.document()}

    @property
    def moved(self) -> list[StageMove]:
        """The stages that were moved."""
        return moves(self._made, self._found.view.holder(Stage.CURRENT)) if self._found else []

    def told(self) -> Document:
        """Return what is known so far.

        Returns:
            ``name`` and ``arn`` of the secret; ``acts``, the actions that were or would be done, and
            ``made``, those that were done, in words; ``before``: ``state`` and ``sentence`` of the
            diagnosis. Empty before the diagnosis.
        """
        if self._found is None:
            return {}
        view, diagnosis, seen = self._found.view, self._found.diagnosis, self._found.seen
        return {
            "name": view.name,
            "arn": view.arn,
            "acts": [str(act) for act in diagnosis.acts],
            "made": [str(act) for act in self._made],
            "before": {"state": diagnosis.state, "sentence": masked(diagnosis.sentence, seen)},
        }


def _is_over(view: SecretView, failure: FailedRotation | None, steps: list[LoggedStep]) -> bool:
    """Return True if the rotation to AWSPENDING is known to have failed (last step, or the service's event).

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
    # The service reports whole seconds, so an event of the same second may belong to the previous rotation.
    return failure.time - pending.created >= _TOLD_APART


def _invocable(view: SecretView) -> str:
    """Return ``yes`` if Secrets Manager may invoke the function, else ``no``, ``unknown`` or ``none``."""
    if view.function_arn is None:
        return "none"
    return {True: "yes", False: "no", None: "unknown"}[may_invoke(view.function_arn, view.arn.split(":")[4])]


def _iso(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    raise TypeError(type(value).__name__)
