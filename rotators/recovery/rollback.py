"""Returns to an older version of a secret: the target and the stage AWSCURRENT move together.

The wanted version is tried first. If it logs in at every address, only the stage moves. Otherwise the
rotator's setSecret logs in with the current value or as the admin and sets it, the value is tested, and then
the stage moves. This is the order of a rotation, so an interrupted rollback is like an interrupted rotation:
the target accepts a stored version, and a repeated rollback, a repair or the next rotation continues.

AWSPENDING, which may remain on the current version after a rotation, is removed first. If AWSCURRENT were on
another version, AWSPENDING would mean a running rotation, and Secrets Manager would set its value again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.aws.secrets import drop_pending
from rotators.aws.views import SecretView, read_secret
from rotators.core.contracts import declared_members, public_members
from rotators.core.errors import (
    CredentialsRejected,
    RequestRefused,
    SealedValueError,
    SecretDeleted,
    SecretFormatError,
    SecretManagedByService,
    VersionConflict,
)
from rotators.core.progress import Rejected
from rotators.core.redaction import masking
from rotators.core.rotation import Rotation, Versions, failed_look_up
from rotators.core.secret import PUBLIC_KEYS
from rotators.core.states import Stage
from rotators.logins.target import USER_KEYS, differing_keys, direct, same_target
from rotators.recovery.diagnosis import Act, Move
from rotators.recovery.errors import RollbackRefused
from rotators.recovery.faults import rotator_of
from rotators.strategies.engine import previous_hours_of
from rotators.strategies.rotator import engine_of, strategy_of

if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.core.store import Store
    from rotators.strategies.engine import Engine


@dataclass(frozen=True)
class RollbackPlan:
    """The changes of a rollback.

    Attributes:
        name, arn: of the secret.
        current: version that has AWSCURRENT.
        wanted: version that gets it.
        reason: reason for these changes, and the result, in words.
        acts: the changes, in order; empty if the wanted version is the current one. AWSPENDING is removed
            from the current version, where a complete rotation left it.
    """

    name: str
    arn: str
    current: str
    wanted: str
    reason: str
    acts: tuple[Act, ...]


@dataclass
class Rollback:
    """One rollback of one secret.

    Args:
        store: gateway to Secrets Manager.
        settings: settings of the rotation function.
        secret: name or ARN of the secret.
        version: id of the wanted version; None for the one with AWSPREVIOUS.

    Attributes:
        made: the changes that `run` has made.
        begun: the last kind of change that `run` has begun. If it was stopped there, it may have been made.
    """

    store: Store
    settings: Settings
    secret: str
    version: str | None = None
    made: list[Act] = field(default_factory=list, init=False)
    begun: Move | None = field(default=None, init=False)
    _versions: Versions | None = field(default=None, init=False, repr=False)
    _logins: _Logins | None = field(default=None, init=False, repr=False)
    _rotates: bool = field(default=False, init=False)

    def plan(self) -> RollbackPlan:
        """Plan the rollback. It tries to log in with the wanted version, and changes nothing.

        Returns:
            The plan.

        Raises:
            RollbackRefused: the rollback could lose a credential, or would have no effect.
            RotatorFailure: the target could not check the wanted version.
            StoreError, RegistryError: the secret cannot be read, or its rotator cannot be loaded.
        """
        view = read_secret(self.secret)
        current, wanted = self._versions_of(view)
        self._rotates = view.rotation_enabled or view.function_arn is not None
        if wanted == current:
            return RollbackPlan(view.name, view.arn, current, wanted, "it already has AWSCURRENT", ())
        versions = self._versions = _Unmoved(self.store, view.state)
        with masking(versions.seen):
            reason, sets = self._judged(versions, current, wanted)
        acts = [Act(Move.SET, wanted), Act(Move.PROMOTE, wanted)] if sets else [Act(Move.PROMOTE, wanted)]
        if versions.holder(Stage.PENDING) == current:
            acts.insert(0, Act(Move.DROP_PENDING, current))
        return RollbackPlan(view.name, view.arn, current, wanted, reason, tuple(acts))

    def run(self, plan: RollbackPlan) -> None:
        """Make the changes of a plan. After an interruption, repeat it with a new plan.

        Args:
            plan: result of `plan`, made directly before.

        Raises:
            VersionConflict, RequestRefused: a stage moved since the plan; make a new one.
            RotatorFailure, StoreError: a change failed. No credential is lost; repeat the command.
        """
        if self._versions is not None:
            self._versions.confirm()
        for act in plan.acts:
            self.begun = act.move
            self._make(act.move, plan)
            self.made.append(act)

    def _make(self, move: Move, plan: RollbackPlan) -> None:
        if move is Move.DROP_PENDING:
            drop_pending(plan.arn, plan.current)
        elif move is Move.PROMOTE:
            self._promote(plan)
        elif self._logins is not None:
            with masking(self._logins.versions.seen):
                self._logins.set()
            self._logins.versions.confirm()  # a rotation may have begun during the logins

    def _promote(self, plan: RollbackPlan) -> None:
        try:
            self.store.promote(plan.arn, plan.wanted, plan.current)
        except RequestRefused:
            # The service also answers this to a repeated call whose first answer was lost.
            if Versions.of(self.store, plan.arn).holder(Stage.CURRENT) != plan.wanted:
                raise

    def _versions_of(self, view: SecretView) -> tuple[str, str]:
        """Return the ids of the current and of the wanted version, if a rollback is allowed now."""
        if view.deleted:
            raise SecretDeleted(f"the secret is scheduled for deletion ({view.deleted:%Y-%m-%d})")
        if view.primary_region:
            raise RollbackRefused(
                "this is a replica; its versions follow the primary secret",
                remedy=f"Run `rotators rollback {view.primary_arn}`.",
                reason="replica",
            )
        if view.owner:
            raise SecretManagedByService(f"the secret belongs to {view.owner}, which rotates it itself")
        current, pending = view.holder(Stage.CURRENT), view.holder(Stage.PENDING)
        if current is None or pending not in {None, current}:
            fault = "a rotation is in progress or was interrupted" if current else "no version has AWSCURRENT"
            raise RollbackRefused(
                f"{fault}; a rollback could undo its changes",
                remedy=(
                    f"Run `rotators doctor {self.secret}`; run `rotators repair {self.secret}` if "
                    "doctor advises it."
                ),
                reason="rotation-under-way" if current else "no-current",
            )
        wanted = view.holder(Stage.PREVIOUS) if self.version is None else self.version
        known = {each.id for each in view.versions}
        if wanted is None:
            raise RollbackRefused("no version has AWSPREVIOUS", reason="no-version")
        if wanted not in known and not view.unlisted:
            raise RollbackRefused("the secret has no version with this id", reason="no-version")
        return current, wanted

    def _judged(self, versions: Versions, current: str, wanted: str) -> tuple[str, bool]:
        """Return the reason of the plan, and True if the target must be set."""
        old, new = self._value(versions, current), self._value(versions, wanted)
        if not self.settings.rotator and all(value is None or "engine" not in value for value in (old, new)):
            self._require_no_rotation()
            return "only the stage moves: the secret names no engine, so no target is tried or set", False
        if old is None or new is None:
            raise RollbackRefused(
                "one of the two versions is not a JSON object, and the other one names an engine",
                remedy=f"Run `rotators doctor {self.secret}`.",
                reason="unreadable",
            )
        if old.get("engine") != new.get("engine"):
            raise RollbackRefused("the wanted version names another engine", reason="other-target")
        rotator = rotator_of(old, self.settings)
        versions.seen.members = declared_members(rotator)
        engine = engine_of(rotator)
        if engine is None:
            _require_login(rotator, Rotation(old, self.settings, new, versions=versions))
            return "only the stage moves: the custom rotator accepts the wanted version", False
        self._require_same_target(old, new, rotator, engine)
        _refuse_unprovable(old, new, engine)
        return self._judged_by_login(rotator, engine, versions, old, new)

    def _judged_by_login(
        self, rotator: Rotator, engine: Engine, versions: Versions, old: Secret, new: Secret
    ) -> tuple[str, bool]:
        # Alternating tests the other user of a pair; the same user's value is tested as in a trial run.
        in_place = strategy_of(old, engine) == "alternating" and _same_user(old, new)
        logins = _Logins(rotator, engine, versions, self.settings, new if in_place else old, new)
        if logins.accepted():
            return _effect(old, new, engine), False
        if in_place:
            raise RollbackRefused(
                f"the target rejects the wanted version, and strategy alternating changes no password in"
                f" place: {new.get('username')!r} is the current user of both versions",
                remedy=(
                    f"Roll back to a version of the other user; `rotators doctor {self.secret}` shows "
                    "which versions log in."
                ),
                reason="same-user",
            )
        self._logins = logins
        return "the target rejects the wanted version", True

    def _require_no_rotation(self) -> None:
        """Require that no function rotates the secret: its setting ROTATOR may name a rotator."""
        if self._rotates:
            raise RollbackRefused(
                "the secret names no engine, and a function rotates it, so its target is not known",
                remedy="Set ROTATOR to the value that the function has, then repeat the command.",
                reason="no-rotator",
            )

    def _value(self, versions: Versions, version: str) -> Secret | None:
        """Return a value; None if it is not a JSON object. A sealed value is opened first."""
        try:
            value = versions.value(version)
        except SecretFormatError as error:
            if isinstance(error, SealedValueError) or failed_look_up(error):
                raise
            return None
        if value is None:
            raise RollbackRefused(f"the version {version} has no value", reason="no-value")
        return value

    def _require_same_target(self, old: Secret, new: Secret, rotator: Rotator, engine: Engine) -> None:
        keys = PUBLIC_KEYS.union(public_members(rotator))
        if not _same_user(old, new):
            keys -= USER_KEYS
        differing = differing_keys(new, old, keys, engine)
        if differing or not same_target(new, old, engine, self.settings):
            differs = ", ".join(differing) or "its address or TLS settings"
            raise RollbackRefused(
                f"the wanted version belongs to another target ({differs})", reason="other-target"
            )


class _Unmoved(Versions):
    """Versions whose stages must still be those of the plan directly before a change of the target."""

    def confirm(self) -> None:
        """Check the stages.

        Raises:
            VersionConflict: AWSCURRENT moved, or a rotation has begun.
        """
        now = Versions.of(self.store, self.state.arn)
        current = self.holder(Stage.CURRENT)
        if now.holder(Stage.CURRENT) != current or now.holder(Stage.PENDING) not in {None, current}:
            raise VersionConflict(
                "a stage moved since the plan, so AWSCURRENT was not moved",
                remedy="Run `rotators doctor SECRET`, which shows the version that the target accepts.",
            )


@dataclass
class _Logins:
    """The rotator's test and setSecret, from the current value to the wanted one."""

    rotator: Rotator
    engine: Engine
    versions: Versions
    settings: Settings
    old: Secret = field(repr=False)
    new: Secret = field(repr=False)
    rejected: Rejected = field(default_factory=Rejected, init=False, repr=False)

    def accepted(self) -> bool:
        """Return True if the wanted value logs in at every address of the target."""
        try:
            self._test()
        except CredentialsRejected:
            # Servers count rejected logins, so this one counts towards MAX_REJECTED_LOGINS of `set`.
            self.rejected.add(self.engine.credential.of(self.new))
            return False
        return True

    def set(self) -> None:
        """Make the target accept the wanted value, and test it."""
        rotation = Rotation(self.old, self.settings, self.new, rejected=self.rejected, versions=self.versions)
        self.rotator.apply(rotation)
        self._test()

    def _test(self) -> None:
        """Log in like testSecret.

        A pooler at ``host`` may still accept a password that the server itself rejects.
        """
        self._verify(self.old, self.new)
        server = direct(self.new, self.engine)
        if server != self.new:
            self._verify(direct(self.old, self.engine), server)

    def _verify(self, old: Secret, new: Secret) -> None:
        self.rotator.verify(Rotation(old, self.settings, new, versions=self.versions))


