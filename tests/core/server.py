"""A database server in memory with the contract of an engine; it records what its sessions do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, RotatorFailure, VersionNotStaged
from rotators.core.passwords import PasswordRules
from rotators.core.request import RotationRequest, Step
from rotators.core.rotation import STAGES_SECONDS
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.steps import Outcome, Report, run_step
from rotators.core.store import SecretState
from rotators.strategies.alternating import Alternating
from rotators.strategies.attempts import NOT_CURRENT
from rotators.strategies.credential import Password
from rotators.strategies.dual import Dual
from rotators.strategies.engine import Strategy
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single
from tests.core.test_steps import ARN, NEW, OLD, MemoryStore

ADMIN = {"engine": "memory", "host": "db", "username": "admin", "password": "admin-password"}
APP = {"engine": "memory", "host": "db", "username": "app", "password": "old-password"}
MANAGED = {**APP, "masterarn": "arn:admin"}


@dataclass
class Server:
    """The server.

    Attributes:
        passwords: of each user, the newest first; all of them log in.
        did: what sessions did, in order.
        values: those that logged in.
        refused: errors of users' logins, although the password is right.
        fails: errors of the sessions' methods, by user and name.
        behind_pooler: True if a pooler answers.
        allowed: number of rejected logins in a row that the server allows.
    """

    passwords: dict[str, list[str]] = field(
        default_factory=lambda: {"app": ["old-password"], "admin": ["admin-password"]}
    )
    did: list[tuple[object, ...]] = field(default_factory=list)
    values: list[Secret] = field(default_factory=list)
    refused: dict[str, RotatorFailure] = field(default_factory=dict)
    fails: dict[tuple[str, str], Exception] = field(default_factory=dict)
    behind_pooler: bool = False
    allowed: int | None = None

    def tried(self) -> list[object]:
        """The passwords that were sent for ``app``, in order."""
        return [each[2] for each in self.did if each[:2] == ("login", "app")]

    def changes(self) -> list[tuple[object, ...]]:
        """What sessions did beside logins."""
        return [each for each in self.did if each[0] != "login"]


@dataclass
class Session:
    """One login."""

    server: Server
    user: str
    password: str

    @property
    def account(self) -> str:
        return f"{self.user}@%"

    @property
    def behind_pooler(self) -> bool:
        return self.server.behind_pooler

    def check(self, other: str = "") -> None:
        self._do("check", other)

    def require_ordinary(self, user: str) -> None:
        self._do("require_ordinary", user)

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        self._do("require_resettable", user, *rejected, tls)

    def rejections_allowed(self, user: str) -> int | None:
        self._do("rejections_allowed", user)
        return self.server.allowed

    def set_credential(self, user: str, credential: str) -> None:
        self._do("set_credential", user, credential)
        if user == self.user and self.password != self.server.passwords[user][0]:
            raise CredentialsRejected("not the newest password", reason=NOT_CURRENT)
        self.server.passwords[user] = [credential]

    def set_pair(self, user: str, old: str, new: str) -> None:
        self._do("set_pair", user, old, new)
        self.server.passwords[user.removesuffix("@%")] = [new, old]

    def ensure_clone(self, of: str, clone: str, credential: str) -> None:
        self._do("ensure_clone", of, clone, credential)
        self.server.passwords[clone] = [credential]

    def require_clone(self, of: str, clone: str) -> None:
        self._do("require_clone", of, clone)

    def _do(self, name: str, *arguments: object) -> None:
        self.server.did.append((name, self.user, *arguments))
        if error := self.server.fails.get((self.user, name)):
            raise error


class Unlike(Password):
    """A password that differs from the current one, which strategies have to give."""

    def new(self, settings: Settings, current: Secret | None = None) -> dict[str, object]:
        assert current is not None
        return super().new(settings, current)


class MemoryEngine:
    """The engine ``memory``."""

    names = frozenset({"memory"})
    default_port = 7
    target_defaults: dict[str, str] = {}  # noqa: RUF012 - the contract's type
    longest_username = 12
    credential = Unlike(PasswordRules())

    def __init__(self, server: Server, *strategies: Strategy) -> None:
        self.server = server
        self.strategies: Sequence[Strategy] = strategies or (Single(), Alternating(), Dual())

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[Any]:
        assert settings is not None
        user, password = secret.text("username"), secret.text("password")
        self.server.did.append(("login", user, password, secret.text("host"), secret.get("port")))
        if user in self.server.refused:
            raise self.server.refused[user]
        if password not in self.server.passwords.get(user, ()):
            raise CredentialsRejected("wrong password")
        self.server.values.append(secret)
        yield Session(self.server, user, password)


@dataclass
class Managed(MemoryStore):
    """A store that has the admin's secret."""

    admin_value: dict[str, Any] = field(default_factory=lambda: dict(ADMIN))

    def admin(self, arn: str) -> Secret:
        assert arn == "arn:admin"
        return Secret(self.admin_value)


class Place:
    """A secret and its server.

    Args:
        current: the AWSCURRENT value.
        strategies: of the engine; by default all.
    """

    def __init__(self, current: dict[str, Any], *strategies: Strategy) -> None:
        self.server, self.store = Server(), Managed(values={OLD: Secret(current)})
        self.rotator = EngineRotator(MemoryEngine(self.server, *strategies))
        self.settings = Settings()
        self.report = Report()

    def run(self, step: Step, token: str = NEW) -> Outcome:
        """Run one step."""
        self.report = Report()
        request = RotationRequest(ARN, token, step, None)
        return run_step(request, self.store, self.settings, self.report, self.rotator)

    def set(self, token: str = NEW, **pending: Any) -> str:
        """Run createSecret, change the stored value, and run setSecret; return the pending password."""
        self.run(Step.CREATE, token)
        self.store.values[token] = self.store.values[token].replace(**pending)
        self.server.did.clear()
        self.run(Step.SET, token)
        return self.store.values[token].text("password")

    def set_late(self, patch: pytest.MonkeyPatch) -> None:
        """Run createSecret, and a setSecret during which another rotation begins."""
        now = [1000.0]
        patch.setattr("rotators.core.progress.time.time", lambda: now[0])
        self.run(Step.CREATE)
        describe = self.store.describe

        def slow(secret_id: str) -> SecretState:
            state = describe(secret_id)
            now[0] += STAGES_SECONDS
            self.store.stages = {OLD: {"AWSCURRENT"}, "x" * 32: {"AWSPENDING"}}
            return state

        self.store.describe = slow  # type: ignore[method-assign] # only of this object
        with pytest.raises(VersionNotStaged):
            self.run(Step.SET)

    def add(self, version: str, **changes: Any) -> None:
        """Store a version without a stage."""
        self.store.values[version * 32] = self.store.values[OLD].replace(**changes)
