"""Causes of failed logins that only MariaDB has; tests/engines contains the others."""

from __future__ import annotations

import pytest

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import log_in, login_failure


def test_unencrypted_connections_need_permission_in_the_secret(
    clear_world: MariaDbWorld,
) -> None:
    user = {**clear_world.account(), "ssl": True, "sslrootcert": clear_world.some_authority()}
    assert login_failure(MariaDbEngine(), user).full_code == "target-unavailable/tls-unsupported"
    log_in(MariaDbEngine(), {**user, "ssl": False})


def test_too_many_connections(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_USER_CONNECTIONS 1")
    with world.login(user):
        assert login_failure(MariaDbEngine(), user).full_code == "target-unavailable/user-connections"


def test_a_read_only_server_refuses_setsecret(world: MariaDbWorld) -> None:
    user = world.account()
    world.run("SET GLOBAL read_only = 1")
    try:
        world.refusal(world.secret(user), "read-only")
    finally:
        world.run("SET GLOBAL read_only = 0")
    assert world.logs_in(user)


def test_syntax_errors_do_not_show_the_statement(world: MariaDbWorld) -> None:
    with (
        pytest.raises(TargetRefused) as caught,
        MariaDbEngine().login(Secret(world.account()), Settings()) as session,
    ):
        session._run("SELECT oops oops oops")
    assert "oops" not in str(caught.value)
