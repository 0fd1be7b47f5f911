"""Scripted histories of a secret and its server. They test the login flow without I/O."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotators.aws.secrets import SecretVersion
from rotators.client._flow import Attempt, Close, Connected, Fetch, Limits, LoginFlow, Pause
from rotators.client._login_results import LoginResults
from rotators.core.errors import (
    AccessDenied,
    RotatorsError,
    SecretNotFound,
    ServiceUnavailable,
)
from rotators.logins.driver import Driver, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.client._flow import Request


class WrongPassword(Exception):
    """The driver's error with its verdict."""


class NobodyThere(Exception):
    """The driver's error with its verdict."""


DRIVER = Driver("nothing", lambda _secret, _given: {}, lambda error, _: error.args[0], port=5432)


def version(name: str, **changes: object) -> SecretVersion:
    value = {"engine": "postgres", "host": "h", "username": "app", "password": name, **changes}
    return SecretVersion("arn", "secret", name, (), json.dumps(value))


@dataclass
class World:
    """A secret's stages, in Secrets Manager and in the cache, and the versions that the server accepts."""

    current: str = "v1"
    remembered: str | None = None
    pending: str | None = None
    previous: str | None = None
    accepts: set[str] = field(default_factory=lambda: {"v1"})
    there: bool = True
    readable: bool = True
    denied: set[str] = field(default_factory=set)
    changes: dict[str, dict[str, object]] = field(default_factory=dict)
    now: float = 0.0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    stale: list[str] = field(default_factory=list)
    script: list[tuple[int, dict[str, object]]] = field(default_factory=list)
    asks: list[Request] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    memory: LoginResults = field(default_factory=LoginResults)

    def connect(
        self,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        given: Iterable[str] = (),
    ) -> str:
        """Run one call; return the version that was accepted."""
        flow = LoginFlow(
            self.memory,
            limits,
            lambda note, _: self.notes.update([note]),
            DRIVER,
            given,
            mark=lambda: 0,
            clock=lambda: self.now,
        ).run()
        answer: object = None
        while True:
            try:
                ask = flow.send(answer)
            except StopIteration as done:
                return str(done.value)
            self.asks.append(ask)
            self.now += 0.001
            while self.script and self.script[0][0] <= len(self.asks):
                vars(self).update(self.script.pop(0)[1])
            answer = self.answer(ask)

    def answer(self, ask: Request) -> object:
        assert not isinstance(ask, Close)
        if isinstance(ask, Pause):
            self.now += ask.seconds
            return None
        if isinstance(ask, Fetch):
            return self.read(ask)
        if not self.there:
            return NobodyThere(Verdict.UNAVAILABLE)
        if ask.version in self.silent:
            self.now += ask.seconds
        if ask.version in self.verdicts:
            return NobodyThere(self.verdicts[ask.version])
        return Connected(ask.version) if ask.version in self.accepts else WrongPassword(Verdict.REJECTED)

    def read(self, ask: Fetch) -> SecretVersion | RotatorsError:
        if ask.since is None:
            return self.made(self.stale.pop() if self.stale else self.remembered or self.current)
        if not self.readable:
            self.now += ask.timeout or 0.0
            return ServiceUnavailable("down")
        if ask.stage in self.denied:
            return AccessDenied("no")
        stages = {"AWSCURRENT": self.current, "AWSPENDING": self.pending, "AWSPREVIOUS": self.previous}
        found = stages[str(ask.stage)]
        if ask.stage == "AWSCURRENT":
            self.remembered = found
        return self.made(found) if found else SecretNotFound("none", reason="version")

    def made(self, name: str) -> SecretVersion:
        return version(name, **self.changes.get(name, {}))

    def logins(self) -> list[str]:
        return [ask.version for ask in self.asks if isinstance(ask, Attempt)]

    def reads(self) -> list[str]:
        return [str(ask.stage) for ask in self.asks if isinstance(ask, Fetch) and ask.since is not None]
