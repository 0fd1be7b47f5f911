"""The three strategies on a real MySQL, where there is one (MYSQL_BIN); Debian's releases have no package."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.hashes import caching_sha2
from rotators.local.servers.mysql import MySqlServer
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, known_passwords, new_password, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws


class MySqlWorld(MariaDbWorld):
    def identified(self, password: str) -> str:
        return f"IDENTIFIED WITH caching_sha2_password AS 0x{caching_sha2(password).hex()}"


@pytest.fixture
def world(aws: LocalAws, mysql: MySqlServer) -> MySqlWorld:
    return MySqlWorld(aws, mysql)


@pytest.mark.parametrize("strategy", ["single", "alternating", "dual"])
@pytest.mark.parametrize("name", ["app", "o'br%s`\\\\ü@"])
def test_the_current_password_works_after_every_step(world: MySqlWorld, name: str, strategy: str) -> None:
    user = world.account(unique(name), host="127.%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": strategy})
    for _ in range(3):
        before = world.value(arn)
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            world.step(step, arn, token)
            if strategy != "single":
                assert world.logs_in(world.value(arn)), step
        assert world.logs_in(world.value(arn))
        assert world.logs_in(before) is (strategy != "single")


def test_dual_without_an_admin_needs_one_right(world: MySqlWorld) -> None:
    user = {**world.account(grants=("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}",)), "strategy": "dual"}
    arn = world.secret(user)
    values = [user, *(world.rotate(arn) for _ in range(3))]
    assert [world.logs_in(value) for value in values] == [False, False, True, True]


@pytest.mark.parametrize("own", [False, True], ids=["by an admin", "by itself"])
def test_two_setsecrets_at_once_leave_the_current_password_alone(
    world: MySqlWorld, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """The second comes between the two statements of the first."""
    value = {**world.account(grants=("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}",)), "strategy": "dual"}
    arn = world.secret(value if own else {**value, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    run = AccountSession._run
    others: list[threading.Thread] = []

    def until_another_came(session: AccountSession, statement: str) -> None:
        run(session, statement)
        if statement.startswith("ALTER USER") and not others:
            others.append(threading.Thread(target=world.step, args=("setSecret", arn, token)))
            others[0].start()
            others[0].join(1.5)

    monkeypatch.setattr(AccountSession, "_run", until_another_came)
    world.step("setSecret", arn, token)
    assert world.logs_in(world.value(arn))
    others[0].join()
    assert world.logs_in(world.value(arn))
    assert world.logs_in(world.value(arn, "AWSPENDING"))


def test_the_clone_has_all_rights_and_roles_of_the_original(world: MySqlWorld) -> None:
    role = unique("role")
    world.run(f"CREATE ROLE `{role}`")
    user = world.account(
        options="REQUIRE SSL WITH MAX_USER_CONNECTIONS 7",
        grants=(
            "GRANT SELECT, BACKUP_ADMIN ON *.* TO {}",
            "GRANT ENCRYPTION_KEY_ADMIN ON *.* TO {} WITH GRANT OPTION",
            "GRANT UPDATE ON `x\\_y%%`.* TO {}".replace("%%", "%"),
            f"GRANT `{role}` TO {{}} WITH ADMIN OPTION",
            f"ALTER USER {{}} DEFAULT ROLE `{role}`",
        ),
    )
    clone = world.rotate(world.secret({**user, "masterarn": world.admin_secret()}))["username"]
    assert world.grants(clone) == world.grants(user["username"])
    found = [
        world.run("SELECT ssl_type, max_user_connections FROM mysql.user WHERE User = %s", name)
        for name in (clone, user["username"])
    ]
    assert found == [[("ANY", 7)]] * 2


def test_a_stranger_is_refused(world: MySqlWorld) -> None:
    user = world.account()
    stranger = world.account(f"{user['username']}_clone")
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="not the clone"):
        world.step("setSecret", arn, token)
    assert world.logs_in(stranger)


def test_a_clear_connection_is_refused_for_a_clear_password(world: MySqlWorld) -> None:
    arn = world.secret({**world.account(), "ssl": False})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="clear text"):
        world.step("setSecret", arn, token)


def test_the_general_log_shows_no_password(world: MySqlWorld) -> None:
    world.rotate(world.secret(world.account(password=new_password())))
    log = world.maria.general_log()
    assert "IDENTIFIED BY <secret>" in log
    assert [password for password in known_passwords if len(password) > 7 and password in log] == []
