"""Does what a diagnosis says: moves labels, or makes the target accept the current value again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import NoCurrentValue, RepairRefused, SecretFormatError, VersionConflict
from rotators.core.redaction import masking
from rotators.core.registry import load, rotator_name
from rotators.core.rotation import Rotation
from rotators.core.states import Stage, holder
from rotators.core.versions import Versions
from rotators.recovery.diagnosis import Act, Diagnosis, Move
from rotators.strategies.identity import proven_admin
from rotators.strategies.rotator import engine_of
from rotators.strategies.single import require_reset_helps

if TYPE_CHECKING:
    from rotators.core.contracts import SecretState, Store
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine


def repair(store: Store, settings: Settings, arn: str, current: str | None, diagnosis: Diagnosis) -> None:
    """Do what a diagnosis says, in its order; each act may be repeated.

    Args:
        store: the gateway to Secrets Manager.
        settings: as the rotation function has them.
        arn: the secret's.
        current: the version that had AWSCURRENT when the diagnosis was made; None if none had.
        diagnosis: of this secret, just made.

    Raises:
        RepairRefused: the diagnosis names nothing that is sure to lose nothing; a person has to act.
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
            _Reset(store, settings, store.describe(arn), act).run()


def refuse_unsure(diagnosis: Diagnosis) -> None:
    """Stop where a person has to act.

    Raises:
        RepairRefused: something is wrong, and no change is sure to lose nothing; the action is the remedy.
    """
    if not diagnosis.acts and not diagnosis.healthy:
        raise RepairRefused(diagnosis.sentence.rstrip("."), remedy=diagnosis.action, reason=diagnosis.state)


def _drop_pending(arn: str, act: Act) -> None:
    with translated("UpdateSecretVersionStage", arn):
        clients.secrets_manager().update_secret_version_stage(
            SecretId=arn, VersionStage=Stage.PENDING, RemoveFromVersionId=act.version
        )


class _Reset:
    """Sets the target's password to that of AWSCURRENT, with the login that the diagnosis found."""

    def __init__(self, store: Store, settings: Settings, state: SecretState, act: Act) -> None:
        self._versions, self._settings, self._act = Versions(store, state), settings, act

    def run(self) -> None:
        """Set it.

        Raises:
            VersionConflict: AWSCURRENT moved since the diagnosis.
            NoCurrentValue: it holds no value any more.
            RotatorFailure, StoreError: it was not set.
        """
        with masking(self._versions.seen):
            self._run()

    def _run(self) -> None:
        if holder(self._versions.state.stages, Stage.CURRENT) != self._act.version:
            raise VersionConflict("AWSCURRENT moved since the diagnosis; nothing was changed")
        current = self._value(self._act.version)
        rotator = load(rotator_name(current, self._settings))
        engine = engine_of(rotator)
        if engine is None:
            rotator.apply(self._versions.rotation(self._settings, current, current))
        elif self._act.login is None:
            self._by_admin(engine, current)
        else:
            # The rotation from the value that logs in to the current one, so nothing else is tried.
            one_user = current.replace(strategy="single")
            accepted = self._value(self._act.login)
            working = one_user.replace(**{key: accepted[key] for key in engine.credential.fields})
            rotator.apply(Rotation(working, self._settings, one_user))

    def _by_admin(self, engine: Engine, current: Secret) -> None:
        admin = proven_admin(self._versions.rotation(self._settings, current, current), engine)
        if admin is None:
            raise SecretFormatError("the secret names no masterarn any more")
        rejected = [engine.credential.of(self._value(version)) for version in self._act.rejected]
        with engine.login(admin, self._settings) as session:
            require_reset_helps(session, current, rejected)
            session.set_credential(current.text("username"), engine.credential.of(current))

    def _value(self, version: str) -> Secret:
        value = self._versions.value(version)
        if value is None:
            raise NoCurrentValue(f"the version {version} holds no value any more")
        return value
