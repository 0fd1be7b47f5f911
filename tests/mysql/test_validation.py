"""Servers that validate passwords, and settings of servers and users that would change what sessions do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rotators.core.errors import RotatorsError, SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password, unique

STRATEGIES = ["single", "dual", "alternating", "reset"]


@pytest.fixture
def strict(world: MariaDbWorld) -> Iterator[MariaDbWorld]:
    """A server that takes no hashes."""
    world.run("INSTALL SONAME 'simple_password_check'")
    world.run("SET GLOBAL strict_password_validation = 0")
    yield world
    world.run("UNINSTALL SONAME 'simple_password_check'")
    world.run("SET GLOBAL strict_password_validation = 1")


def secret_for(world: MariaDbWorld, strategy: str, **extra: Any) -> tuple[dict[str, Any], str]:
    user = world.account(password=f"Aa1!{new_password()}")
    value = {**user, **extra, "strategy": "single" if strategy == "reset" else strategy}
    if strategy != "single":
        value["masterarn"] = world.admin_secret(**extra)
    if strategy == "reset":
        value["password"] = new_password()
    return user, world.secret(value)


def failed(world: MariaDbWorld, arn: str) -> RotatorsError:
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(RotatorsError) as caught:
        world.step("setSecret", arn, token)
    return caught.value


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_server_that_takes_no_hashes_is_named_with_its_plugin(strict: MariaDbWorld, strategy: str) -> None:
    user, arn = secret_for(strict, strategy)
    strict.run("SET GLOBAL strict_password_validation = 1")
    error = failed(strict, arn)
    assert error.full_code == "target-refused/validation"
    assert "simple_password_check" in str(error)
    assert "clear_text" in error.remedy
    assert strict.logs_in(user)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_with_the_secrets_consent_the_password_goes_in_clear_inside_tls(
    strict: MariaDbWorld, strategy: str
) -> None:
    _, arn = secret_for(strict, strategy, clear_text=True)
    strict.run("SET GLOBAL strict_password_validation = 1")
    # The general log would show the passwords, as the documentation says.
    strict.run("SET GLOBAL general_log = 0")
    try:
        for _ in range(2):
            assert strict.logs_in(strict.rotate(arn))
    finally:
        strict.run("SET GLOBAL general_log = 1")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_password_that_breaks_the_rules_is_not_called_a_network_problem(
    strict: MariaDbWorld, strategy: str
) -> None:
    user, arn = secret_for(strict, strategy, clear_text=True)
    strict.run("SET GLOBAL strict_password_validation = 1")
    strict.run("SET GLOBAL simple_password_check_digits = 90")
    strict.run("SET GLOBAL general_log = 0")
    try:
        error = failed(strict, arn)
    finally:
        strict.run("SET GLOBAL general_log = 1")
        strict.run("SET GLOBAL simple_password_check_digits = 1")
    assert error.full_code == "target-refused/validation"
    assert "simple_password_check" in str(error)
    assert strict.logs_in(user)


def test_without_tls_no_consent_helps(clear_world: MariaDbWorld) -> None:
    """It is refused in createSecret, before a value is stored."""
    user, arn = secret_for(clear_world, "single", clear_text=True)
    with pytest.raises(SecretFormatError, match="clear text is sent inside TLS only"):
        clear_world.rotate(arn)
    assert clear_world.logs_in(user)


def test_a_user_that_vanishes_is_called_missing(world: MariaDbWorld) -> None:
    """The server answers to ALTER USER as it does to a password that it refuses."""
    user = world.account()
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        account = session._account(user["username"])
        ways = session._ways(account)
        world.run(f"DROP USER {world.written(user['username'])}")
        with pytest.raises(TargetRefused, match="there is no user"):
            session._set_other(account, ways, new_password())


INIT = [
    "sql_select_limit = 1",
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
    "character_set_client = latin1, SESSION character_set_connection = latin1",
    "character_set_results = latin1",
    "autocommit = 0",
    "sql_quote_show_create = 0",
    "tx_read_only = 1",
]


@pytest.mark.parametrize("setting", INIT)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_settings_of_the_server_do_not_change_a_rotation(
    world: MariaDbWorld, strategy: str, setting: str
) -> None:
    """Also of an admin without SUPER, for whom init_connect runs."""
    helper = world.account(
        grants=("GRANT SELECT, INSERT, UPDATE, DELETE, RELOAD, CREATE USER ON *.* TO {} WITH GRANT OPTION",)
    )
    user = world.account(
        unique("ü'q\\"), grants=("GRANT SELECT, INSERT ON `ü`.* TO {}", "GRANT UPDATE ON `b`.* TO {}")
    )
    value = {**user, "strategy": "single" if strategy == "reset" else strategy}
    if strategy != "single":
        value["masterarn"] = world.admin_secret(username=helper["username"], password=helper["password"])
    if strategy == "reset":
        value["password"] = new_password()
    arn = world.secret(value)
    world.run(f'SET GLOBAL init_connect = "SET SESSION {setting}"')
    try:
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
    finally:
        world.run("SET GLOBAL init_connect = ''")
    assert world.logs_in(world.value(arn))
    if strategy == "alternating":
        assert world.grants(f"{user['username']}_clone") == world.grants(user["username"])


def test_a_users_own_limit_of_time_does_not_stop_a_rotation(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_STATEMENT_TIME 0.000001")
    assert world.logs_in(world.rotate(world.secret(user)))
