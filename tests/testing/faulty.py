"""Rotators with one bug each, which the conformance kit must find."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg import sql

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetRefused, TargetUnavailable
from rotators.core.progress import Rejected
from rotators.core.secret import Secret
from rotators.core.settings import MOST_REJECTED
from rotators.engines.postgres import PostgresEngine
from rotators.engines.postgres.roles import read_roles
from rotators.engines.postgres.session import PostgresSession
from rotators.logins.target import same_target
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.settings import Settings


class Sound(EngineRotator):
    """No bug: a finding for this rotator is an error of the kit."""

    strategy = "single"
    with_admin = False

    def __init__(self) -> None:
        super().__init__(PostgresEngine())


class SoundWithAdmin(Sound):
    with_admin = True


class TouchesTheTargetInPropose(Sound):
    def propose(self, rotation: Rotation) -> Secret:
        proposed = super().propose(rotation)
        with self.engine.login(rotation.current, rotation.settings) as session:
            session.set_credential(proposed.text("username"), proposed.text("password"))
        return proposed


class IsNotIdempotent(Sound):
    def apply(self, rotation: Rotation) -> None:
        with self.engine.login(rotation.current, rotation.settings) as session:
            session.set_credential(rotation.pending.text("username"), rotation.pending.text("password"))


class ForgetsTheHistory(Sound):
    """Recovers after a retry, but not after a new token: the bug of the published rotation functions."""

    def apply(self, rotation: Rotation) -> None:
        for secret in (rotation.current, rotation.pending, rotation.previous):
            if secret is None:
                continue
            try:
                with self.engine.login(secret, rotation.settings) as session:
                    session.set_credential(secret.text("username"), rotation.pending.text("password"))
            except CredentialsRejected:
                continue
            return
        raise CredentialsRejected("none of the three logs in")


class PromotesUntested(Sound):
    def verify(self, rotation: Rotation) -> None:
        del rotation


class LeaksInAnError(Sound):
    def apply(self, rotation: Rotation) -> None:
        try:
            super().apply(rotation)
        except RotatorsError:
            raise TargetRefused(f"could not set {rotation.pending.text('password')}") from None


class LeaksInALog(Sound):
    def apply(self, rotation: Rotation) -> None:
        logging.getLogger("faulty").debug("setting %s", rotation.pending.text("password"))
        super().apply(rotation)


class SwallowsTheStop(Sound):
    def apply(self, rotation: Rotation) -> None:
        try:
            super().apply(rotation)
        except BaseException as error:
            if isinstance(error, RotatorsError):
                raise


class MixesPendingAndPrevious(Sound):
    """Correct only if there is no previous value, that is, in the first rotation."""

    def apply(self, rotation: Rotation) -> None:
        super().apply(rotation)
        new = rotation.previous or rotation.pending
        with self.engine.login(rotation.pending, rotation.settings) as session:
            session.set_credential(new.text("username"), new.text("password"))


class DropsUnknownKeys(Sound):
    def propose(self, rotation: Rotation) -> Secret:
        known = ("engine", "host", "port", "dbname", "username", "password", "strategy", "sslrootcert")
        proposed = super().propose(rotation)
        return Secret({key: proposed[key] for key in known if key in proposed})


class TakesSilenceForRejection(Sound):
    def apply(self, rotation: Rotation) -> None:
        try:
            super().apply(rotation)
        except TargetUnavailable:
            raise CredentialsRejected("no login") from None


class _BelievingSession(PostgresSession):
    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        with self._writing():
            if clone in read_roles(self._connection, clone):
                self._change_password("ALTER ROLE {} PASSWORD {}", clone, password)
                return
        super().ensure_clone(of, clone, password)


class _HastySession(PostgresSession):
    """Creates the clone first and grants its rights later; an existing clone is assumed to be complete."""

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        names = sql.Identifier(clone), sql.Identifier(of)
        run = self._connection.execute
        if run("SELECT FROM pg_roles WHERE rolname::text = %s", [clone]).fetchall():
            self._change_password("ALTER ROLE {} PASSWORD {}", clone, password)
            return
        self._change_password("CREATE ROLE {} LOGIN PASSWORD {}", clone, password)
        run(sql.SQL("GRANT {1} TO {0}").format(*names))
        run(sql.SQL("ALTER ROLE {} SET role = {}").format(names[0], sql.Literal(of)))


class _Engine(PostgresEngine):
    def __init__(self, session: type[PostgresSession]) -> None:
        self._session = session

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[PostgresSession]:
        with super().login(secret, settings) as session:
            yield self._session(session._connection, session._user)


class AcceptsAStrangersClone(EngineRotator):
    strategy = "alternating"
    with_admin = True

    def __init__(self) -> None:
        super().__init__(_Engine(_BelievingSession))


class GrantsAfterPassword(EngineRotator):
    strategy = "alternating"
    with_admin = True

    def __init__(self) -> None:
        super().__init__(_Engine(_HastySession))


class ChangesTheCurrentUser(EngineRotator):
    """Claims to alternate, but also sets the password of the user in use."""

    strategy = "alternating"
    with_admin = True

    def __init__(self) -> None:
        super().__init__(PostgresEngine())

    def apply(self, rotation: Rotation) -> None:
        super().apply(rotation)
        admin = rotation.admin
        assert admin is not None
        with self.engine.login(admin, rotation.settings) as session:
            session.set_credential(rotation.current.text("username"), rotation.pending.text("password"))


class SendsPasswordsToAnyAddress(Sound):
    """Tries every stored password at the target of the current value."""

    def apply(self, rotation: Rotation) -> None:
        check(self.engine, rotation)
        for secret in _stored(rotation)[:MOST_REJECTED]:
            if self._same(secret, rotation.current) and _set_as(self, secret, rotation):
                return
        raise CredentialsRejected("none of them logs in")

    def _same(self, stored: Secret, current: Secret) -> bool:
        return stored["username"] == current["username"]


class ComparesTheHostOnly(SendsPasswordsToAnyAddress):
    def _same(self, stored: Secret, current: Secret) -> bool:
        return stored["host"] == current["host"]


class TriesEveryVersion(Sound):
    def apply(self, rotation: Rotation) -> None:
        check(self.engine, rotation)
        for secret in _stored(rotation):
            same = same_target(secret, rotation.current, self.engine, rotation.settings)
            if same and _set_as(self, secret, rotation):
                return
        raise CredentialsRejected("none of them logs in")


class TriesTheSameVersionsAgain(Sound):
    """Never tries more than the first four values."""

    def apply(self, rotation: Rotation) -> None:
        check(self.engine, rotation)
        for secret in _stored(rotation)[:MOST_REJECTED]:
            same = same_target(secret, rotation.current, self.engine, rotation.settings)
            if same and _set_as(self, secret, rotation):
                return
        raise CredentialsRejected("none of them logs in")


class ForgetsWhatWasRejected(Sound):
    """Observes the limit in every call, but not across repeated calls of a rotation."""

    def apply(self, rotation: Rotation) -> None:
        super().apply(replace(rotation, rejected=Rejected()))


class TakesAPendingValueOnTrust(Sound):
    def apply(self, rotation: Rotation) -> None:
        if not _set_as(self, rotation.current, rotation):
            _set_as(self, rotation.pending, rotation)

    def verify(self, rotation: Rotation) -> None:
        with self.engine.login(rotation.pending, rotation.settings) as session:
            session.check()


class TrimsTheUsersName(Sound):
    with_admin = True

    def apply(self, rotation: Rotation) -> None:
        _reset(self, self._name(rotation.current.text("username")), rotation)

    def verify(self, rotation: Rotation) -> None:
        value = rotation.pending
        with self.engine.login(value.replace(username=self._name(value.text("username"))), rotation.settings):
            pass

    def _name(self, name: str) -> str:
        return name.strip()


class IgnoresCapitals(TrimsTheUsersName):
    def _name(self, name: str) -> str:
        return name.lower()


class ResetsARightPassword(Sound):
    with_admin = True

    def apply(self, rotation: Rotation) -> None:
        check(self.engine, rotation)
        if not _set_as(self, rotation.current, rotation):
            _reset(self, rotation.current.text("username"), rotation)


class IgnoresLaterRotations(Sound):
    def apply(self, rotation: Rotation) -> None:
        assert rotation.versions is not None
        super().apply(replace(rotation, versions=replace(rotation.versions, token=None)))


class VerifiesFromMemory(Sound):
    """Treats a value as tested because it generated the value itself."""

    def __init__(self) -> None:
        super().__init__()
        self._made: set[str] = set()

    def propose(self, rotation: Rotation) -> Secret:
        proposed = super().propose(rotation)
        self._made.add(proposed.text("password"))
        return proposed

    def verify(self, rotation: Rotation) -> None:
        if rotation.pending["password"] not in self._made:
            super().verify(rotation)


def _stored(rotation: Rotation) -> list[Secret]:
    found = (rotation.current, rotation.pending, rotation.previous, *rotation.history)
    return [secret for secret in found if secret is not None]


def _set_as(faulty: Sound, secret: Secret, rotation: Rotation) -> bool:
    value = rotation.current.replace(username=secret["username"], password=secret["password"])
    try:
        with faulty.engine.login(value, rotation.settings) as session:
            rotation.confirm()
            session.set_credential(value.text("username"), rotation.pending.text("password"))
    except CredentialsRejected:
        return False
    return True


def _reset(faulty: Sound, user: str, rotation: Rotation) -> None:
    admin = rotation.admin
    assert admin is not None
    with faulty.engine.login(admin, rotation.settings) as session:
        session.require_ordinary(user)
        rotation.confirm()
        session.set_credential(user, rotation.pending.text("password"))


Faulty = type[Sound] | type[AcceptsAStrangersClone] | type[GrantsAfterPassword] | type[ChangesTheCurrentUser]

EXPECTED: dict[Faulty, str] = {
    TouchesTheTargetInPropose: "test_a_proposal_touches_nothing",
    IsNotIdempotent: "test_apply_twice",
    ForgetsTheHistory: "crash matrix: stuck",
    PromotesUntested: "test_verify_fails_before_apply_and_passes_after",
    AcceptsAStrangersClone: "test_a_stranger_with_the_clones_name_is_refused",
    LeaksInAnError: "test_nothing_secret_is_shown",
    LeaksInALog: "test_nothing_secret_is_shown",
    SwallowsTheStop: "crash matrix: swallowed",
    MixesPendingAndPrevious: "test_a_rotation_gives_a_value_that_logs_in",
    GrantsAfterPassword: "crash matrix: leftover",
    DropsUnknownKeys: "test_identity_and_unknown_keys_are_unchanged",
    TakesSilenceForRejection: "test_a_server_that_is_down",
    ChangesTheCurrentUser: "test_the_current_value_logs_in_after_every_step",
    SendsPasswordsToAnyAddress: "test_a_stored_credential_goes_only_to_its_target",
    ComparesTheHostOnly: "test_a_stored_credential_goes_only_to_its_target",
    TriesEveryVersion: "test_rejected_logins_are_bounded",
    TriesTheSameVersionsAgain: "test_rejected_logins_are_bounded",
    ForgetsWhatWasRejected: "test_a_repeated_step_adds_no_rejected_logins",
    TakesAPendingValueOnTrust: "test_a_pending_value_stays_with_its_target",
    TrimsTheUsersName: "test_a_similar_name_is_another_account",
    IgnoresCapitals: "test_a_similar_name_is_another_account",
    ResetsARightPassword: "test_a_right_credential_is_not_reset",
    IgnoresLaterRotations: "test_a_late_set_changes_nothing",
    VerifiesFromMemory: "test_finish_without_test_promotes_nothing_untested",
}
"""Each bug with its check; other checks may find it too."""
