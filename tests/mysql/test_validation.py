"""Servers that validate passwords, and settings of servers and users that would affect sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rotators.core.errors import SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique

STRATEGIES = ["single", "dual", "alternating", "reset"]


@pytest.fixture
def strict(world: MariaDbWorld) -> Iterator[MariaDbWorld]:
    """A server that accepts no hashes."""
    world.run("INSTALL SONAME 'simple_password_check'")
    world.run("SET GLOBAL strict_password_validation = 0")
    yield world
    world.run("UNINSTALL SONAME 'simple_password_check'")
    world.run("SET GLOBAL strict_password_validation = 1")


@contextmanager
def unrecorded(world: MariaDbWorld) -> Iterator[None]:
    """Record no statements in the block: with ``clear_text`` they contain the passwords, as documented."""
    consumer = (
        "UPDATE performance_schema.setup_consumers SET ENABLED = %s WHERE NAME LIKE 'events_statements_%%'"
    )
    world.run("SET GLOBAL general_log = 0")
    world.run(consumer, "NO")
    try:
        yield
    finally:
        world.run(consumer, "YES")
        world.run("SET GLOBAL general_log = 1")


def secret_for(world: MariaDbWorld, strategy: str, **extra: Any) -> tuple[dict[str, Any], str]:
    user = world.account(password=f"Aa1!{new_password()}")
    value = {**user, **extra, "strategy": "single" if strategy == "reset" else strategy}
    if strategy != "single":
        value["masterarn"] = world.admin_secret(**extra)
    if strategy == "reset":
        value["password"] = new_password()
    return user, world.secret(value)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_error_names_the_plugin_that_refuses_hashes(strict: MariaDbWorld, strategy: str) -> None:
    user, arn = secret_for(strict, strategy)
    strict.run("SET GLOBAL strict_password_validation = 1")
    error = strict.refusal(arn)
    assert error.full_code == "target-refused/validation"
    assert "simple_password_check" in str(error)
    assert "clear_text" in error.remedy
    assert strict.logs_in(user)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_clear_text_in_the_secret_allows_strict_validation(strict: MariaDbWorld, strategy: str) -> None:
    _, arn = secret_for(strict, strategy, clear_text=True)
    strict.run("SET GLOBAL strict_password_validation = 1")
    with unrecorded(strict):
        for _ in range(2):
            assert strict.logs_in(strict.rotate(arn))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_password_rule_violation_is_a_validation_error(strict: MariaDbWorld, strategy: str) -> None:
    user, arn = secret_for(strict, strategy, clear_text=True)
    strict.run("SET GLOBAL strict_password_validation = 1")
    strict.run("SET GLOBAL simple_password_check_digits = 90")
    with unrecorded(strict):
        error = strict.refusal(arn)
    strict.run("SET GLOBAL simple_password_check_digits = 1")
    assert error.full_code == "target-refused/validation"
    assert "simple_password_check" in str(error)
    assert strict.logs_in(user)


def test_without_tls_no_consent_helps(clear_world: MariaDbWorld) -> None:
    """createSecret refuses it before a value is stored."""
    user, arn = secret_for(clear_world, "single", clear_text=True)
    with pytest.raises(SecretFormatError, match="clear text is sent only inside TLS"):
        clear_world.rotate(arn)
    assert clear_world.logs_in(user)


def test_a_user_that_vanishes_is_called_missing(world: MariaDbWorld) -> None:
    """The server answers to ALTER USER as to a password that it refuses."""
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
def test_server_settings_do_not_affect_a_rotation(world: MariaDbWorld, strategy: str, setting: str) -> None:
    """The same for an admin without SUPER, for whom the server runs init_connect."""
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
        new = world.rotate(arn)
    finally:
        world.run("SET GLOBAL init_connect = ''")
    assert world.logs_in(new)
    if strategy == "alternating":
        assert world.grants(f"{user['username']}_clone") == world.grants(user["username"])


def test_a_users_statement_time_limit_allows_rotation(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_STATEMENT_TIME 0.000001")
    assert world.logs_in(world.rotate(world.secret(user)))
