"""The decisions of a login: a changed address, or a server or account that refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotators.client._flow import Limits
from rotators.core.errors import (
    TargetRefused,
)
from rotators.logins.driver import Verdict
from tests.client.histories import NobodyThere, World


@pytest.mark.parametrize("changed", [{"host": "new"}, {"port": 5433}, {"dbname": "new"}, {"password": "new"}])
@pytest.mark.parametrize("verdict", [Verdict.UNAVAILABLE, Verdict.DATABASE, Verdict.SERVER])
def test_changed_address_is_used_after_the_first_failure(
    verdict: Verdict, changed: dict[str, object]
) -> None:
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict}, changes={"v2": changed}
    )
    assert world.connect() == "v2"
    assert (world.logins(), world.reads()) == (["v1", "v2"], ["AWSCURRENT"])
    assert world.notes["moved"] == 1
    assert world.now < 0.1


def test_address_changed_during_a_pause_is_used() -> None:
    moved: dict[str, object] = {"current": "v2", "accepts": {"v2"}}
    world = World(verdicts={"v1": Verdict.UNAVAILABLE}, script=[(12, moved)])
    assert world.connect() == "v2"


def test_outage_causes_one_read_in_two_seconds() -> None:
    world = World(there=False)
    while world.now < 60:
        with pytest.raises(NobodyThere):
            world.connect(Limits(deadline=0.5))
    assert 20 <= len(world.reads()) <= 31
    assert set(world.reads()) == {"AWSCURRENT"}


def test_calls_share_a_changed_address() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    assert world.connect() == "v2"
    before = world.now
    # It began with the old value, and must not read the new one for two seconds.
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
def test_the_callers_own_arguments_cause_no_read(verdict: Verdict, names: set[str]) -> None:
    world = World(current="v2", remembered="v1", verdicts={"v1": verdict, "v2": verdict})
    with pytest.raises(NobodyThere):
        world.connect(given=names)
    assert world.reads() == []


@pytest.mark.parametrize("verdict", [Verdict.DATABASE, Verdict.SERVER, Verdict.CLOSED, Verdict.BLOCKED])
def test_error_unexplained_by_current_is_raised_at_once(verdict: Verdict) -> None:
    world = World(pending="v2", previous="v0", verdicts={"v1": verdict})
    with pytest.raises(NobodyThere):
        world.connect()
    assert (world.logins(), world.reads()) == (["v1"], ["AWSCURRENT"])


@pytest.mark.parametrize("verdict", [Verdict.CLOSED, Verdict.BLOCKED])
def test_closed_account_gets_no_other_password(verdict: Verdict) -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict})
    with pytest.raises(NobodyThere):
        world.connect()
    assert world.logins() == ["v1"]


@pytest.mark.parametrize("verdict", [Verdict.CLOSED, Verdict.BLOCKED])
@pytest.mark.parametrize("changed", [{"username": "app_clone"}, {"host": "new"}])
def test_another_account_replaces_a_closed_one(verdict: Verdict, changed: dict[str, object]) -> None:
    world = World(
        current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": verdict}, changes={"v2": changed}
    )
    assert world.connect() == "v2"
    assert world.logins() == ["v1", "v2"]


def test_blocked_account_is_held_longer_each_time() -> None:
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


def test_silent_server_leaves_time_for_a_new_address() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    world.silent = {"v1"}
    assert world.connect() == "v2"
    assert 5 <= world.now < 6


def test_the_next_call_uses_the_new_address() -> None:
    world = World(current="v2", remembered="v1", accepts={"v2"}, verdicts={"v1": Verdict.UNAVAILABLE})
    world.silent = {"v1"}
    with pytest.raises(NobodyThere):
        world.connect(Limits(deadline=3))
    assert world.connect(Limits(deadline=3)) == "v2"


def test_returning_server_is_used_while_reads_fail() -> None:
    world = World(there=False, readable=False, script=[(6, {"there": True})])
    assert world.connect() == "v1"
    assert world.now < 3
