"""Examines a secret: reads its versions and tries them on the target. Changes nothing and shows no value.

The attempts follow the rules of a rotation (strategies/attempts.py): a password is sent only to the target
that it was stored for; the order is AWSCURRENT, AWSPENDING, newer versions, AWSPREVIOUS, older versions; and
the number of rejected logins is bounded, below the server's own limit where an admin can read it. The search
ends when the state is known: when AWSCURRENT logs in, when another version does, or when a login fails for
another reason than its password. If a server also accepts the previous password, AWSCURRENT may be that
password, so newer versions are tried even if AWSCURRENT is accepted.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rotators.aws.secrets import without_stage
from rotators.core.contracts import declared_members, public_members
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    RotatorsError,
    SecretFormatError,
    StoreError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.redaction import masking
from rotators.core.rotation import UNREADABLE, Rotation, Seen, failed_look_up
from rotators.core.secret import PUBLIC_KEYS, Secret
from rotators.core.states import Stage
from rotators.logins.target import (
    TARGET_KEYS,
    USER_KEYS,
    TargetIdentity,
    differing_keys,
    direct,
    same_target,
)
from rotators.recovery.faults import declared_members_of, fault_of, remarks_on, rotator_of
from rotators.recovery.findings import Finding, Findings, Trial, TrialOutcome
from rotators.strategies.alternating import SUFFIX, other_user, partner
from rotators.strategies.engine import previous_hours_of, rejections_left, remedies_of
from rotators.strategies.identity import check_admin, for_users_of
from rotators.strategies.rotator import engine_of, strategy_of
from rotators.strategies.single import require_reset_helps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.aws.views import SecretView
    from rotators.core.contracts import Rotator
    from rotators.core.settings import Settings
    from rotators.core.store import Store, WithoutStage
    from rotators.strategies.engine import Engine

ROTATION_MINUTES = 20
"""Longest duration of a rotation: four steps, at most fifteen minutes in total, and the service's pauses."""

MOST_OLDER = 10
"""Number of versions without a stage that are read: each is a call of GetSecretValue."""

_TRIALS: dict[type[RotatorsError], Trial] = {
    CredentialsRejected: Trial.REJECTED,
    TargetUnavailable: Trial.UNREACHABLE,
    TargetRefused: Trial.REFUSED,
    IdentityMismatch: Trial.FOREIGN,
    SecretFormatError: Trial.UNREADABLE,
}
_CLOSED = {"clear", "no-keys", "other-key"}
"""Reasons of sealed and clear values that this process may not read."""
_ACCEPTED = TrialOutcome(Trial.ACCEPTED)
_UNNEEDED = TrialOutcome(Trial.UNTRIED, reason="unneeded")


@dataclass
class Examination:
    """Examination of a secret.

    Args:
        store: gateway to Secrets Manager.
        settings: settings of the rotation function.
        view: the secret and its versions.
        idle: True if the caller knows that no rotation is running now.

    Attributes:
        seen: values that were read; their strings are kept out of errors.
        unreadable: the error of the first version with a stage that could not be read; None without one.
    """

    store: Store
    settings: Settings
    view: SecretView
    idle: bool = False
    seen: Seen = field(default_factory=Seen, init=False, repr=False)
    unreadable: RotatorsError | None = field(default=None, init=False)

    def examine(self) -> Findings:
        """Read the versions and try their credentials, each once.

        Returns:
            The results of the logins, by version.

        Raises:
            StoreError: a value cannot be read for a reason other than its key or its form.
            RegistryError: ROTATOR names no rotator, or the rotator cannot be loaded.
        """
        with masking(self.seen):
            current = self._readable(Stage.CURRENT)
            self.seen.members = declared_members_of(current, self.settings)
            if current is not None and (fault := fault_of(current, self.settings)):
                return self.untried(Trial.UNTRIED if "masterarn" in current else None, _outcome(fault))
            base = current or self._readable(Stage.PENDING) or self._readable(Stage.PREVIOUS)
            if base is None:
                raise self.unreadable or SecretFormatError("no version with a stage contains a JSON object")
            rotator = rotator_of(base, self.settings)
            self.seen.members = declared_members(rotator)
            return _Look(self, base, rotator).findings()

    def _readable(self, stage: Stage) -> Secret | None:
        version = self.view.holder(stage)
        if version is None:
            return None
        try:
            value = self.store.value(self.view.arn, version)
        except UNREADABLE as error:
            if stage is Stage.CURRENT and failed_look_up(error):
                raise  # the value is correct, and an older one must not replace it
            self.unreadable = self.unreadable or error
            return None
        if value is not None:
            self.seen.add(value)
        return value

    def untried(self, admin: Trial | None, fault: TrialOutcome | None = None) -> Findings:
        """Return the versions without any login.

        Args:
            admin: None if the secret names no admin.
            fault: fault of the AWSCURRENT value, if one is the reason.
        """
        return Findings(
            self.staged(Stage.CURRENT),
            self.pending(),
            self.staged(Stage.PREVIOUS),
            tuple(self.blank(version) for version in without_stage(self.view.versions)),
            admin,
            unlisted=self.view.unlisted,
            fault=fault,
        )

    def staged(self, stage: Stage) -> Finding | None:
        """Return the version with a stage, untried; None if no version has it.

        Args:
            stage: stage of the version.
        """
        version = self.view.holder(stage)
        return None if version is None else self.blank(version)

    def pending(self) -> Finding | None:
        """Return the AWSPENDING version, untried, if it is not the current one."""
        finding = self.staged(Stage.PENDING)
        if finding is None or Stage.CURRENT in finding.stages:
            return None
        return replace(finding, fresh=not self.idle and self._is_fresh(finding.version))

    def blank(self, version: str) -> Finding:
        """Return a version, untried.

        Args:
            version: its id.
        """
        stages = tuple(sorted(self.view.state.stages.get(version, ())))
        return Finding(version, stages, Trial.UNTRIED, reason="unneeded")

    def _is_fresh(self, version: str) -> bool:
        """Return True if a version is so recent that its rotation can still run, or if its age is unknown."""
        created = next((each.created for each in self.view.versions if each.id == version), None)
        if created is None:
            return True
        return dt.datetime.now(dt.UTC) - created < dt.timedelta(minutes=ROTATION_MINUTES)


