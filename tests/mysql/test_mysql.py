"""A real MySQL, if MYSQL_BIN names one: cases that tests/engines does not cover."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.hashes import caching_sha2
from rotators.local.servers.mysql import MySqlServer
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, passwords_in, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws


class MySqlWorld(MariaDbWorld):
    def identified(self, password: str) -> str:
        return f"IDENTIFIED WITH caching_sha2_password AS 0x{caching_sha2(password).hex()}"


@pytest.fixture
def world(aws: LocalAws, mysql: MySqlServer) -> MySqlWorld:
    return MySqlWorld(aws, mysql)


def test_dual_without_an_admin_needs_one_right(world: MySqlWorld) -> None:
    user = {**world.account(grants=("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}",)), "strategy": "dual"}
    arn = world.secret(user)
    values = [user, *(world.rotate(arn) for _ in range(3))]
    assert [world.logs_in(value) for value in values] == [False, False, True, True]


@pytest.mark.parametrize("own", [False, True], ids=["by an admin", "by itself"])
def test_simultaneous_setsecrets_keep_the_current_password(
    world: MySqlWorld, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """The second setSecret runs between the two statements of the first one."""
    value = {**world.account(grants=("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}",)), "strategy": "dual"}
    arn = world.secret(value if own else {**value, "masterarn": world.admin_secret()})
    token = world.begun(arn)
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


def test_the_clone_gets_all_rights_and_roles(world: MySqlWorld) -> None:
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


def test_clear_text_passwords_require_an_encrypted_connection(world: MySqlWorld) -> None:
    arn = world.secret({**world.account(), "ssl": False})
    world.refusal(arn, "without TLS")


def test_the_general_log_shows_no_password(world: MySqlWorld) -> None:
    world.rotate(world.secret(world.account(password=new_password())))
    log = world.maria.general_log()
    assert "IDENTIFIED BY <secret>" in log
    assert not passwords_in(log)
