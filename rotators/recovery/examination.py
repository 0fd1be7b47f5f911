"""Looks at a secret: every version is read and tried on the target, nothing is changed, no value is shown."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotators.aws.versions import all_versions
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    RotatorsError,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.redaction import guarded
from rotators.core.registry import load, rotator_name, strategy_name
from rotators.core.rotation import UNREADABLE, NoPast, Rotation
from rotators.core.secret import PUBLIC_KEYS, Secret
from rotators.core.states import Stage, holder
from rotators.recovery.findings import Finding, Findings, Trial
from rotators.strategies.alternating import SUFFIX, other_user
from rotators.strategies.database import DatabaseRotator
from rotators.strategies.identity import proven_admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rotators.core.contracts import Rotator, SecretState, Store
    from rotators.core.settings import Settings

ROTATION_MINUTES = 20
"""Four steps of a function that may take fifteen minutes in all, and the service's pauses between them."""

MOST_OLDER = 10
"""Versions without a label that are tried: each that is rejected is a failed login of the user."""

_USERS = frozenset({"username", "alternate_username"})
_TRIALS: tuple[tuple[type[RotatorsError], Trial], ...] = (
    (CredentialsRejected, Trial.REJECTED),
    (TargetUnavailable, Trial.UNREACHABLE),
    (TargetRefused, Trial.REFUSED),
    (IdentityMismatch, Trial.FOREIGN),
    (SecretFormatError, Trial.UNREADABLE),
)


@dataclass
class Examination:
    """One look at a secret.

    Args:
        store: the gateway to Secrets Manager.
        settings: as the rotation function has them.
        idle: whether somebody knows that no rotation is running now.

    Attributes:
        seen: the strings of all values that were read, to be kept out of errors.
    """

    store: Store
    settings: Settings
    idle: bool = False
    seen: set[str] = field(default_factory=set, init=False, repr=False)
    _tried: dict[str, tuple[Trial, str]] = field(default_factory=dict, init=False, repr=False)

    def examine(self, secret_id: str) -> Findings:
        """Read every version and try each credential once.

        Raises:
            StoreError: the secret cannot be described, or a value not be read for a reason other than its key
                or its form.
            RegistryError: no rotator serves the secret.
        """
        return guarded(lambda: self._examine(secret_id), lambda: self.seen)

    def _examine(self, secret_id: str) -> Findings:
        state = self.store.describe(secret_id)
        labelled = {stage: holder(state.stages, stage) for stage in Stage}
        base = next(
            (value for version in labelled.values() if (value := self._readable(state.arn, version))), None
        )
        if base is None:
            raise SecretFormatError("no labelled version of the secret holds a JSON object")
        rotator = load(rotator_name(base, self.settings))
        look = _Look(self, state, base, rotator)
        current = look.labelled(Stage.CURRENT)
        pending = None
        if labelled[Stage.PENDING] != labelled[Stage.CURRENT]:
            pending = look.labelled(Stage.PENDING)
        previous = look.labelled(Stage.PREVIOUS)
        history, unlisted = look.history()
        admin, admin_detail, twin = self._people(base, rotator)
        return Findings(current, pending, previous, history, admin, admin_detail, twin, unlisted)

    def _people(self, base: Secret, rotator: Rotator) -> tuple[Trial | None, str, str | None]:
        """What became of the admin's login, and of the look for the twin."""
        if base.get("masterarn") is None:
            return None, "", None
        try:
            admin = self.store.admin(base.text("masterarn"))
        except RotatorsError as error:
            return Trial.UNREADABLE, str(error), None
        self.seen.update(admin.sensitive())
        rotation = Rotation(base, self.settings, base, _WithAdmin(admin))
        if isinstance(rotator, DatabaseRotator):
            engine = rotator.engine
            trial, detail = tried(lambda: proven_admin(rotation, engine))
            if trial is not Trial.ACCEPTED:
                return trial, detail, None
        trial, detail = self.login(admin, rotator)
        twin = None
        if trial is Trial.ACCEPTED and isinstance(rotator, DatabaseRotator):
            twin = self._twin(base, admin, rotator)
        return trial, detail, twin

    def _twin(self, base: Secret, admin: Secret, rotator: DatabaseRotator) -> str | None:
        if strategy_name(base) != "alternating":
            return None

        def prove() -> None:
            with rotator.engine.login(admin, self.settings) as session:
                session.require_twin(base.text("username"), other_user(base, rotator.engine))

        return tried(prove)[1]

    def login(self, value: Secret, rotator: Rotator) -> tuple[Trial, str]:
        """Try a value as the service's trial run does: as current and pending at once."""
        key = value.to_string()
        if key not in self._tried:
            rotation = Rotation(value, self.settings, value, NoPast())
            self._tried[key] = tried(lambda: rotator.verify(rotation))
        return self._tried[key]

    def _readable(self, arn: str, version: str | None) -> Secret | None:
        if version is None:
            return None
        try:
            value = self.store.value(arn, version)
        except UNREADABLE:
            return None
        if value is not None:
            self.seen.update(value.sensitive())
        return value