@dataclass
class _Logins:
    """Logins of one examination: counts the rejected ones, and decides if another one may be made."""

    rotator: Rotator
    settings: Settings
    limit: int
    pooler: bool = False
    pooled_admin: bool = False
    rejected: list[Secret] = field(default_factory=list, repr=False)
    """Values whose logins were rejected."""
    _stopped: str = ""
    _known: dict[tuple[object, ...], tuple[TrialOutcome, TrialOutcome | None]] = field(
        default_factory=dict, repr=False
    )

    def tried(self, finding: Finding, value: Secret) -> Finding:
        """Return the finding with the results of its value's logins, unless no more logins may be made.

        Args:
            finding: finding about a version.
            value: value of the version.
        """
        if self.why_not:
            return finding.tried(TrialOutcome(Trial.UNTRIED, reason=self.why_not))
        key = self._key(value)
        if key not in self._known:
            self._known[key] = self._try(value)
        return finding.tried(*self._known[key])

    @property
    def why_not(self) -> str:
        """Return the reason why no further login may be made; empty if one may."""
        return self._stopped or ("limit" if len(self.rejected) >= self.limit else "")

    def _key(self, value: Secret) -> tuple[object, ...]:
        """Return the facts that determine a login.

        Values that differ only in their spelling are tried once.
        """
        engine = engine_of(self.rotator)
        if engine is None:
            return (value.to_string(),)
        target = TargetIdentity.of(value, engine.default_port, self.settings.ssl_root_cert)
        return (*(value.get(key) for key in ("username", *engine.credential.fields)), target)

    def _try(self, value: Secret) -> tuple[TrialOutcome, TrialOutcome | None]:
        engine = engine_of(self.rotator)
        if engine is None:
            rotation, rotator = Rotation(value, self.settings, value), self.rotator
            return self._judged(value, lambda: rotator.verify(rotation)), None
        at_host = self._judged(value, lambda: self._log_in(engine, value))
        other = direct(value, engine)
        if other == value:
            return at_host, None
        if self.why_not and at_host.trial is not Trial.UNREACHABLE:
            return at_host, TrialOutcome(Trial.UNTRIED, reason=self.why_not)
        return at_host, self._judged(value, lambda: self._log_in(engine, other, admin_address=True))

    def _judged(self, value: Secret, login: Callable[[], object]) -> TrialOutcome:
        outcome = tried(login)
        if outcome.trial is Trial.REJECTED:
            self.rejected.append(value)
        elif outcome.trial is not Trial.ACCEPTED:
            self._stopped = "stopped"
        return outcome

    def _log_in(self, engine: Engine, value: Secret, *, admin_address: bool = False) -> None:
        """Log in like testSecret."""
        other = partner(value, engine) if strategy_of(value, engine) == "alternating" else ""
        with engine.login(value, self.settings) as session:
            session.check(other)
            if admin_address:
                self.pooled_admin = self.pooled_admin or session.behind_pooler
            else:
                self.pooler = self.pooler or session.behind_pooler


