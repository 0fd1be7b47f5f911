"""The decisions alone: every history of a secret and its server, without a clock, a network or a wait."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.aws.reading import SecretVersion
from rotators.client.messages import Limits, Read
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorsError,
    SecretFormatError,
)
from tests.client.histories import NobodyThere, World, WrongPassword, version


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


def test_a_current_value_may_lead_elsewhere_for_a_move_is_made_that_way() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, changes={"v2": {"host": "new"}})
    assert world.connect() == "v2"


def test_a_server_that_is_not_there_is_asked_again_with_the_same_value_and_only_current_is_read() -> None:
    world = World(there=False, script=[(12, {"there": True})])
    assert world.connect() == "v1"
    assert set(world.logins()) == {"v1"}
    assert world.reads() == ["AWSCURRENT"]
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
        _ = SecretVersion("arn", "secret", "v", (), content).secret


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


@settings(max_examples=100)
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