def _require_login(rotator: Rotator, rotation: Rotation) -> None:
    """Require that a custom rotator accepts the wanted version: its setSecret may not set older values."""
    try:
        rotator.verify(rotation)
    except CredentialsRejected as error:
        raise RollbackRefused(
            "the target rejects the wanted version, and a custom rotator does not set older versions",
            remedy=(
                "Set its credential on the target yourself, then repeat the command; or rotate to a "
                "new value."
            ),
            reason="rejected",
        ) from error


def _refuse_unprovable(old: Secret, new: Secret, engine: Engine) -> None:
    """Refuse the rollback if a login would not show which of the two credentials is set."""
    credential = engine.credential.of
    if previous_hours_of(engine) and not (credential(old) == credential(new) and _same_user(old, new)):
        raise RollbackRefused(
            (
                "this server accepts the previous password for some time, so a login does not show "
                "which password is set"
            ),
            remedy="Rotate to a new value.",
            reason="previous-accepted",
        )


def _same_user(old: Secret, new: Secret) -> bool:
    return old.get("username") == new.get("username")


def _effect(old: Secret, new: Secret, engine: Engine) -> str:
    """Return, in words, why only the stage moves, and which value the applications use afterwards."""
    strategy, user = strategy_of(old, engine), new.get("username")
    if strategy == "alternating" and not _same_user(old, new):
        return (
            f"the wanted version logs in, so only the stage moves: {user!r} becomes the current user, and"
            f" {old.get('username')!r} keeps its password until the next rotation"
        )
    if strategy == "dual":
        return (
            f"the wanted version logs in, so only the stage moves: both passwords of {user!r} work, "
            "and the older one becomes current"
        )
    return "the wanted version logs in, so only the stage moves"


def left(plan: RollbackPlan, begun: Move | None) -> str:
    """Return the state after a stopped rollback, in words.

    Args:
        plan: plan of the rollback.
        begun: kind of the change that was interrupted; None before the first one.
    """
    if begun is Move.PROMOTE:
        accepted = ", which the target accepts" if Act(Move.SET, plan.wanted) in plan.acts else ""
        return f"AWSCURRENT is on version {plan.current}, or already on {plan.wanted}{accepted}"
    target = f"may already accept version {plan.wanted}" if begun is Move.SET else "was not changed"
    return f"the command did not move AWSCURRENT from version {plan.current}; the target {target}"


def document(plan: RollbackPlan) -> dict[str, Any]:
    """Return a plan as JSON types, without a value of the secret.

    Args:
        plan: plan of a rollback.

    Returns:
        The plan's attributes by name; ``acts`` are texts.
    """
    return {**vars(plan), "acts": [str(act.move) for act in plan.acts]}