@dataclass
class _Admin:
    """The admin of a secret, as far as an examination needs it.

    Attributes:
        value: None if there is none, or it could not be used.
        login: result of its login; None if the secret names no admin.
        allowed: number of rejected logins before the server locks the user; None if unknown.
        clone: see Findings.
        pooler: True if a pooler or proxy answered.
    """

    value: Secret | None = field(default=None, repr=False)
    login: TrialOutcome | None = None
    allowed: int | None = None
    clone: str | None = None
    pooler: bool = False


@dataclass(frozen=True)
class _Look:
    """Versions of one secret, tried by its rotator."""

    by: Examination
    base: Secret = field(repr=False)
    rotator: Rotator

    def findings(self) -> Findings:
        """Return the versions, each tried if that is needed to determine the state."""
        settings, view = self.by.settings, self.by.view
        admin = self._admin()
        limit = (
            settings.most_rejected if admin.allowed is None else min(settings.most_rejected, admin.allowed)
        )
        logins = _Logins(self.rotator, settings, max(limit, 1), pooled_admin=admin.pooler)
        current, pending = self.by.staged(Stage.CURRENT), self.by.pending()
        current = current and self._try(current, logins)
        pending = pending and self._try(pending, logins, strict=True)
        others = without_stage(view.versions)
        known = any(each is not None and Trial.ACCEPTED in each.trials for each in (current, pending))
        doubtful = self._newer(others) if pending is None or Trial.ACCEPTED not in pending.trials else set()
        older = {each.version: each for each in self._older(others, logins, known=known, doubtful=doubtful)}
        previous = view.holder(Stage.PREVIOUS)
        found = Findings(
            current,
            pending,
            older.pop(previous, None) if previous else None,
            tuple(older[version] for version in others),
            admin.login.trial if admin.login else None,
            _told(admin.login) if admin.login else "",
            admin.clone,
            view.unlisted,
            pooler=logins.pooler or ("admin_host" not in self.base and logins.pooled_admin),
            pooled_admin=logins.pooled_admin,
            remarks=remarks_on(self.base, engine_of(self.rotator)),
            remedies=remedies_of(engine_of(self.rotator)),
        )
        return replace(found, no_reset=self._no_reset(found, admin, logins))

    def _older(
        self, others: WithoutStage, logins: _Logins, *, known: bool, doubtful: set[str]
    ) -> Iterator[Finding]:
        """Yield AWSPREVIOUS and the versions without a stage, tried until one is accepted.

        Args:
            others: versions without a stage.
            logins: makes the logins.
            known: True if AWSCURRENT or AWSPENDING was accepted.
            doubtful: versions that are tried nevertheless.
        """
        previous = self.by.view.holder(Stage.PREVIOUS)
        ordered = [*others.lost, *([previous] if previous else []), *others.replaced]
        for number, version in enumerate(ordered):
            unneeded = known and version not in doubtful
            if unneeded or number > MOST_OLDER:
                yield self.by.blank(version).tried(
                    _UNNEEDED if unneeded else TrialOutcome(Trial.UNTRIED, reason="limit")
                )
                continue
            finding = self._try(self.by.blank(version), logins)
            if Trial.ACCEPTED in finding.trials:
                known, doubtful = True, set()
            yield finding

    def _newer(self, others: WithoutStage) -> set[str]:
        """Return the lost versions that may have replaced AWSCURRENT although it is accepted."""
        hours = previous_hours_of(engine_of(self.rotator))
        if not hours:
            return set()
        since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
        recent = {each.id for each in self.by.view.versions if each.created is None or each.created > since}
        return recent.intersection(others.lost)

    def _try(self, finding: Finding, logins: _Logins, *, strict: bool = False) -> Finding:
        """Read a version and log in with it, if it was stored for the user and target of AWSCURRENT.

        Args:
            finding: finding that names the version.
            logins: makes the login.
            strict: True if every public key must equal the current value's, as in a rotation's AWSPENDING.
        """
        try:
            value = self.by.store.value(self.by.view.arn, finding.version)
        except (StoreError, *UNREADABLE) as error:
            if not _concerns_version(error, finding):
                raise
            return replace(finding.tried(_outcome(error)), trial=Trial.UNREADABLE, movable=False)
        if value is None:
            return replace(finding, trial=Trial.EMPTY, movable=False)
        self.by.seen.add(value)
        differing = self._differing(value)
        own = value.get("username") == self.base.get("username")
        finding = replace(finding, movable=not differing, own=own)
        if value.get("username") not in self._users():
            return _foreign(finding, "user", "stored for another user")
        if not self._leads_here(value) or (strict and differing):
            away = [key for key in differing if key in TARGET_KEYS] or differing
            return _foreign(finding, "target", f"stored for another target ({', '.join(away)})")
        here = value.replace(**{key: self.base.get(key) for key in differing})
        if fault := fault_of(here, self.by.settings):
            return replace(finding.tried(_outcome(fault)), trial=Trial.UNREADABLE, movable=False)
        return logins.tried(finding, here)

    def _differing(self, value: Secret) -> list[str]:
        """Return the public keys whose meaning differs from the current value's."""
        keys = PUBLIC_KEYS.union(public_members(self.rotator)) - USER_KEYS
        return differing_keys(value, self.base, keys, engine_of(self.rotator))

    def _leads_here(self, value: Secret) -> bool:
        """Return True if the password of a value may be sent to the current value's target."""
        engine = engine_of(self.rotator)
        if engine is not None:
            return same_target(value, self.base, engine, self.by.settings)
        return not self._differing(value)

    def _users(self) -> set[object]:
        """Return the users that the secret's values may name; with `alternating` also the second one."""
        base, engine = self.base, engine_of(self.rotator)
        user = base.get("username")
        if not isinstance(user, str) or engine is None or strategy_of(base, engine) != "alternating":
            return {user}
        return {user, user + SUFFIX, user.removesuffix(SUFFIX), base.get("alternate_username", user)}

    def _admin(self) -> _Admin:
        """Log in once as the admin, and read the user's limit and the second user."""
        if "masterarn" not in self.base:
            return _Admin()
        try:
            value = self.by.store.admin(self.base.text("masterarn"))
        except RotatorsError as error:
            return _Admin(login=_outcome(error)._replace(trial=Trial.UNREADABLE))
        self.by.seen.add(value)
        engine = engine_of(self.rotator)
        if engine is None:
            rotation = Rotation(value, self.by.settings, value)
            return _Admin(value, tried(lambda: self.rotator.verify(rotation)))
        found = _Admin(value)
        found.login = tried(lambda: self._ask(found, value, engine))
        return found

    def _ask(self, found: _Admin, value: Secret, engine: Engine) -> None:
        check_admin(value, self.base, set(), engine)
        with engine.login(for_users_of(value, self.base, engine), self.by.settings) as session:
            session.check()
            found.pooler = session.behind_pooler
            user = self.base.text("username")
            found.allowed = rejections_left(session, user, 0)
            if strategy_of(self.base, engine) == "alternating":
                clone = tried(lambda: session.require_clone(user, other_user(self.base, engine)))
                found.clone = _told(clone)

    def _no_reset(self, found: Findings, admin: _Admin, logins: _Logins) -> TrialOutcome | None:
        """Return why the admin must not set the user's password; checked only if nothing else helps."""
        nothing = all(Trial.ACCEPTED not in each.trials for each in found.versions())
        rejected = found.current is not None and Trial.REJECTED in found.current.trials
        if not (nothing and rejected and found.admin is Trial.ACCEPTED and admin.value is not None):
            return None
        engine, value = engine_of(self.rotator), admin.value
        if engine is None:
            return None
        rejected_credentials = [engine.credential.of(each) for each in logins.rejected]

        def ask() -> None:
            with engine.login(for_users_of(value, self.base, engine), self.by.settings) as session:
                require_reset_helps(session, self.base, rejected_credentials)

        outcome = tried(ask)
        return None if outcome.trial is Trial.ACCEPTED else outcome