@dataclass(frozen=True)
class _WithAdmin(NoPast):
    """A past that has nothing but an admin."""

    chief: Secret = field(repr=False)

    def admin(self) -> Secret | None:
        return self.chief


@dataclass(frozen=True)
class _Look:
    """The versions of one secret, tried by its rotator."""

    by: Examination
    state: SecretState
    base: Secret
    rotator: Rotator

    def labelled(self, stage: Stage) -> Finding | None:
        version = holder(self.state.stages, stage)
        if version is None:
            return None
        fresh = stage is Stage.PENDING and not self.by.idle and self._is_fresh(version)
        return self._finding(version, strict=stage is Stage.PENDING, fresh=fresh)

    def history(self) -> tuple[tuple[Finding, ...], bool]:
        """The versions without a label of the service's, and whether they could not be listed."""
        try:
            versions = [*self.by.store.unlabelled(self.state.arn)]
        except AccessDenied:
            return (), True
        found = [self._finding(version) for version in versions[:MOST_OLDER]]
        found += [Finding(version, (), Trial.UNTRIED) for version in versions[MOST_OLDER:]]
        return tuple(found), False

    def _finding(self, version: str, *, strict: bool = False, fresh: bool = False) -> Finding:
        stages = tuple(sorted(self.state.stages.get(version, ())))
        try:
            value = self.by.store.value(self.state.arn, version)
        except UNREADABLE as error:
            if stages and isinstance(error, AccessDenied):
                raise  # whoever asks lacks a right that the rotation function may have
            return Finding(version, stages, Trial.UNREADABLE, str(error), movable=False, fresh=fresh)
        if value is None:
            return Finding(version, stages, Trial.EMPTY, movable=False, fresh=fresh)
        self.by.seen.update(value.sensitive())
        differing = sorted(key for key in PUBLIC_KEYS - _USERS if value.get(key) != self.base.get(key))
        stranger = value.get("username") not in _users(self.base)
        if stranger or (strict and differing):
            keys = ", ".join([*(["username"] if stranger else []), *differing])
            return Finding(
                version, stages, Trial.FOREIGN, f"another {keys} than AWSCURRENT", movable=False, fresh=fresh
            )
        # As rotations do: of an older value only the credential is taken, for its address may be an old one.
        here = {key: self.base[key] for key in differing if key in self.base}
        trial, detail = self.by.login(value.replace(**here), self.rotator)
        return Finding(version, stages, trial, detail, movable=not differing, fresh=fresh)

    def _is_fresh(self, version: str) -> bool:
        """Whether a version is so young that its rotation may still run; unknown counts as young."""
        try:
            listed = {each["VersionId"]: each.get("CreatedDate") for each in all_versions(self.state.arn)}
        except AccessDenied:
            return True
        created = listed.get(version)
        if created is None:
            return True
        return dt.datetime.now(dt.UTC) - created < dt.timedelta(minutes=ROTATION_MINUTES)


def _users(base: Secret) -> set[object]:
    """Whom the values of a secret may name: its user, and with `alternating` the second one."""
    user = base.get("username")
    if not isinstance(user, str) or strategy_name(base) != "alternating":
        return {user}
    return {user, user + SUFFIX, user.removesuffix(SUFFIX), base.get("alternate_username", user)}


def tried(call: Callable[[], object]) -> tuple[Trial, str]:
    """Run a login; gives what became of it, and the error in words.

    Raises:
        RotatorsError: of a kind that says nothing about a credential.
    """
    try:
        call()
    except tuple(kind for kind, _ in _TRIALS) as error:
        return _trial_of(error, _TRIALS), str(error)
    return Trial.ACCEPTED, ""


def _trial_of(error: RotatorsError, table: Iterable[tuple[type[RotatorsError], Trial]]) -> Trial:
    return next(trial for kind, trial in table if isinstance(error, kind))
