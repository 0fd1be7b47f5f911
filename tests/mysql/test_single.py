"""Strategy `single` on a real MariaDB, through the real handler."""

from __future__ import annotations

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, TargetRefused
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password, unique


def test_a_rotation_changes_the_password_and_the_old_one_is_refused(world: MariaDbWorld) -> None:
    old = world.account()
    new = world.rotate(world.secret({**old, "team": "payments"}))
    assert new["password"] != old["password"]
    assert new["team"] == "payments"
    assert world.logs_in(new)
    assert not world.logs_in(old)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_may_be_delivered_three_times(world: MariaDbWorld, step: str) -> None:
    arn = world.secret(world.account())
    token = world.begin(arn)
    for each in STEPS:
        for _ in range(3 if each == step else 1):
            world.step(each, arn, token)
    assert world.logs_in(world.value(arn))


def test_a_value_that_lost_its_label_is_found_when_a_new_token_arrives(world: MariaDbWorld) -> None:
    arn = world.secret(world.account())
    world.rotate(arn)
    lost = world.begin(arn)
    world.step("createSecret", arn, lost)
    world.step("setSecret", arn, lost)
    world.drop_pending(arn, lost)
    assert not world.logs_in(world.value(arn))
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_of_two_accounts_with_one_name_the_one_that_logs_in_changes(world: MariaDbWorld) -> None:
    """The server takes the nearest host pattern; the other account keeps its password."""
    name = unique("app")
    world.account(name, host="%")
    before = world.run("SELECT authentication_string FROM mysql.user WHERE User=%s AND Host='%%'", name)
    arn = world.secret(world.account(name, host="127.%"))
    assert world.logs_in(world.rotate(arn))
    assert world.ask(world.value(arn), "SELECT CURRENT_USER()") == [(f"{name}@127.%",)]
    assert (
        world.run("SELECT authentication_string FROM mysql.user WHERE User=%s AND Host='%%'", name) == before
    )


def test_the_admin_helps_when_no_stored_password_works(world: MariaDbWorld) -> None:
    user = world.account(grants=("GRANT SELECT ON `app%`.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "single"})
    world.reset(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_the_admin_does_not_choose_between_two_accounts_that_nobody_logged_in_as(world: MariaDbWorld) -> None:
    user = world.account()
    world.account(user["username"], host="10.%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "single"})
    world.reset(user["username"], new_password())
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="several accounts"):
        world.step("setSecret", arn, token)


@pytest.mark.parametrize(
    "grant",
    [
        "GRANT CREATE USER ON *.* TO {}",
        "GRANT SELECT ON *.* TO {}",
        "GRANT USAGE ON *.* TO {} WITH GRANT OPTION",
        "GRANT UPDATE ON mysql.* TO {}",
        "GRANT UPDATE ON `m%`.* TO {}",
        "GRANT PROXY ON root@'%' TO {}",
        "GRANT boss TO {}",
    ],
)
def test_the_admin_does_not_reset_an_administrator_whose_password_is_unknown(
    world: MariaDbWorld, grant: str
) -> None:
    world.run("CREATE OR REPLACE ROLE boss")
    world.run("GRANT RELOAD ON *.* TO boss")
    victim = world.account(grants=(grant,))
    arn = world.secret(
        {**victim, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="administrator"):
        world.step("setSecret", arn, token)
    assert world.logs_in(victim)


def test_without_an_admin_the_error_names_all_that_was_tried(world: MariaDbWorld) -> None:
    user = world.account()
    arn = world.secret(user)
    world.reset(user["username"], new_password())
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(CredentialsRejected, match="rejected with current, pending"):
        world.step("setSecret", arn, token)


@pytest.mark.parametrize(
    ("key", "value"),
    [("username", "other"), ("host", "127.0.0.1"), ("port", 1), ("dbname", "mysql"), ("engine", "mysql")],
)
def test_a_pending_value_for_another_identity_is_refused_before_any_login(
    world: MariaDbWorld, key: str, value: object
) -> None:
    user = world.account()
    arn = world.secret(user)
    token = world.begin(arn)
    world.put_pending(arn, token, {**user, "password": new_password(), key: value})
    logins = world.logins()
    for step in ("setSecret", "testSecret"):
        with pytest.raises(IdentityMismatch):
            world.step(step, arn, token)
    assert world.logins() == logins


def test_a_rotation_takes_two_logins_and_none_that_fails(world: MariaDbWorld) -> None:
    arn = world.secret(world.account())
    world.rotate(arn)
    before, refused = world.logins(), world.maria.general_log().count("Access denied")
    world.rotate(arn)
    assert world.logins() - before == 2
    assert world.maria.general_log().count("Access denied") == refused
