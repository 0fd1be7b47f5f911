"""`rotators doctor` and `rotators repair` make few rejected logins, the most likely version first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rotators.recovery.errors import RepairRefused
from tests.cli.test_doctor_repair import examined, put, run, without_stage
from tests.mysql.conftest import MariaDbWorld
from tests.world import World, new_password

if TYPE_CHECKING:
    import pytest

Value = dict[str, Any]


def rejected_logins(world: World, user: str) -> int:
    return str(world.server.log()).count(f'password authentication failed for user "{user}"')


def with_many_dead_versions(world: World, value: Value, number: int = 6) -> str:
    """A secret without a working stored password."""
    arn = world.secret({**value, "password": new_password()})
    for _ in range(number):
        without_stage(world, arn, {**value, "password": new_password()})
    return arn


def test_doctor_stops_at_the_login_limit(world: World) -> None:
    user = world.user()
    arn = with_many_dead_versions(world, user)
    document = examined(arn)
    assert rejected_logins(world, user["username"]) == 4
    assert document["state"] == "not-tried"
    assert "3 versions were not tried" in document["sentence"]
    assert "MAX_REJECTED_LOGINS" in document["action"]
    assert [each["trial"] for each in document["versions"]].count("not tried") == 3


def test_the_limit_can_be_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = with_many_dead_versions(world, user)
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "2")
    assert "5 versions were not tried" in examined(arn)["sentence"]
    assert rejected_logins(world, user["username"]) == 2
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "20")
    assert examined(arn)["state"] == "lost"
    assert rejected_logins(world, user["username"]) == 2 + 7


def test_a_refused_repair_makes_no_more_logins(world: World) -> None:
    user = world.user()
    arn = with_many_dead_versions(world, user)
    assert isinstance(run("repair", arn, "--idle").exception, RepairRefused)
    assert rejected_logins(world, user["username"]) == 4


def test_lost_versions_are_tried_before_replaced_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = world.secret({**user, "password": new_password()})
    without_stage(world, arn, {**user, "password": new_password()})
    put(world, arn, {**user, "password": new_password()}, "AWSCURRENT")
    lost = without_stage(world, arn, user)
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "2")
    document = examined(arn)
    assert {each["version"]: each["trial"] for each in document["versions"]}[lost] == "accepted"
    assert rejected_logins(world, user["username"]) == 1


def test_a_working_secret_causes_no_rejected_login(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "password": new_password()})
    without_stage(world, arn, {**user, "password": new_password()})
    put(world, arn, user, "AWSCURRENT")
    document = examined(arn)
    assert document["healthy"]
    assert {each["trial"] for each in document["versions"]} == {"accepted", "not tried"}
    assert rejected_logins(world, user["username"]) == 0


def test_a_silent_server_is_asked_once(world: World) -> None:
    value = {**world.user(), "port": 1}
    arn = with_many_dead_versions(world, value)
    document = examined(arn)
    assert [each["trial"] for each in document["versions"]].count("unreachable") == 1
    assert document["state"] == "unsure"


def test_a_blocked_account_is_left_alone(maria_world: MariaDbWorld) -> None:
    world = maria_world
    value = world.account()
    arn = with_many_dead_versions(world, value, 3)
    before = world.run("SELECT @@GLOBAL.max_password_errors")[0][0]
    world.run("SET GLOBAL max_password_errors = 3")
    try:
        for _ in range(3):
            assert not world.logs_in({**value, "password": new_password()})
        document = examined(arn)
        assert document["state"] == "blocked"
        assert "says nothing about the password" in document["sentence"]
        assert [each["trial"] for each in document["versions"]].count("not tried") == 3
        assert isinstance(run("repair", arn, "--idle").exception, RepairRefused)
    finally:
        world.run(f"SET GLOBAL max_password_errors = {before}")
        world.run("FLUSH PRIVILEGES")


def test_doctor_stays_below_the_servers_limit(maria_world: MariaDbWorld) -> None:
    world = maria_world
    value = world.account()
    arn = with_many_dead_versions(
        world, {**value, "strategy": "single", "masterarn": world.admin_secret()}, 3
    )
    before = world.run("SELECT @@GLOBAL.max_password_errors")[0][0]
    world.run("SET GLOBAL max_password_errors = 3")
    try:
        document = json.loads(run("doctor", arn, "--idle", "--json").stdout)
        assert [each["trial"] for each in document["versions"]].count("rejected") == 2
        assert world.logs_in(value), "the account must not be blocked"
    finally:
        world.run(f"SET GLOBAL max_password_errors = {before}")
        world.run("FLUSH PRIVILEGES")
