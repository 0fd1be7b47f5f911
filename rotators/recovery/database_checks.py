"""What a preflight asks a database: password rules, the admin and its rights, the second user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.core.errors import RotatorsError
from rotators.core.registry import strategy_name
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.target import direct
from rotators.recovery.checks import Check, Result, failed_by, of_login
from rotators.strategies.alternating import SUFFIX, other_user
from rotators.strategies.identity import proven_admin
from rotators.strategies.preflight import Preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.strategies.engine import Engine


@dataclass(frozen=True)
class DatabaseChecks:
    """The checks of a database beyond the login of the current value.

    Attributes:
        engine: of the database.
        value: the current value.
        admin: the admin's value, or None.
        settings: as the rotation function has them.
        known: whether ``settings`` are the function's own, so that its password rules can be judged.
    """

    engine: Engine
    value: Secret = field(repr=False)
    admin: Secret | None = field(repr=False)
    settings: Settings
    known: bool

    def all(self, login: Callable[[], object]) -> Iterator[Check]:
        """Every check, in the order of a rotation.

        Args:
            login: logs in with the current value, as testSecret does.
        """
        reached = yield from of_login(self.value, login, helped=self.admin is not None)
        try:
            self.engine.credential.new(self.settings)
        except RotatorsError as error:
            yield failed_by("password rules", error)
        if reached:
            yield from self._questions(self.value, self._pooler)
            yield from self._questions(direct(self.value, self.engine), self._server)
        yield from self._admin(reached=reached)

    def _pooler(self, session: Any) -> Iterator[Check]:
        """Whether a pooler answers at ``host``: it may go on asking for the password of before a rotation."""
        name, strategy = "the server itself answers", strategy_name(self.value)
        if not session.behind_pooler:
            yield Check(name, Result.OK, "no pooler or proxy was noticed")
        elif direct(self.value, self.engine) != self.value:
            yield Check(name, Result.UNNEEDED, "a pooler or proxy does; passwords are changed at admin_host")
        elif strategy == "single":
            yield Check(
                name,
                Result.FAILED,
                "a pooler or proxy answers at host, and single would change the password through it",
                "Name the server itself in admin_host (docs/how-to/recovery.md, Behind a pooler or proxy).",
            )
        else:
            cause = "a pooler or proxy does; it must look passwords up in the server, or be given them"
            yield Check(name, Result.UNKNOWN, cause)

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
        if not self.known:
            yield Check(name, Result.UNKNOWN, "the function's password settings could not be read")
        elif unmet := demands.unmet(self.settings.password):
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

    def _admin(self, *, reached: bool) -> Iterator[Check]:
        strategy, admin = strategy_name(self.value), self.admin
        if admin is None:
            yield from self._without_admin(strategy, reached=reached)
            return
        rotation = Rotation(self.value, self.settings, self.value, read_admin=lambda: admin)
        try:
            proven_admin(rotation, self.engine)
        except RotatorsError as error:
            yield failed_by("admin login", error)
            return

        def login() -> None:
            with self.engine.login(admin, self.settings) as session:
                session.check()

        accepted = yield from of_login(admin, login, "admin ")
        if accepted and not reached:
            yield from self._questions(admin, self._server)
        if accepted:
            yield from self._questions(admin, lambda session: self._rights(session, strategy))

    def _without_admin(self, strategy: str, *, reached: bool) -> Iterator[Check]:
        name = "admin login"
        if "masterarn" in self.value:
            yield Check(name, Result.UNKNOWN, "the admin's secret could not be read")
        elif strategy == "alternating":
            cause = "the strategy alternating needs an admin, and the secret names none"
            yield Check(name, Result.FAILED, cause, "Give the secret a masterarn.")
        else:
            yield Check(name, Result.UNNEEDED, f"{strategy} works without an admin")
            if strategy == "dual" and reached:
                yield from self._questions(self.value, self._own_rights)

    def _own_rights(self, session: Any) -> Iterator[Check]:
        """With two passwords and no admin, the user itself needs a right that most users lack."""
        missing = session.missing_for_own_pair()
        if missing:
            remedy = f"Grant it to the user ({missing}), or give the secret a masterarn."
            yield Check("user rights", Result.FAILED, f"the user lacks {missing}", remedy)
        else:
            yield Check("user rights", Result.OK, "it may set both of its passwords")

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
        if missing := session.missing_for_reset(other):
            cause = f"the admin lacks {missing}, to set the password of {other!r}"
            return Check(name, Result.FAILED, cause, f"Grant it to the admin: {missing}.")
        return Check(name, Result.OK, f"{other!r} exists and belongs to {user!r}")

    def _new_second_user(self, session: Any, user: str, other: str) -> Check:
        name, missing = "second user", session.missing_for_clone(user)
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
            with self.engine.login(value, self.settings) as session:
                if isinstance(session, Preflight):
                    yield from list(ask(session))
        except RotatorsError as error:
            yield failed_by("questions to the server", error)
