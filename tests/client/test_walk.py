"""The decisions alone: every history of a secret and its server, without a clock, a network or a wait."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.aws.reading import SecretVersion
from rotators.client.memory import Memory
from rotators.client.messages import Limits, Login, Pause, Read, Refusal, Verdict
from rotators.client.target import Destination
from rotators.client.walk import secret_of, walk
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorsError,
    SecretFormatError,
    SecretNotFound,
    ServiceUnavailable,
    TargetRefused,
)

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


ELSEWHERE: list[dict[str, object]] = [
    {"engine": "mysql"},
    {"host": "other"},
    {"port": 5433},
    {"port": "other"},
    {"ssl": False},
    {"ssl": "other"},
    {"sslrootcert": "other"},
    {"admin_host": "other"},
    {"admin_port": 5433},
    {"server_public_key": "other"},
]
SAME: list[dict[str, object]] = [
    {"port": 5432},
    {"port": "5432"},
    {"port": None},
    {"port": ""},
    {"host": "H"},
    {"engine": None},
    {"engine": "aurora-postgresql"},
    {"ssl": "True"},
    {"ssl": None},
    {"sslrootcert": None},
    {"admin_host": "h", "admin_port": "5432"},
    {"server_public_key": None},
    {"dbname": "another database of the same server"},
]


@pytest.mark.parametrize("changed", ELSEWHERE)
@pytest.mark.parametrize("label", ["pending", "previous"])
def test_a_version_that_was_stored_for_another_target_is_never_used(
    changed: dict[str, object], label: str
) -> None:
    world = World(accepts={"v2"}, changes={"v2": changed})
    vars(world)[label] = "v2"
    with pytest.raises(WrongPassword):
        world.connect()
    assert "v2" not in world.logins()
    assert world.notes["other-target"]


@pytest.mark.parametrize("changed", SAME)
def test_a_version_that_writes_the_same_target_in_another_way_is_used(changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    assert world.connect() == "v2"


@given(
    st.dictionaries(
        st.sampled_from(sorted({key for changed in ELSEWHERE for key in changed})),
        st.sampled_from([None, True, False, 0, 1, 5432, [], {}, "", "h", "5432", "other", "False", "mysql"]),
    ),
)
def test_whatever_is_in_a_version_it_is_used_for_the_current_target_only(changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    with contextlib.suppress(WrongPassword):
        world.connect()
    if "v2" in world.logins():
        assert changed.get("host", "h") == "h"
        assert changed.get("port") in {None, "", 5432}
        assert changed.get("ssl") not in {False, "False"}


@pytest.mark.parametrize(
    ("name", "changed"), [("host", {"host": "other"}), ("port", {"port": 1}), ("sslmode", {"ssl": False})]
)
def test_what_the_caller_decides_is_not_compared(name: str, changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    assert world.connect(given={name}) == "v2"


def test_what_worked_for_a_caller_with_a_host_of_his_own_is_not_used_for_others() -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": {"host": "other"}})
    assert world.connect(given={"host"}) == "v2"
    with pytest.raises((WrongPassword, CredentialsRejected)):
        world.connect()
    assert world.logins().count("v2") == 1
    assert world.connect(given={"host"}) == "v2"


def test_a_current_value_may_lead_elsewhere_for_a_move_is_made_that_way() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, changes={"v2": {"host": "new"}})
    assert world.connect() == "v2"


def test_a_server_that_is_not_there_is_asked_again_with_the_same_value_and_only_current_is_read() -> None:
    world = World(there=False, script=[(12, {"there": True})])
    assert world.connect() == "v1"
    assert set(world.logins()) == {"v1"}
    assert world.reads() == ["AWSCURRENT"]
    assert world.notes["unavailable"] == 5


@pytest.mark.parametrize("changed", [{"host": "new"}, {"port": 5433}, {"dbname": "new"}, {"password": "new"}])
@pytest.mark.parametrize("verdict", [Verdict.UNAVAILABLE, Verdict.DATABASE, Verdict.SERVER])
def test_an_address_that_has_changed_is_followed_after_the_first_failure(
    verdict: Verdict, changed: dict[str, object]
) -> None:
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict}, changes={"v2": changed}
    )
    assert world.connect() == "v2"
    assert (world.logins(), world.reads()) == (["v1", "v2"], ["AWSCURRENT"])
    assert world.notes["moved"] == 1
    assert world.now < 0.1


def test_an_address_that_changes_while_a_call_waits_is_followed() -> None:
    moved: dict[str, object] = {"current": "v2", "accepts": {"v2"}}
    world = World(verdicts={"v1": Verdict.UNAVAILABLE}, script=[(12, moved)])
    assert world.connect() == "v2"


def test_an_outage_costs_one_read_in_two_seconds_however_many_calls_there_are() -> None:
    world = World(there=False)
    while world.now < 60:
        with pytest.raises(NobodyThere):
            world.connect(Limits(deadline=0.5))
    assert 20 <= len(world.reads()) <= 31
    assert set(world.reads()) == {"AWSCURRENT"}


def test_a_call_learns_from_another_one_that_the_address_has_changed() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    assert world.connect() == "v2"
    before = world.now
    # It began with the old value, and may not read the new one itself for two seconds.
    stale = replace(world, asks=[], stale=["v1"])
    assert stale.connect() == "v2"
    assert (stale.logins(), stale.reads()) == (["v1", "v2"], [])
    assert stale.now - before < 2


@pytest.mark.parametrize(
    ("verdict", "names"),
    [
        (Verdict.UNAVAILABLE, {"host", "port"}),
        (Verdict.UNAVAILABLE, {"unix_socket"}),
        (Verdict.DATABASE, {"dbname"}),
        (Verdict.DATABASE, {"database"}),
        (Verdict.SERVER, {"host"}),
    ],
)
def test_what_the_caller_decides_costs_no_read(verdict: Verdict, names: set[str]) -> None:
    world = World(current="v2", remembered="v1", verdicts={"v1": verdict, "v2": verdict})
    with pytest.raises(NobodyThere):
        world.connect(given=names)
    assert world.reads() == []


@pytest.mark.parametrize("verdict", [Verdict.DATABASE, Verdict.SERVER, Verdict.CLOSED, Verdict.BLOCKED])
def test_an_error_that_current_does_not_explain_is_raised_at_once(verdict: Verdict) -> None:
    world = World(pending="v2", previous="v0", verdicts={"v1": verdict})
    with pytest.raises(NobodyThere):
        world.connect()
    assert (world.logins(), world.reads()) == (["v1"], ["AWSCURRENT"])


@pytest.mark.parametrize("verdict", [Verdict.CLOSED, Verdict.BLOCKED])
def test_an_account_that_is_closed_is_not_helped_by_another_password(verdict: Verdict) -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict})
    with pytest.raises(NobodyThere):
        world.connect()
    assert world.logins() == ["v1"]


@pytest.mark.parametrize("verdict", [Verdict.CLOSED, Verdict.BLOCKED])
@pytest.mark.parametrize("changed", [{"username": "app_clone"}, {"host": "new"}])
def test_another_account_is_tried_instead_of_one_that_is_closed(
    verdict: Verdict, changed: dict[str, object]
) -> None:
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict}, changes={"v2": changed}
    )
    assert world.connect() == "v2"
    assert world.logins() == ["v1", "v2"]


def test_an_account_that_is_blocked_is_tried_ever_more_seldom() -> None:
    world = World(verdicts={"v1": Verdict.BLOCKED}, pending="v2", previous="v0")
    errors = []
    while world.now < 600:
        with pytest.raises((NobodyThere, TargetRefused)) as caught:
            world.connect()
        errors.append(caught.value)
        world.now += 1
    # After 2, 4, 8, 16, 32 seconds, then each minute.
    assert 12 <= len(world.logins()) <= 15
    held = next(error for error in errors if isinstance(error, TargetRefused))
    assert held.full_code == "target-refused/blocked"
    world.verdicts.clear()
    world.now += 60
    assert world.connect() == "v1"
    world.verdicts["v1"] = Verdict.BLOCKED
    with pytest.raises(NobodyThere):
        world.connect()


def test_a_server_that_is_silent_leaves_time_for_a_new_address() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    world.silent = {"v1"}
    assert world.connect() == "v2"
    assert 5 <= world.now < 6


def test_a_call_that_is_too_short_to_follow_a_new_address_lets_the_next_one_know() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    world.silent = {"v1"}
    with pytest.raises(NobodyThere):
        world.connect(Limits(deadline=3))
    assert world.connect(Limits(deadline=3)) == "v2"


def test_when_secrets_manager_is_down_too_a_server_that_returns_is_entered_soon() -> None:
    world = World(there=False, readable=False, script=[(6, {"there": True})])
    assert world.connect() == "v1"
    assert world.now < 3


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
