"""Applies a diagnosis: moves stages, or makes the target accept the current value again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.aws.secrets import drop_pending
from rotators.core.audit import StageMove
from rotators.core.contracts import declared_members
from rotators.core.errors import NoCurrentValue, SecretFormatError, VersionConflict
from rotators.core.redaction import masking
from rotators.core.registry import load, rotator_name
from rotators.core.rotation import Rotation, Versions
from rotators.core.states import Stage
from rotators.recovery.diagnosis import Act, Diagnosis, Move
from rotators.recovery.errors import RepairRefused
from rotators.strategies.identity import proven_admin
from rotators.strategies.rotator import engine_of
from rotators.strategies.single import require_reset_helps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.core.store import Store
    from rotators.strategies.engine import Engine


def repair(  # noqa: PLR0913, PLR0917 - what a repair needs, and its result
    store: Store,
    settings: Settings,
    arn: str,
    current: str | None,
    diagnosis: Diagnosis,
    made: list[Act],
) -> None:
    """Do the acts of a diagnosis, in their order. Each act may be repeated.

    Args:
        store: gateway to Secrets Manager.
        settings: settings of the rotation function.
        arn: ARN of the secret.
        current: version that had AWSCURRENT when the diagnosis was made; None if none had.
        diagnosis: diagnosis of this secret, just made.
        made: gets each act that was done, also if a later one fails.

    Raises:
        RepairRefused: the diagnosis has no act that certainly keeps every credential; a person has to act.
        VersionConflict, RequestRefused: a stage moved since the diagnosis; make a new one.
        RotatorFailure, StoreError: an act failed. No credential is lost; the caller may repeat the repair.
    """
    refuse_unsure(diagnosis)
    for act in diagnosis.acts:
        if act.move is Move.PROMOTE:
            # From the version of the diagnosis: if the stage was moved meanwhile, the service refuses.
            store.promote(arn, act.version, current)
        elif act.move is Move.DROP_PENDING:
            drop_pending(arn, act.version)
        else:
            versions = Versions.of(store, arn)
            with masking(versions.seen):
                _reset(versions, settings, act)
        made.append(act)


def moves(made: Iterable[Act], current: str | None) -> list[StageMove]:
    """Return the stages that acts have moved.

    Args:
        made: the acts that were done.
        current: version that had AWSCURRENT before.

    Returns:
        One move for each act that moved a stage, in the same order.
    """
    moved = []
    for act in made:
        if act.move is Move.PROMOTE:
            moved.append(StageMove(Stage.CURRENT, current, act.version))
        elif act.move is Move.DROP_PENDING:
            moved.append(StageMove(Stage.PENDING, act.version))
    return moved


def refuse_unsure(diagnosis: Diagnosis) -> None:
    """Raise an error if a person has to act.

    Args:
        diagnosis: diagnosis of a secret.

    Raises:
        RepairRefused: there is a fault, and no change certainly keeps every credential; the remedy is the
            action.
    """
    if not diagnosis.acts and not diagnosis.healthy:
        raise RepairRefused(diagnosis.sentence.rstrip("."), remedy=diagnosis.action, reason=diagnosis.state)


class _OnlyAdmin(Versions):
    """Versions without older values, so that a rotation tries only the given credential and the admin's."""

    def previous(self) -> None:
        """No value."""

    def lost(self) -> Iterator[Secret]:
        """No values."""
        return iter(())

    def history(self) -> Iterator[Secret]:
        """No values."""
        return iter(())


def _reset(versions: Versions, settings: Settings, act: Act) -> None:
    """Set the target's password to that of AWSCURRENT, with the login that the diagnosis found.

    Raises:
        VersionConflict: AWSCURRENT moved since the diagnosis.
        NoCurrentValue: the version no longer has a value.
        RotatorFailure, StoreError: the password was not set.
    """
    if versions.holder(Stage.CURRENT) != act.version:
        raise VersionConflict("AWSCURRENT moved since the diagnosis; nothing was changed")
    current = _value(versions, act.version)
    rotator = load(rotator_name(current, settings))
    versions.seen.members = declared_members(rotator)
    engine, rotation = engine_of(rotator), Rotation(current, settings, current, versions=versions)
    if engine is None:
        rotator.apply(rotation)
    elif act.login is None:
        _reset_by_admin(engine, rotation, versions, act.rejected)
    else:
        # This is a rotation from the value that logs in to the current one. No other value is tried.
        # The admin sets the credential if this user may not change its own.
        offered = [each.name for each in engine.strategies]
        one_user = current.replace(strategy="single" if "single" in offered else offered[0])
        accepted = _value(versions, act.login)
        working = one_user.replace(**{key: accepted[key] for key in engine.credential.fields})
        others = _OnlyAdmin(versions.store, versions.state, seen=versions.seen)
        rotator.apply(Rotation(working, settings, one_user, versions=others))


def _reset_by_admin(engine: Engine, rotation: Rotation, versions: Versions, rejected: Iterable[str]) -> None:
    admin, current = proven_admin(rotation, engine), rotation.current
    if admin is None:
        raise SecretFormatError("the secret no longer names a masterarn")
    credentials = [engine.credential.of(_value(versions, version)) for version in rejected]
    with engine.login(admin, rotation.settings) as session:
        require_reset_helps(session, current, credentials)
        session.set_credential(current.text("username"), engine.credential.of(current))


def _value(versions: Versions, version: str) -> Secret:
    value = versions.value(version)
    if value is None:
        raise NoCurrentValue(f"the version {version} no longer has a value")
    return value
