"""Does what a diagnosis says: moves labels, or makes the target accept the current value again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import NoCurrentValue, RepairRefused
from rotators.core.past import StoredPast
from rotators.core.redaction import guarded
from rotators.core.registry import load, rotator_name
from rotators.core.rotation import Rotation
from rotators.core.states import Stage, holder
from rotators.recovery.diagnosis import Act, Diagnosis, Move
from rotators.strategies.database import DatabaseRotator

if TYPE_CHECKING:
    from rotators.core.contracts import SecretState, Store
    from rotators.core.settings import Settings


def repair(store: Store, settings: Settings, arn: str, current: str | None, diagnosis: Diagnosis) -> None:
    """Do what a diagnosis says, in its order; each act may be repeated.

    Args:
        store: the gateway to Secrets Manager.
        settings: as the rotation function has them.
        arn: the secret's.
        current: the version that had AWSCURRENT when the diagnosis was made; None if none had.
        diagnosis: of this secret, just made.

    Raises:
        RepairRefused: the diagnosis names nothing that is sure to lose nothing; a human has to act.
        VersionConflict, RequestRefused: a label moved since the diagnosis; make a new one.
        RotatorFailure, StoreError: an act failed; nothing is lost, repeat it.
    """
    refuse_unsure(diagnosis)
    for act in diagnosis.acts:
        if act.move is Move.PROMOTE:
            # From where it was: if somebody moved the label meanwhile, the service refuses.
            store.promote(arn, act.version, current)
        elif act.move is Move.DROP_PENDING:
            _drop_pending(arn, act)
        else:
            _reset(store, settings, store.describe(arn))


def refuse_unsure(diagnosis: Diagnosis) -> None:
    """Stop where a human has to act.

    Raises:
        RepairRefused: something is wrong, and nothing is sure to mend it; the action is the remedy.
    """
    if not diagnosis.acts and not diagnosis.healthy:
        raise RepairRefused(diagnosis.sentence.rstrip("."), remedy=diagnosis.action, reason=diagnosis.state)


def _drop_pending(arn: str, act: Act) -> None:
    with translated("UpdateSecretVersionStage", arn):
        clients.secrets_manager().update_secret_version_stage(
            SecretId=arn, VersionStage=Stage.PENDING, RemoveFromVersionId=act.version
        )


def _reset(store: Store, settings: Settings, state: SecretState) -> None:
    """Run setSecret's act with the current value as the one to set; it finds the login that works."""
    version = holder(state.stages, Stage.CURRENT)
    current = store.value(state.arn, version) if version else None
    if current is None:
        raise NoCurrentValue("the secret has no AWSCURRENT version that holds a value")
    rotator = load(rotator_name(current, settings))
    if isinstance(rotator, DatabaseRotator):
        # The others would set a second user's or a second password, and it is this one that is to work.
        current = current.replace(strategy="single")
    seen = set(current.sensitive())
    rotation = Rotation(current, settings, current, StoredPast(store, state, current, seen))
    guarded(lambda: rotator.apply(rotation), lambda: seen)
