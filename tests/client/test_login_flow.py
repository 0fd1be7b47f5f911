"""The decisions of a login, for any history of a secret and its server, without a clock or a network."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.aws.secrets import SecretVersion
from rotators.client._flow import Fetch, Limits
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    RotatorsError,
    SecretFormatError,
)
from tests.client.histories import NobodyThere, World, WrongPassword, version


def test_working_version_is_not_read_again() -> None:
    world = World()
    assert world.connect() == "v1"
    assert (world.logins(), world.reads()) == (["v1"], [])


def test_new_current_version_is_found_after_a_rotation() -> None:
    world = World(current="v2", remembered="v1", previous="v1", accepts={"v2"})
    assert world.connect() == "v2"
    assert (world.logins(), world.reads()) == (["v1", "v2"], ["AWSCURRENT"])


def test_pending_version_is_found_and_tried_first_afterwards() -> None:
    world = World(pending="v2", accepts={"v2"})
    assert [world.connect() for _ in range(3)] == ["v2"] * 3
    assert world.logins() == ["v1", "v2", "v2", "v2"]
    assert world.reads() == ["AWSCURRENT", "AWSPENDING"]


def test_accepted_version_is_forgotten_when_the_stage_moves() -> None:
    world = World(pending="v2", accepts={"v2", "v3"})
    assert world.connect() == "v2"
    world.current = world.remembered = "v3"
    assert world.connect() == "v3"
    assert world.logins() == ["v1", "v2", "v3"]


def test_previous_version_logs_in_to_a_lagging_replica() -> None:
    world = World(current="v2", previous="v1", accepts={"v1"})
    assert world.connect() == "v1"
    assert world.reads() == ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"]


def test_rejections_for_days_end_as_the_first() -> None:
    world = World(accepts=set())
    for _ in range(1100):
        with pytest.raises(WrongPassword):
            world.connect(Limits(logins=1))
        world.now += 61
    world.accepts = {"v1"}
    assert world.connect() == "v1"


def test_stage_moved_between_reads_is_found_next_round() -> None:
    moved: dict[str, object] = {"current": "v2", "pending": None, "previous": "v1"}
    world = World(pending="v2", accepts={"v2"}, script=[(4, moved)])
    assert world.connect() == "v2"
    assert world.reads() == ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "AWSCURRENT"]


def test_pending_false_never_reads_the_pending_version() -> None:
    world = World(pending="v2", accepts={"v2"})
    with pytest.raises(WrongPassword):
        world.connect(Limits(pending=False))
    assert "v2" not in world.logins()
    assert "AWSPENDING" not in world.reads()


def test_denied_pending_version_is_skipped_for_five_minutes() -> None:
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


def test_denied_current_version_is_read_again() -> None:
    given_back: dict[str, object] = {"denied": set()}
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, denied={"AWSCURRENT"}, script=[(6, given_back)]
    )
    assert world.connect() == "v2"
    assert world.notes["unreadable"] == 1


def test_current_version_may_name_a_new_server() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, changes={"v2": {"host": "new"}})
    assert world.connect() == "v2"


def test_unavailable_server_is_retried_with_the_same_version() -> None:
    world = World(there=False, script=[(12, {"there": True})])
    assert world.connect() == "v1"
    assert set(world.logins()) == {"v1"}
    assert world.reads() == ["AWSCURRENT"]
    assert world.notes["unavailable"] == 5


def test_unavailable_server_ends_in_the_drivers_error() -> None:
    world = World(there=False)
    with pytest.raises(NobodyThere):
        world.connect(Limits(deadline=5))
    assert 2.5 <= world.now <= 5
    assert len(world.logins()) < 16


def test_rejected_credential_causes_few_logins() -> None:
    world = World(previous="v0", accepts=set())
    with pytest.raises(WrongPassword):
        world.connect()
    assert world.now <= 10.1
    assert Counter(world.logins()) == {"v1": 3, "v0": 3}
    assert len(world.reads()) <= 3 * 13


def test_rejected_credential_is_held_longer_each_time() -> None:
    world = World(accepts=set())
    errors = []
    while world.now < 600:
        with pytest.raises((WrongPassword, CredentialsRejected)) as caught:
            world.connect()
        errors.append(caught.value)
    # After 2, 4, 8, 16, 32 seconds, then each minute or at the next request.
    assert 12 <= len(world.logins()) <= 15
    held = [error for error in errors if isinstance(error, CredentialsRejected)]
    assert held[0].full_code == "credentials-rejected/held-back"


def test_rejected_logins_of_a_call_are_limited() -> None:
    world = World(accepts=set())
    names = iter(range(2, 1000))

    class Moving(World):
        def read(self, ask: Fetch) -> SecretVersion | RotatorsError:
            return version(f"v{next(names)}") if ask.since is not None else version("v1")

    moving = Moving(accepts=set())
    with pytest.raises(WrongPassword):
        moving.connect(Limits(logins=5))
    assert len(moving.logins()) == 5
    assert world.logins() == []


def test_cached_version_works_while_reads_fail() -> None:
    world = World(readable=False)
    assert world.connect() == "v1"


def test_rejection_is_raised_while_reads_fail() -> None:
    world = World(readable=False, accepts=set())
    with pytest.raises(WrongPassword):
        world.connect(Limits(deadline=3))
    assert world.now <= 3.1


def test_unreadable_secret_raises_the_read_error() -> None:
    class Unreadable(World):
        def read(self, ask: Fetch) -> SecretVersion | RotatorsError:
            return AccessDenied("no") if ask.since is None else super().read(ask)

    with pytest.raises(AccessDenied):
        Unreadable().connect()


@pytest.mark.parametrize("content", [b"\0", "no json", "[]"])
def test_current_version_without_json_is_an_error(content: str | bytes) -> None:
    with pytest.raises(SecretFormatError):
        _ = SecretVersion("arn", "secret", "v", (), content).secret


def test_pending_version_without_json_is_skipped() -> None:
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
def test_every_history_ends_in_time_and_recovers(
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
    # When nothing changes any more, the server accepts AWSCURRENT, and old rejections are forgotten …
    vars(world).update(last, script=[], there=True, readable=True, accepts={last["current"]})
    world.now += 61
    # … every call succeeds.
    assert world.connect() == last["current"]


@given(SECRETS, st.none() | SECRETS, st.none() | SECRETS, SECRETS)
def test_a_working_version_is_found_at_any_stage(
    current: str, pending: str | None, previous: str | None, remembered: str
) -> None:
    for works in {current, pending, previous, remembered} - {None}:
        world = World(
            current=current, pending=pending, previous=previous, remembered=remembered, accepts={str(works)}
        )
        assert world.connect() == works
        assert len(world.logins()) <= 4
