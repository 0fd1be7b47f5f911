"""What a preflight asks a database: password rules, the admin and its rights, the second user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.core.errors import RotatorsError
from rotators.core.registry import strategy_name
from rotators.core.rotation import NoPast, Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.recovery.checks import Check, Result, failed_by, of_login
from rotators.strategies.alternating import SUFFIX, other_user
from rotators.strategies.database import DatabaseRotator
from rotators.strategies.identity import proven_admin
from rotators.strategies.preflight import Preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class DatabaseChecks:
    """The checks of a database beyond the login of the current value.

    Attributes:
        rotator: of the database.
        value: the current value.
        admin: the admin's value, or None.
        settings: as the rotation function has them.
    """

    rotator: DatabaseRotator
    value: Secret = field(repr=False)
    admin: Secret | None = field(repr=False)
    settings: Settings

    def all(self, *, reached: bool) -> Iterator[Check]:
        """Every check, in the order in which a rotation meets what it is about.

        Args:
            reached: whether the current value logs in, so that its session can be asked.
        """
        engine, settings = self.rotator.engine, self.settings
        name = "password rules"
        try:
            settings.password.generate(engine.password_rules)
        except RotatorsError as error:
            yield failed_by(name, error)
        else:
            if reached:
                yield from self._questions(self.value, self._server)
        yield from self._admin()

    def _server(self, session: Preflight) -> Iterator[Check]:
        name = "the server accepts changes"
        if not session.writable():
            yield Check(
                name,
                Result.FAILED,
                "the server is read-only or a replica",
                "Use the writer's endpoint as the secret's host.",
            )
            return
        yield Check(name, Result.OK, "it is a primary")
        demands = session.demands()
        name = "password rules"
        if unmet := demands.unmet(self.settings.password):
            yield Check(
                name, Result.FAILED, unmet, "Change the stack's password parameters, or the server's rules."
            )
        elif demands.unknown:
            yield Check(
                name,
                Result.UNKNOWN,
                f"the server also asks {', '.join(demands.unknown)}, whose rules are not shown",
            )
        else:
            yield Check(name, Result.OK, "the function's passwords fit the server's rules")

    def _admin(self) -> Iterator[Check]:
        strategy, admin = strategy_name(self.value), self.admin
        if admin is None:
            if strategy == "alternating":
                yield Check(
                    "admin login",
                    Result.FAILED,
                    "the strategy alternating needs an admin, and there is none that can be read",
                    "Give the secret a masterarn.",
                )
            else:
                yield Check("admin login", Result.UNNEEDED, f"{strategy} works without an admin")
            return
        rotation = Rotation(self.value, self.settings, self.value, _WithAdmin(admin))
        try:
            proven_admin(rotation, self.rotator.engine)
        except RotatorsError as error:
            yield failed_by("admin login", error)
            return

        def login() -> None:
            with self.rotator.engine.login(admin, self.settings) as session:
                session.check()

        accepted = yield from of_login(admin, login, "admin ")
        if accepted:
            yield from self._questions(admin, lambda session: self._rights(session, strategy))

    def _rights(self, session: Any, strategy: str) -> Iterator[Check]:
        user, name = self.value.text("username"), "admin rights"
        missing = session.missing_for_reset(user)
        if missing:
            yield Check(
                name, Result.FAILED, f"the admin lacks {missing}", f"Grant it to the admin: {missing}."
            )
        else:
            yield Check(name, Result.OK, f"it may set the password of {user!r}")
        yield self._second_user(session, user, strategy)

    def _second_user(self, session: Any, user: str, strategy: str) -> Check:
        name = "second user"
        if strategy != "alternating":
            return Check(name, Result.UNNEEDED, f"{strategy} has one user")
        try:
            other = other_user(self.value, self.rotator.engine)
        except RotatorsError as error:
            return failed_by(name, error)
        try:
            session.require_twin(user, other)
        except RotatorsError as error:
            made_by_us = other == user + SUFFIX and "alternate_username" not in self.value
            if error.reason != "no-user" or not made_by_us:
                return failed_by(name, error)
            return self._new_second_user(session, user, other)
        return Check(name, Result.OK, f"{other!r} exists and belongs to {user!r}")

    def _new_second_user(self, session: Any, user: str, other: str) -> Check:
        name, missing = "second user", session.missing_for_twin(user)
        if missing:
            return Check(
                name,
                Result.FAILED,
                f"{other!r} does not exist, and the admin lacks {missing}",
                f"Grant it to the admin ({missing}), or create a user and name it in alternate_username.",
            )
        return Check(name, Result.OK, f"{other!r} does not exist; the first rotation creates it")

    def _questions(self, value: Secret, ask: Callable[[Any], Iterator[Check]]) -> Iterator[Check]:
        """Ask in a login of its own; what the server refuses to tell is a check that failed."""
        try:
            with self.rotator.engine.login(value, self.settings) as session:
                if isinstance(session, Preflight):
                    yield from list(ask(session))
        except RotatorsError as error:
            yield failed_by("questions to the server", error)


@dataclass(frozen=True)
class _WithAdmin(NoPast):
    """A past that has nothing but an admin."""

    chief: Secret = field(repr=False)

    def admin(self) -> Secret | None:
        return self.chief
