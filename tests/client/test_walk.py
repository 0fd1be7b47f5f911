"""The decisions alone: every history of a secret and its server, without a clock, a network or a wait."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.aws.reading import SecretVersion
from rotators.client.memory import Memory
from rotators.client.messages import Limits, Login, Pause, Read, Refusal, Verdict
from rotators.client.walk import secret_of, walk
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorsError,
    SecretFormatError,
    SecretNotFound,
    ServiceUnavailable,
)

if TYPE_CHECKING:
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
    script: list[tuple[int, dict[str, object]]] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    memory: Memory = field(default_factory=Memory)

    def connect(self, limits: Limits = Limits()) -> str:  # noqa: B008 - frozen
        """One call; gives the version that was accepted."""
        steps = walk(self.memory, limits, lambda note, _: self.notes.update([note]), clock=lambda: self.now)
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
        if ask.version.version in self.accepts:
            return None
        return Refusal(Verdict.REJECTED, WrongPassword(ask.version.version))

    def read(self, ask: Read) -> SecretVersion | RotatorsError:
        if not ask.anew:
            return self.made(self.remembered or self.current)
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


def test_what_works_is_not_asked_for_again() -> None:
    world = World()
    assert world.connect() == "v1"
    assert (world.logins(), world.reads()) == (["v1"], [])


def test_after_a_rotation_the_new_current_is_found() -> None:
    world = World(current="v2", remembered="v1", previous="v1", accepts={"v2"})
    assert world.connect() == "v2"
    assert (world.logins(), world.reads()) == (["v1", "v2"], ["AWSCURRENT"])


def test_between_commit_and_promotion_the_pending_value_is_found_and_remembered() -> None:
    world = World(pending="v2", accepts={"v2"})
    assert [world.connect() for _ in range(3)] == ["v2"] * 3
    assert world.logins() == ["v1", "v2", "v2", "v2"]
    assert world.reads() == ["AWSCURRENT", "AWSPENDING"]


def test_what_worked_is_forgotten_when_the_label_moves() -> None:
    world = World(pending="v2", accepts={"v2", "v3"})
    assert world.connect() == "v2"
    world.current = world.remembered = "v3"
    assert world.connect() == "v3"
    assert world.logins() == ["v1", "v2", "v3"]


def test_a_replica_that_lags_is_entered_with_the_previous_value() -> None:
    world = World(current="v2", previous="v1", accepts={"v1"})
    assert world.connect() == "v1"
    assert world.reads() == ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"]


def test_a_label_that_moves_between_the_reads_is_found_in_the_next_round() -> None:
    moved: dict[str, object] = {"current": "v2", "pending": None, "previous": "v1"}
    world = World(pending="v2", accepts={"v2"}, script=[(4, moved)])
    assert world.connect() == "v2"
    assert world.reads() == ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "AWSCURRENT"]


def test_the_pending_value_is_left_alone_when_told_so() -> None:
    world = World(pending="v2", accepts={"v2"})
    with pytest.raises(WrongPassword):
        world.connect(Limits(pending=False))
    assert "v2" not in world.logins()
    assert "AWSPENDING" not in world.reads()


def test_a_pending_value_that_may_not_be_read_is_passed_by_and_not_asked_for_again() -> None:
    world = World(current="v2", previous="v1", accepts={"v1"}, denied={"AWSPENDING"})
    assert world.connect() == "v1"
    world.memory.accepted(version("v2"), version("v2"))
    world.now += 10
    assert world.connect() == "v1"
    assert world.reads().count("AWSPENDING") == 1
    assert world.notes["denied"] == 1
    world.now += 300
    world.memory.accepted(version("v2"), version("v2"))
    world.connect()
    assert world.reads().count("AWSPENDING") == 2


def test_a_current_value_that_may_not_be_read_is_asked_for_again() -> None:
    given_back: dict[str, object] = {"denied": set()}
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, denied={"AWSCURRENT"}, script=[(6, given_back)]
    )
    assert world.connect() == "v2"
    assert world.notes["unreadable"] == 1


@pytest.mark.parametrize("key", ["engine", "host", "port", "dbname", "ssl", "sslrootcert"])
def test_a_pending_value_that_leads_elsewhere_is_never_used(key: str) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": {key: "other"}})
    with pytest.raises(WrongPassword):
        world.connect()
    assert "v2" not in world.logins()
    assert world.notes["other-target"]


def test_a_current_value_may_lead_elsewhere_for_a_move_is_made_that_way() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, changes={"v2": {"host": "new"}})
    assert world.connect() == "v2"


def test_a_server_that_is_not_there_is_asked_again_with_the_same_value_and_nothing_is_read() -> None:
    world = World(there=False, script=[(12, {"there": True})])
    assert world.connect() == "v1"
    assert set(world.logins()) == {"v1"}
    assert world.reads() == []
    assert world.notes["unavailable"] == 5


def test_a_server_that_stays_away_is_given_up_at_the_deadline_with_the_driver_s_error() -> None:
    world = World(there=False)
    with pytest.raises(NobodyThere):
        world.connect(Limits(deadline=5))
    assert 2.5 <= world.now <= 5
    assert len(world.logins()) < 16


def test_a_dead_credential_costs_few_logins_and_the_drivers_error() -> None:
    world = World(previous="v0", accepts=set())
    with pytest.raises(WrongPassword):
        world.connect()
    assert world.now <= 10.1
    assert Counter(world.logins()) == {"v1": 3, "v0": 3}
    assert len(world.reads()) <= 3 * 13


def test_a_dead_credential_is_tried_ever_more_seldom_by_all_calls_together() -> None:
    world = World(accepts=set())
    errors = []
    while world.now < 600:
        with pytest.raises((WrongPassword, CredentialsRejected)) as caught:
            world.connect()
        errors.append(caught.value)
    # After 2, 4, 8, 16, 32 seconds, then each minute or when somebody next asks.
    assert 12 <= len(world.logins()) <= 15
    held = [error for error in errors if isinstance(error, CredentialsRejected)]
    assert held[0].full_code == "credentials-rejected/held-back"


def test_a_call_is_rejected_so_many_times_and_no_more() -> None:
    world = World(accepts=set())
    names = iter(range(2, 1000))

    class Moving(World):
        def read(self, ask: Read) -> SecretVersion | RotatorsError:
            return version(f"v{next(names)}") if ask.anew else version("v1")

    moving = Moving(accepts=set())
    with pytest.raises(WrongPassword):
        moving.connect(Limits(logins=5))
    assert len(moving.logins()) == 5
    assert world.logins() == []


def test_when_secrets_manager_is_down_what_is_in_memory_works() -> None:
    world = World(readable=False)
    assert world.connect() == "v1"


def test_when_secrets_manager_is_down_a_rejection_comes_out_at_the_deadline() -> None:
    world = World(readable=False, accepts=set())
    with pytest.raises(WrongPassword):
        world.connect(Limits(deadline=3))
    assert world.now <= 3.1


def test_a_secret_that_cannot_be_read_at_all_says_so() -> None:
    class Unreadable(World):
        def read(self, ask: Read) -> SecretVersion | RotatorsError:
            return AccessDenied("no") if not ask.anew else super().read(ask)

    with pytest.raises(AccessDenied):
        Unreadable().connect()


@pytest.mark.parametrize("content", [b"\0", "no json", "[]"])
def test_a_current_value_that_is_no_login_says_so(content: str | bytes) -> None:
    with pytest.raises(SecretFormatError):
        secret_of(SecretVersion("arn", "secret", "v", (), content))


def test_a_pending_value_that_is_no_login_is_passed_by() -> None:
    class Odd(World):
        def made(self, name: str) -> SecretVersion:
            odd = SecretVersion("arn", "secret", name, (), "no json")
            return odd if name == "v2" else super().made(name)

    world = Odd(pending="v2", accepts=set())
    with pytest.raises(WrongPassword):
        world.connect()
    assert "v2" not in world.logins()


SECRETS = st.sampled_from(["v0", "v1", "v2", "v3"])
MOMENTS = st.fixed_dictionaries(
    {
        "current": SECRETS,
        "pending": st.none() | SECRETS,
        "previous": st.none() | SECRETS,
        "accepts": st.sets(SECRETS),
        "there": st.booleans(),
        "readable": st.booleans(),
    }
)


@settings(max_examples=300)
@given(
    remembered=SECRETS,
    moments=st.lists(st.tuples(st.integers(1, 40), MOMENTS), max_size=5),
    last=MOMENTS,
    calls=st.integers(1, 3),
)
def test_whatever_happens_a_call_ends_in_time_and_finds_what_stays_valid(
    remembered: str, moments: list[tuple[int, dict[str, object]]], last: dict[str, object], calls: int
) -> None:
    world = World(remembered=remembered, script=sorted(moments, key=lambda moment: moment[0]))
    for _ in range(calls):
        began, before = world.now, len(world.logins())
        try:
            accepted: str | None = world.connect()
        except (WrongPassword, NobodyThere, RotatorsError):
            accepted = None
        assert world.now - began <= 10.2
        rejected = [ask for ask in world.logins()[before:] if ask != accepted]
        assert accepted is None or accepted == world.logins()[-1]
        assert len(rejected) <= 40
    # Once nothing changes any more, AWSCURRENT is what the server accepts, and old rejections are forgotten …
    vars(world).update(last, script=[], there=True, readable=True, accepts={last["current"]})
    world.now += 61
    # … every call succeeds.
    assert world.connect() == last["current"]


@given(SECRETS, st.none() | SECRETS, st.none() | SECRETS, SECRETS)
def test_whichever_label_is_on_what_works_it_is_found(
    current: str, pending: str | None, previous: str | None, remembered: str
) -> None:
    for works in {current, pending, previous, remembered} - {None}:
        world = World(
            current=current, pending=pending, previous=previous, remembered=remembered, accepts={str(works)}
        )
        assert world.connect() == works
        assert len(world.logins()) <= 4
