"""Looks at a secret: its versions are read and tried on the target, nothing is changed, no value is shown.

What is tried follows the rules of a rotation (strategies/attempts.py): a password is sent only to the target
that it was stored for; the order is AWSCURRENT, AWSPENDING, newer versions, AWSPREVIOUS, older versions; and
the number of rejected logins is bounded, below the server's own limit where an admin can read it. The search
ends when the state is known: when AWSCURRENT logs in, when another version does, or when a login fails for
another reason than its password.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rotators.aws.versions import all_versions
from rotators.core.contracts import Unlabelled
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    RotatorFailure,
    RotatorsError,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.redaction import masking
from rotators.core.registry import strategy_name
from rotators.core.rotation import UNREADABLE, Rotation
from rotators.core.secret import PUBLIC_KEYS, Secret
from rotators.core.states import Stage, holder
from rotators.logins.target import TARGET_KEYS, differing_keys, direct, same_target
from rotators.recovery.faults import fault_of, remarks_on, rotator_of
from rotators.recovery.findings import Finding, Findings, Outcome, Trial
from rotators.strategies.alternating import SUFFIX, other_user, partner
from rotators.strategies.identity import proven_admin
from rotators.strategies.rotator import engine_of
from rotators.strategies.single import require_reset_helps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.core.contracts import Rotator, SecretState, Store
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Clones, Engine

ROTATION_MINUTES = 20
"""Four steps of a function that may take fifteen minutes in all, and the service's pauses between them."""

MOST_OLDER = 10
"""Versions without a label that are looked at: each is a call of GetSecretValue."""

_USERS = frozenset({"username", "alternate_username"})
_TRIALS: tuple[tuple[type[RotatorsError], Trial], ...] = (
    (CredentialsRejected, Trial.REJECTED),
    (TargetUnavailable, Trial.UNREACHABLE),
    (TargetRefused, Trial.REFUSED),
    (IdentityMismatch, Trial.FOREIGN),
    (SecretFormatError, Trial.UNREADABLE),
)
_ACCEPTED = Outcome(Trial.ACCEPTED)
_UNNEEDED = Outcome(Trial.UNTRIED, reason="unneeded")


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

    def examine(self, secret_id: str) -> Findings:
        """Read the versions and try their credentials, each once.

        Raises:
            StoreError: the secret cannot be described, or a value not be read for a reason other than its key
                or its form.
            RegistryError: ROTATOR names no rotator, or the rotator cannot be loaded.
        """
        with masking(self.seen):
            return self._examine(secret_id)

    def _examine(self, secret_id: str) -> Findings:
        state = self.store.describe(secret_id)
        current = self._readable(state, Stage.CURRENT)
        if current is not None and (fault := fault_of(current, self.settings)):
            return _Look(self, state, current, None).untried(_outcome(fault))
        base = current or self._readable(state, Stage.PENDING) or self._readable(state, Stage.PREVIOUS)
        if base is None:
            raise SecretFormatError("no labelled version of the secret holds a JSON object")
        return _Look(self, state, base, rotator_of(base, self.settings)).findings()

    def _readable(self, state: SecretState, stage: Stage) -> Secret | None:
        version = holder(state.stages, stage)
        if version is None:
            return None
        try:
            value = self.store.value(state.arn, version)
        except UNREADABLE:
            return None
        if value is not None:
            self.seen.update(value.sensitive())
        return value


