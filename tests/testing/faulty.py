"""Rotators with one bug each. The kit is good for as much as it finds here."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import sql

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.families.postgres_roles import read_roles
from rotators.families.postgres_session import PostgresSession
from rotators.postgres import PostgresEngine
from rotators.strategies.database import DatabaseRotator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.settings import Settings


class Sound(DatabaseRotator):
    """No bug: what is found here, the kit has made up."""

    strategy = "single"

    def __init__(self) -> None:
        super().__init__(PostgresEngine())


class TouchesTheTargetInPropose(Sound):
    def propose(self, rotation: Rotation) -> Secret:
        proposed = super().propose(rotation)
        with self.engine.login(rotation.current, rotation.settings) as session:
            session.set_password(proposed.text("username"), proposed.text("password"))
        return proposed


class IsNotIdempotent(Sound):
    def apply(self, rotation: Rotation) -> None:
        with self.engine.login(rotation.current, rotation.settings) as session:
            session.set_password(rotation.pending.text("username"), rotation.pending.text("password"))


class ForgetsTheHistory(Sound):
    """Finds its way after a retry, but not after a new token: the bug of the published rotation functions."""

    def apply(self, rotation: Rotation) -> None:
        for secret in (rotation.current, rotation.pending, rotation.previous):
            if secret is None:
                continue
            try:
                with self.engine.login(secret, rotation.settings) as session:
                    session.set_password(secret.text("username"), rotation.pending.text("password"))
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
    """Right as long as there is no previous value: in the first rotation."""

    def apply(self, rotation: Rotation) -> None:
        super().apply(rotation)
        new = rotation.previous or rotation.pending
        with self.engine.login(rotation.pending, rotation.settings) as session:
            session.set_password(new.text("username"), new.text("password"))


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
    def ensure_twin(self, of: str, twin: str, password: str) -> None:
        verifier = self._verifier(twin, password)
        with self._transaction():
            if twin in read_roles(self._connection, twin):
                self._alter_password(twin, verifier)
                return
        super().ensure_twin(of, twin, password)


class _HastySession(PostgresSession):
    """Makes the twin first, and gives it its rights then; one that is there is taken for complete."""

    def ensure_twin(self, of: str, twin: str, password: str) -> None:
        verifier = self._verifier(twin, password)
        names = sql.Identifier(twin), sql.Identifier(of)
        run = self._connection.execute
        if run("SELECT FROM pg_roles WHERE rolname::text = %s", [twin]).fetchall():
            self._alter_password(twin, verifier)
            return
        run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(names[0], verifier))
        run(sql.SQL("GRANT {1} TO {0}").format(*names))
        run(sql.SQL("ALTER ROLE {} SET role = {}").format(names[0], sql.Literal(of)))


class _Engine(PostgresEngine):
    def __init__(self, session: type[PostgresSession]) -> None:
        self._session = session

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[PostgresSession]:
        with super().login(secret, settings) as session:
            yield self._session(session._connection, session._user)


class AcceptsAStrangersTwin(DatabaseRotator):
    strategy = "alternating"

    def __init__(self) -> None:
        super().__init__(_Engine(_BelievingSession))


class GrantsAfterPassword(DatabaseRotator):
    strategy = "alternating"

    def __init__(self) -> None:
        super().__init__(_Engine(_HastySession))


class ChangesTheCurrentUser(DatabaseRotator):
    """Says that it alternates, and sets the password of the user in use as well."""

    strategy = "alternating"

    def __init__(self) -> None:
        super().__init__(PostgresEngine())

    def apply(self, rotation: Rotation) -> None:
        super().apply(rotation)
        admin = rotation.admin
        assert admin is not None
        with self.engine.login(admin, rotation.settings) as session:
            session.set_password(rotation.current.text("username"), rotation.pending.text("password"))


Faulty = type[Sound] | type[AcceptsAStrangersTwin] | type[GrantsAfterPassword] | type[ChangesTheCurrentUser]

EXPECTED: dict[Faulty, str] = {
    TouchesTheTargetInPropose: "test_a_proposal_touches_nothing",
    IsNotIdempotent: "test_apply_twice",
    ForgetsTheHistory: "crash matrix: stuck",
    PromotesUntested: "test_verify_fails_before_apply_and_passes_after",
    AcceptsAStrangersTwin: "test_a_stranger_with_the_twins_name_is_refused",
    LeaksInAnError: "test_nothing_secret_is_shown",
    LeaksInALog: "test_nothing_secret_is_shown",
    SwallowsTheStop: "crash matrix: swallowed",
    MixesPendingAndPrevious: "test_a_rotation_gives_a_new_value_that_logs_in",
    GrantsAfterPassword: "crash matrix: leftover",
    DropsUnknownKeys: "test_identity_and_unknown_keys_are_unchanged",
    TakesSilenceForRejection: "test_a_server_that_is_down",
    ChangesTheCurrentUser: "test_the_current_value_logs_in_after_every_step",
}
"""Each bug and the check that is made for it; others may find it too."""