def tried(call: Callable[[], object]) -> TrialOutcome:
    """Run a login, and return its result.

    Args:
        call: logs in; raises as ``Engine.login`` does.

    Raises:
        RotatorsError: an error that says nothing about a credential.
    """
    try:
        call()
    except tuple(_TRIALS) as error:
        return _outcome(error)
    return _ACCEPTED


def _outcome(error: RotatorsError) -> TrialOutcome:
    trial = next((trial for kind, trial in _TRIALS.items() if isinstance(error, kind)), Trial.UNREADABLE)
    return TrialOutcome(trial, f"[{error.full_code}] {error.cause}", error.remedy, error.reason or error.code)


def _concerns_version(error: RotatorsError, finding: Finding) -> bool:
    """Return True if the other versions can be tried although this one could not be read."""
    if isinstance(error, AccessDenied) or error.reason in _CLOSED:
        # The caller lacks a permission or a key that the rotation function may have.
        return not finding.stages
    if isinstance(error, UNREADABLE):
        return True
    return failed_look_up(error) and not {Stage.CURRENT, Stage.PENDING} & {*finding.stages}


def _told(outcome: TrialOutcome) -> str:
    """Return the error of an outcome as text; empty if there was none."""
    return f"{outcome.detail}. Next: {outcome.next}" if outcome.detail else ""


def _foreign(finding: Finding, reason: str, detail: str) -> Finding:
    return replace(finding, trial=Trial.FOREIGN, detail=detail, reason=reason, movable=False)