@dataclass
class _Logins:
    """The logins of one examination: how many were rejected, and whether another one may be made."""

    rotator: Rotator
    settings: Settings
    limit: int
    pooler: bool = False
    pooled_admin: bool = False
    rejected: list[Secret] = field(default_factory=list, repr=False)
    """The values whose logins were rejected."""
    _stopped: str = ""
    _known: dict[tuple[object, ...], tuple[Outcome, Outcome | None]] = field(default_factory=dict, repr=False)

    def tried(self, finding: Finding, value: Secret) -> Finding:
        """The finding with what became of the logins of its value, unless no more may be made."""
        if self.why_not:
            return finding.tried(Outcome(Trial.UNTRIED, reason=self.why_not))
        key = self._key(value)
        if key not in self._known:
            self._known[key] = self._try(value)
        return finding.tried(*self._known[key])

    @property
    def why_not(self) -> str:
        """Why no further login may be made; empty if one may."""
        return self._stopped or ("limit" if len(self.rejected) >= self.limit else "")

    def _key(self, value: Secret) -> tuple[object, ...]:
        """What decides about a login: values that agree in it are tried once."""
        engine = engine_of(self.rotator)
        if engine is None:
            return (value.to_string(),)
        return tuple(value.get(key) for key in ("username", *engine.credential.fields, *sorted(TARGET_KEYS)))

    def _try(self, value: Secret) -> tuple[Outcome, Outcome | None]:
        engine = engine_of(self.rotator)
        if engine is None:
            rotation, rotator = Rotation(value, self.settings, value), self.rotator
            return self._judged(value, lambda: rotator.verify(rotation)), None
        at_host = self._judged(value, lambda: self._log_in(engine, value))
        other = direct(value, engine)
        if other == value:
            return at_host, None
        if self.why_not and at_host.trial is not Trial.UNREACHABLE:
            return at_host, Outcome(Trial.UNTRIED, reason=self.why_not)
        return at_host, self._judged(value, lambda: self._log_in(engine, other, admin_address=True))

    def _judged(self, value: Secret, login: Callable[[], object]) -> Outcome:
        outcome = tried(login)
        if outcome.trial is Trial.REJECTED:
            self.rejected.append(value)
        elif outcome.trial is not Trial.ACCEPTED:
            self._stopped = "stopped"
        return outcome

    def _log_in(self, engine: Engine, value: Secret, *, admin_address: bool = False) -> None:
        """As testSecret does."""
        other = partner(value, engine) if strategy_name(value) == "alternating" else ""
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
        login: what became of its login; None when the secret names no admin.
        allowed: logins of the user that may be rejected before the server locks it; None if unknown.
        clone: see Findings.
        pooler: whether a pooler or proxy answered.
    """

    value: Secret | None = field(default=None, repr=False)
    login: Outcome | None = None
    allowed: int | None = None
    clone: str | None = None
    pooler: bool = False


@dataclass(frozen=True)
class _Look:
    """The versions of one secret, tried by its rotator."""

    by: Examination
    state: SecretState
    base: Secret = field(repr=False)
    rotator: Rotator | None

    def untried(self, fault: Outcome) -> Findings:
        """The versions without any login."""
        unlabelled, unlisted = self._unlabelled()
        labelled = {stage: self._labelled(stage) for stage in Stage}
        return Findings(
            labelled[Stage.CURRENT],
            self._pending(),
            labelled[Stage.PREVIOUS],
            tuple(self._blank(version) for version in unlabelled),
            Trial.UNTRIED if "masterarn" in self.base else None,
            unlisted=unlisted,
            fault=fault,
        )

    def findings(self) -> Findings:
        """The versions, each tried if that is needed to know the state."""
        assert self.rotator is not None  # noqa: S101 - only `untried` does without
        settings = self.by.settings
        admin = self._admin()
        limit = (
            settings.most_rejected if admin.allowed is None else min(settings.most_rejected, admin.allowed)
        )
        logins = _Logins(self.rotator, settings, max(limit, 1), pooled_admin=admin.pooler)
        current = self._seen(self._labelled(Stage.CURRENT), logins)
        pending = self._seen(self._pending(), logins, strict=True)
        unlabelled, unlisted = self._unlabelled()
        known = any(each is not None and Trial.ACCEPTED in each.trials for each in (current, pending))
        older = {each.version: each for each in self._older(unlabelled, logins, known=known)}
        previous = holder(self.state.stages, Stage.PREVIOUS)
        found = Findings(
            current,
            pending,
            older.pop(previous, None) if previous else None,
            tuple(older[version] for version in unlabelled),
            admin.login.trial if admin.login else None,
            _told(admin.login) if admin.login else "",
            admin.clone,
            unlisted,
            pooler=logins.pooler or ("admin_host" not in self.base and logins.pooled_admin),
            pooled_admin=logins.pooled_admin,
            remarks=remarks_on(self.base),
        )
        return replace(found, no_reset=self._no_reset(found, admin, logins))

    def _older(self, unlabelled: Unlabelled, logins: _Logins, *, known: bool) -> Iterator[Finding]:
        """AWSPREVIOUS and the versions without a label, tried until one is accepted."""
        previous = holder(self.state.stages, Stage.PREVIOUS)
        ordered = [*unlabelled.lost, *([previous] if previous else []), *unlabelled.replaced]
        for number, version in enumerate(ordered):
            if known or number > MOST_OLDER:
                yield self._blank(version).tried(
                    _UNNEEDED if known else Outcome(Trial.UNTRIED, reason="limit")
                )
                continue
            finding = self._try(self._blank(version), logins)
            known = Trial.ACCEPTED in finding.trials
            yield finding

    def _seen(self, finding: Finding | None, logins: _Logins, *, strict: bool = False) -> Finding | None:
        return None if finding is None else self._try(finding, logins, strict=strict)

    def _try(self, finding: Finding, logins: _Logins, *, strict: bool = False) -> Finding:
        """Read a version and log in with it, if it was stored for the user and target of AWSCURRENT.

        Args:
            finding: names the version.
            logins: make the login.
            strict: whether every public key has to be the current value's, as a rotation asks of AWSPENDING.
        """
        try:
            value = self.by.store.value(self.state.arn, finding.version)
        except UNREADABLE as error:
            if finding.stages and isinstance(error, AccessDenied):
                raise  # whoever asks lacks a right that the rotation function may have
            return replace(finding.tried(_outcome(error)), trial=Trial.UNREADABLE, movable=False)
        if value is None:
            return replace(finding, trial=Trial.EMPTY, movable=False)
        self.by.seen.update(value.sensitive())
        differing = self._differing(value)
        own = value.get("username") == self.base.get("username")
        finding = replace(finding, movable=not differing, own=own)
        if value.get("username") not in _users(self.base):
            return _foreign(finding, "user", "stored for another user")
        if not self._leads_here(value) or (strict and differing):
            away = [key for key in differing if key in TARGET_KEYS] or differing
            return _foreign(finding, "target", f"stored for another target ({', '.join(away)})")
        if fault := fault_of(value.replace(**self._here(differing)), self.by.settings):
            return replace(finding.tried(_outcome(fault)), trial=Trial.UNREADABLE, movable=False)
        return logins.tried(finding, value.replace(**self._here(differing)))

    def _here(self, differing: list[str]) -> dict[str, object]:
        return {key: self.base.get(key) for key in differing}

    def _differing(self, value: Secret) -> list[str]:
        """The public keys under which a value says something else than the current one."""
        engine = engine_of(self.rotator)
        port = engine.default_port if engine else 0
        return differing_keys(value, self.base, PUBLIC_KEYS - _USERS, port)

    def _leads_here(self, value: Secret) -> bool:
        """Whether the password of a value may be sent where the current value leads."""
        engine = engine_of(self.rotator)
        if engine is not None:
            return same_target(value, self.base, engine, self.by.settings)
        return not self._differing(value)

    def _labelled(self, stage: Stage) -> Finding | None:
        version = holder(self.state.stages, stage)
        return None if version is None else self._blank(version)

    def _pending(self) -> Finding | None:
        """The AWSPENDING version, if it is another one than the current."""
        finding = self._labelled(Stage.PENDING)
        if finding is None or Stage.CURRENT in finding.stages:
            return None
        return replace(finding, fresh=not self.by.idle and self._is_fresh(finding.version))

    def _blank(self, version: str) -> Finding:
        stages = tuple(sorted(self.state.stages.get(version, ())))
        return Finding(version, stages, Trial.UNTRIED, reason="unneeded")

    def _unlabelled(self) -> tuple[Unlabelled, bool]:
        """The versions without a label of the service's, and whether they could not be listed."""
        try:
            return self.by.store.unlabelled(self.state.arn), False
        except AccessDenied:
            return Unlabelled(), True

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

    def _admin(self) -> _Admin:
        """The admin, logged in once: what it can tell of the user's limit and of the second user."""
        if "masterarn" not in self.base:
            return _Admin()
        try:
            value = self.by.store.admin(self.base.text("masterarn"))
        except RotatorsError as error:
            return _Admin(login=_outcome(error)._replace(trial=Trial.UNREADABLE))
        self.by.seen.update(value.sensitive())
        engine = engine_of(self.rotator)
        if engine is None:
            rotation = Rotation(value, self.by.settings, value)
            verify = self.rotator.verify if self.rotator else None
            return _Admin(value, tried(lambda: verify(rotation)) if verify else None)
        found = _Admin(value)
        found.login = tried(lambda: self._ask(found, value, engine))
        return found

    def _ask(self, found: _Admin, value: Secret, engine: Engine) -> None:
        proven_admin(Rotation(self.base, self.by.settings, self.base, read_admin=lambda: value), engine)
        with engine.login(value, self.by.settings) as session:
            session.check()
            found.pooler = session.behind_pooler
            found.allowed = session.rejections_allowed(self.base.text("username"))
            if strategy_name(self.base) == "alternating":
                found.clone = self._clone(session, engine)

    def _clone(self, session: Clones[Any], engine: Engine) -> str:
        user = self.base.text("username")
        return _told(tried(lambda: session.require_clone(user, other_user(self.base, engine))))

    def _no_reset(self, found: Findings, admin: _Admin, logins: _Logins) -> Outcome | None:
        """Why the admin must not set the user's password; asked only where nothing else helps."""
        nothing = all(Trial.ACCEPTED not in each.trials for each in found.versions())
        rejected = found.current is not None and Trial.REJECTED in found.current.trials
        if not (nothing and rejected and found.admin is Trial.ACCEPTED and admin.value is not None):
            return None
        engine, value = engine_of(self.rotator), admin.value
        if engine is None:
            return None
        rejected_credentials = [engine.credential.of(each) for each in logins.rejected]

        def ask() -> None:
            with engine.login(value, self.by.settings) as session:
                require_reset_helps(session, self.base, rejected_credentials)

        outcome = tried(ask)
        return None if outcome.trial is Trial.ACCEPTED else outcome


