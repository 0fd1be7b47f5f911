"""A secret and its server whose history a test writes, and calls that find their way in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotators.aws.reading import SecretVersion
from rotators.client.memory import Memory
from rotators.client.messages import Limits, Login, Pause, Read, Refusal
from rotators.client.target import Destination
from rotators.client.walk import walk
from rotators.core.errors import (
    AccessDenied,
    RotatorsError,
    SecretNotFound,
    ServiceUnavailable,
)
from rotators.logins.driver import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.client.messages import Answer, Ask


class WrongPassword(Exception):
    """What a driver raises."""


class NobodyThere(Exception):
    """What a driver raises."""


def version(name: str, **changes: object) -> SecretVersion:
    value = {"engine": "postgres", "host": "h", "username": "app", "password": name, **changes}
    return SecretVersion("arn", "secret", name, (), json.dumps(value))


@dataclass
class World:
    """A secret's labels as they are and as memory has them, and what the server accepts."""

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
    asks: list[Ask] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    memory: Memory = field(default_factory=Memory)

    def connect(
        self,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        given: Iterable[str] = (),
    ) -> str:
        """One call; gives the version that was accepted."""
        steps = walk(
            self.memory,
            limits,
            lambda note, _: self.notes.update([note]),
            Destination(frozenset(given), 5432),
            clock=lambda: self.now,
        )
        answer: Answer = None
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration as done:
                accepted: SecretVersion = done.value
                return accepted.version
            self.asks.append(ask)
            self.now += 0.001
            while self.script and self.script[0][0] <= len(self.asks):
                vars(self).update(self.script.pop(0)[1])
            answer = self.answer(ask)

    def answer(self, ask: Ask) -> Answer:
        if isinstance(ask, Pause):
            self.now += ask.seconds
            return None
        if isinstance(ask, Read):
            return self.read(ask)
        if not self.there:
            return Refusal(Verdict.UNAVAILABLE, NobodyThere())
        if ask.version.version in self.silent:
            self.now += ask.seconds
        if ask.version.version in self.verdicts:
            return Refusal(self.verdicts[ask.version.version], NobodyThere())
        if ask.version.version in self.accepts:
            return None
        return Refusal(Verdict.REJECTED, WrongPassword(ask.version.version))

    def read(self, ask: Read) -> SecretVersion | RotatorsError:
        if not ask.anew:
            return self.made(self.stale.pop() if self.stale else self.remembered or self.current)
        if not self.readable:
            self.now += ask.seconds
            return ServiceUnavailable("down")
        if ask.stage in self.denied:
            return AccessDenied("no")
        labels = {"AWSCURRENT": self.current, "AWSPENDING": self.pending, "AWSPREVIOUS": self.previous}
        found = labels[ask.stage]
        if ask.stage == "AWSCURRENT":
            self.remembered = found
        return self.made(found) if found else SecretNotFound("none", reason="version")

    def made(self, name: str) -> SecretVersion:
        return version(name, **self.changes.get(name, {}))

    def logins(self) -> list[str]:
        return [ask.version.version for ask in self.asks if isinstance(ask, Login)]

    def reads(self) -> list[str]:
        return [ask.stage for ask in self.asks if isinstance(ask, Read) and ask.anew]
