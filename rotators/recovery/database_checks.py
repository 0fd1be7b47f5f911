"""Checks of `rotators check` in the database: password rules, the admin and its rights, the second user."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rotators.core.errors import RotatorsError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.target import direct
from rotators.recovery.checks import Check, failed_by, log_in, of_login
from rotators.strategies.alternating import SUFFIX, other_user
from rotators.strategies.identity import check_admin, for_users_of
from rotators.strategies.preflight import Forgetful, Preflight
from rotators.strategies.rotator import lacks_admin, strategy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.strategies.engine import Engine


@dataclass(frozen=True)
class DatabaseChecks:
    """Checks of a database, in addition to the login of the current value.

    Attributes:
        engine: engine of the database.
        value: current value.
        admin: the admin's value, or None.
        settings: settings of the rotation function.
        known: True if ``settings`` are the function's own, so that its password rules can be checked.
    """

    engine: Engine
    value: Secret = field(repr=False)
    admin: Secret | None = field(repr=False)
    settings: Settings
    known: bool

    def all(self, login: Callable[[], object]) -> Iterator[Check]:
        """Yield every check, in the order of a rotation.

        Args:
            login: logs in with the current value, as testSecret does.

        Yields:
            Checks of any result; those that need a login are left out if it failed.
        """
        reached = yield from of_login(self.value, login, helped=self.admin is not None)
        try:
            self.engine.credential.new(self.settings)
        except RotatorsError as error:
            yield failed_by("password rules", error)
        if reached:
            yield from self._questions(self.value, self._pooler)
            if not self._admin_changes:
                yield from self._questions(direct(self.value, self.engine), self._server)
        yield from self._admin(reached=reached)

    @property
    def _admin_changes(self) -> bool:
        """True for an engine whose users cannot change their credential or read facts about the server."""
        return all(strategy.needs_admin for strategy in self.engine.strategies)

    def _pooler(self, session: Any) -> Iterator[Check]:
        """Check for a pooler at ``host``: after a rotation it can still expect the previous password."""
        name, strategy = "the server itself answers", strategy_of(self.value, self.engine)
        if not session.behind_pooler:
            yield Check.ok(name, "no pooler or proxy was detected")
        elif direct(self.value, self.engine) != self.value:
            yield Check.unneeded(
                name, "a pooler or proxy answers at host; passwords are changed at admin_host"
            )
        elif strategy == "single":
            yield Check.failed(
                name,
                "a pooler or proxy answers at host, and single would change the password through it",
                "Name the server itself in admin_host (docs/how-to/recovery.md, Behind a pooler or proxy).",
            )
        else:
            cause = (
                "a pooler or proxy answers; it must read passwords from the server, or you must set "
                "them in it"
            )
            yield Check.unknown(name, cause)

    def _server(self, session: Preflight) -> Iterator[Check]:
        name = "the server accepts changes"
        if not session.writable():
            yield Check.failed(
                name,
                "the server is read-only or a replica",
                "Use the writer's endpoint as the secret's host.",
            )
            return
        yield Check.ok(name, "it is a primary")
        demands = session.demands()
        name = "password rules"
        if not self.known:
            yield Check.unknown(name, "the function's password settings could not be read")
        elif unmet := demands.unmet(self.settings.password):
            yield Check.failed(name, unmet, "Change the stack's password parameters, or the server's rules.")
        elif demands.unknown:
            yield Check.unknown(
                name, f"the server also uses {', '.join(demands.unknown)}, whose rules are not shown"
            )
        else:
            yield Check.ok(name, "the function's passwords meet the server's rules")

    def _admin(self, *, reached: bool) -> Iterator[Check]:
        strategy, admin = strategy_of(self.value, self.engine), self.admin
        if admin is None:
            yield from self._without_admin(strategy, reached=reached)
            return
        try:
            check_admin(admin, self.value, set(), self.engine)
            admin = for_users_of(admin, self.value, self.engine)
        except RotatorsError as error:
            yield failed_by("admin login", error)
            return

        login = partial(log_in, self.engine, admin, self.settings)
        accepted = yield from of_login(admin, login, "admin ")
        if accepted and (self._admin_changes or not reached):
            yield from self._questions(admin, self._server)
        if accepted:
            yield from self._questions(admin, lambda session: self._rights(session, strategy))

    def _without_admin(self, strategy: str, *, reached: bool) -> Iterator[Check]:
        name = "admin login"
        if "masterarn" in self.value:
            yield Check.unknown(name, "the admin's secret could not be read")
        elif lacks_admin(self.value, self.engine):
            cause = f"the strategy {strategy} needs an admin, and the secret names no masterarn"
            yield Check.failed(name, cause, "Give the secret a masterarn.")
        else:
            yield Check.unneeded(name, f"{strategy} works without an admin")
            if strategy == "dual" and reached:
                yield from self._questions(self.value, self._own_rights)

    def _own_rights(self, session: Any) -> Iterator[Check]:
        """Check the right that a user needs to set two passwords without an admin; most users lack it."""
        missing = session.missing_for_own_pair()
        fault = missing and f"the user lacks {missing}"
        remedy = f"Grant it to the user ({missing}), or give the secret a masterarn."
        yield Check.unless(fault, "user rights", "the user may set both of its passwords", remedy)

    def _rights(self, session: Any, strategy: str) -> Iterator[Check]:
        user = self.value.text("username")
        missing = session.missing_for_reset(user)
        fault, detail = (
            missing and f"the admin lacks {missing}",
            f"the admin may set the password of {user!r}",
        )
        yield Check.unless(fault, "admin rights", detail, f"Grant it to the admin: {missing}.")
        if isinstance(session, Forgetful):
            name, detail = "a restart keeps the password", "every node saves its users"
            remedy = "Start the server with an ACL file or a configuration file that it can write."
            yield Check.unless(session.forgets(), name, detail, remedy)
        yield self._second_user(session, user, strategy)

    def _second_user(self, session: Any, user: str, strategy: str) -> Check:
        name = "second user"
        if strategy != "alternating":
            return Check.unneeded(name, f"{strategy} has one user")
        try:
            other = other_user(self.value, self.engine)
        except RotatorsError as error:
            return failed_by(name, error)
        try:
            session.require_clone(user, other)
        except RotatorsError as error:
            made_by_us = other == user + SUFFIX and "alternate_username" not in self.value
            if error.reason != "no-user" or not made_by_us:
                return failed_by(name, error)
            return self._new_second_user(session, user, other)
        missing = session.missing_for_reset(other)
        fault = missing and f"the admin lacks {missing}, to set the password of {other!r}"
        detail = f"{other!r} exists and belongs to {user!r}"
        return Check.unless(fault, name, detail, f"Grant it to the admin: {missing}.")

    def _new_second_user(self, session: Any, user: str, other: str) -> Check:
        missing = session.missing_for_clone(user)
        fault = missing and f"{other!r} does not exist, and the admin lacks {missing}"
        detail = f"{other!r} does not exist; the first rotation creates it"
        remedy = f"Grant it to the admin ({missing}), or create a user and name it in alternate_username."
        return Check.unless(fault, "second user", detail, remedy)

    def _questions(self, value: Secret, ask: Callable[[Any], Iterator[Check]]) -> Iterator[Check]:
        """Make checks in a separate login. If the server refuses an answer, the check has failed."""
        try:
            with self.engine.login(value, self.settings) as session:
                if isinstance(session, Preflight):
                    yield from list(ask(session))
        except RotatorsError as error:
            yield failed_by("queries to the server", error)