def tried(call: Callable[[], object]) -> Outcome:
    """Run a login; gives what became of it.

    Raises:
        RotatorsError: of a kind that says nothing about a credential.
    """
    try:
        call()
    except (RotatorFailure, SecretFormatError) as error:
        if not isinstance(error, tuple(kind for kind, _ in _TRIALS)):
            raise
        return _outcome(error)
    return _ACCEPTED


def _outcome(error: RotatorsError) -> Outcome:
    trial = next((trial for kind, trial in _TRIALS if isinstance(error, kind)), Trial.UNREADABLE)
    return Outcome(trial, f"[{error.full_code}] {error.cause}", error.remedy, error.reason or error.code)


def _told(outcome: Outcome) -> str:
    """The error of an outcome as it would print itself; empty if there was none."""
    return f"{outcome.detail}. Next: {outcome.next}" if outcome.detail else ""


def _foreign(finding: Finding, reason: str, detail: str) -> Finding:
    return replace(finding, trial=Trial.FOREIGN, detail=detail, reason=reason, movable=False)


def _users(base: Secret) -> set[object]:
    """Whom the values of a secret may name: its user, and with `alternating` the second one."""
    user = base.get("username")
    if not isinstance(user, str) or strategy_name(base) != "alternating":
        return {user}
    return {user, user + SUFFIX, user.removesuffix(SUFFIX), base.get("alternate_username", user)}
