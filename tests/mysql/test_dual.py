"""Strategy `dual` on a real MariaDB: the old and the new password both work, so no login fails."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, SecretFormatError, TargetRefused
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, World, new_password


@pytest.fixture
def dual(world: MariaDbWorld) -> tuple[dict[str, Any], str]:
    user = {**world.account(), "masterarn": world.admin_secret(), "strategy": "dual"}
    return user, world.secret(user)


def test_from_setsecret_to_the_next_one_both_passwords_log_in(
    world: MariaDbWorld, dual: tuple[dict[str, Any], str]
) -> None:
    values = [dual[0]]
    for _ in range(3):
        values.append(world.rotate(dual[1]))
        assert [world.logs_in(value) for value in values[-2:]] == [True, True]
        assert not any(world.logs_in(value) for value in values[:-2])


def test_every_login_works_at_every_instant_through_two_rotations(
    world: MariaDbWorld, dual: tuple[dict[str, Any], str]
) -> None:
    """A client that reads AWSCURRENT, and one that still has the value from before the rotation."""
    user, arn = dual
    refused: list[str] = []
    count = 0
    done, polled = threading.Event(), threading.Event()
    held = user

    def poll() -> None:
        nonlocal count
        while not done.is_set():
            for who, value in (("current", world.value(arn)), ("held", held)):
                count += 1
                if not world.logs_in(value):
                    refused.append(who)
            polled.set()

    def poll_once() -> None:
        """Wait for a whole round: the first one to end may have begun before."""
        for _ in range(2):
            polled.clear()
            polled.wait()

    client = threading.Thread(target=poll)
    client.start()
    for _ in range(2):
        before = world.value(arn)
        token = world.begin(arn)
        for step in STEPS:
            if step == "setSecret":
                held = before
                poll_once()
            world.step(step, arn, token)
            poll_once()
    done.set()
    client.join()
    assert count > 20
    assert refused == []


@pytest.mark.parametrize("step", STEPS)
def test_each_step_may_be_delivered_three_times(
    world: MariaDbWorld, dual: tuple[dict[str, Any], str], step: str
) -> None:
    user, arn = dual
    token = world.begin(arn)
    for each in STEPS:
        for _ in range(3 if each == step else 1):
            world.step(each, arn, token)
            assert world.logs_in(world.value(arn))
    assert world.logs_in(user)


def test_a_rotation_that_lost_its_label_leaves_no_third_password(
    world: MariaDbWorld, dual: tuple[dict[str, Any], str]
) -> None:
    user, arn = dual
    lost = world.begin(arn)
    world.step("createSecret", arn, lost)
    world.step("setSecret", arn, lost)
    value = world.value(arn, "AWSPENDING")
    world.drop_pending(arn, lost)
    assert world.logs_in(value)
    assert world.logs_in(world.value(arn))
    world.rotate(arn)
    assert world.logs_in(world.value(arn))
    assert world.logs_in(user)
    assert not world.logs_in(value)


def test_a_broken_current_password_works_again(world: MariaDbWorld, dual: tuple[dict[str, Any], str]) -> None:
    user, arn = dual
    world.reset(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))
    assert world.logs_in(user)


def test_an_administrator_that_cannot_log_in_is_not_reset(world: MariaDbWorld) -> None:
    victim = world.account(grants=("GRANT CREATE USER ON *.* TO {}",))
    value = {**victim, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "dual"}
    arn = world.secret(value)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="administrator"):
        world.step("setSecret", arn, token)
    assert world.logs_in(victim)


def test_without_an_admin_the_user_needs_the_right_and_is_told_so(world: MariaDbWorld) -> None:
    user = {**world.account(), "strategy": "dual"}
    arn = world.secret(user)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="CREATE USER"):
        world.step("setSecret", arn, token)
    world.run(f"GRANT CREATE USER ON *.* TO {world.written(user['username'])}")
    for step in STEPS[1:]:
        world.step(step, arn, token)
    assert world.logs_in(user)
    assert world.logs_in(world.value(arn))


def test_without_an_admin_and_a_working_password_all_that_was_tried_is_named(world: MariaDbWorld) -> None:
    user = {**world.account(), "strategy": "dual"}
    arn = world.secret(user)
    world.reset(user["username"], new_password())
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(CredentialsRejected, match="rejected with current, pending"):
        world.step("setSecret", arn, token)


def test_the_account_that_logs_in_is_the_one_that_gets_two(world: MariaDbWorld) -> None:
    user = world.account(host="127.%")
    other = world.account(user["username"], host="%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "dual"})
    new = world.rotate(arn)
    assert world.logs_in(new)
    assert world.logs_in(user)
    plain = world.run(
        "SELECT JSON_CONTAINS_PATH(Priv, 'one', '$.auth_or') FROM mysql.global_priv"
        " WHERE User = %s ORDER BY Host",
        other["username"],
    )
    assert plain == [(0,), (1,)]


def test_an_engine_with_one_password_per_user_refuses_dual_before_anything_is_stored(
    aws: Any, server: Any
) -> None:
    postgres = World(aws, server)
    arn = postgres.secret({**postgres.user(), "strategy": "dual"})
    with pytest.raises(SecretFormatError, match="offers: alternating, single"):
        postgres.step("createSecret", arn, postgres.begin(arn))
