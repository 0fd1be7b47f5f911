"""An admin resets a password only if this helps: not a correct one, and not that of a locked account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.hosts import admits
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import login_failure, new_password, unique

OBSTACLES = {
    "elsewhere": ("10.%", ""),
    "needs-certificate": ("%", "REQUIRE X509"),
    "needs-certificate (subject)": ("%", "REQUIRE SUBJECT '/CN=app'"),
    "needs-certificate (issuer)": ("%", "REQUIRE ISSUER '/CN=ca'"),
    "needs-tls (cipher)": ("%", "REQUIRE CIPHER 'TLS_NO_SUCH'"),
    "locked": ("%", "ACCOUNT LOCK"),
}


def stored(world: MariaDbWorld, name: str) -> str:
    return str(world.run("SELECT Priv FROM mysql.global_priv WHERE User = %s", name)[0][0])


def refused(world: MariaDbWorld, value: dict[str, Any]) -> TargetRefused:
    """Run a setSecret that is refused, and check that the account is unchanged."""
    before = stored(world, value["username"])
    error = world.refusal(world.secret({"strategy": "single", **value, "masterarn": world.admin_secret()}))
    assert stored(world, value["username"]) == before
    return error


@pytest.mark.parametrize("right", [True, False], ids=["right password", "wrong password"])
@pytest.mark.parametrize("strategy", ["single", "dual"])
@pytest.mark.parametrize("cause", OBSTACLES)
def test_login_obstacles_are_named_and_nothing_is_reset(
    world: MariaDbWorld, cause: str, strategy: str, right: bool
) -> None:
    host, options = OBSTACLES[cause]
    user = world.account(host=host, options=options)
    value = user if right else {**user, "password": new_password()}
    error = refused(world, {**value, "strategy": strategy})
    assert error.reason == cause.split(" ", maxsplit=1)[0]
    if right and cause != "locked":
        assert "the password is right" in str(error)


def test_require_ssl_accounts_need_tls_in_the_secret(world: MariaDbWorld) -> None:
    user = world.account(options="REQUIRE SSL")
    plain = {**user, "ssl": False}
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        with pytest.raises(TargetRefused) as caught:
            session.require_resettable(plain["username"], [plain["password"]], tls=False)
        session.require_resettable(plain["username"], [new_password()], tls=True)
    assert caught.value.reason == "needs-tls"


def test_an_account_without_any_connection_is_not_reset(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_USER_CONNECTIONS -1")
    assert refused(world, {**user, "password": new_password()}).reason == "no-login"


@pytest.mark.parametrize("right", [True, False], ids=["right password", "wrong password"])
def test_users_hidden_by_an_anonymous_one_keep_passwords(world: MariaDbWorld, right: bool) -> None:
    user = world.account()
    admin = world.account(host="127.0.0.1", grants=("GRANT ALL ON *.* TO {} WITH GRANT OPTION",))
    masterarn = world.admin_secret(username=admin["username"], password=admin["password"])
    before = stored(world, user["username"])
    password = user["password"] if right else new_password()
    arn = world.secret({**user, "password": password, "masterarn": masterarn, "strategy": "single"})
    world.run("CREATE USER ''@'127.0.%'")
    try:
        error = world.refusal(arn, "anonymous")
    finally:
        world.ask(admin, "DROP USER ''@'127.0.%'")
    assert error.reason == "elsewhere"
    assert stored(world, user["username"]) == before


@pytest.mark.parametrize(
    ("pattern", "seen", "admitted"),
    [
        ("%", "10.1.2.3", True),
        ("10.1.%", "10.1.2.3", True),
        ("10.1.%", "10.12.2.3", False),
        ("10.1.2._", "10.1.2.3", True),
        ("10.1.2._", "10.1.2.33", False),
        ("10.1.0.0/255.255.0.0", "10.1.2.3", True),
        ("10.1.0.0/255.255.0.0", "10.2.2.3", False),
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("localhost", "10.1.2.3", False),
        ("app\\_1.example", "APP_1.example", True),
        ("app\\_1.example", "appX1.example", False),
        ("%.example.com", "a.example.com", True),
        ("%.example.com", "a.example.org", False),
        # The server resolves the address and does not show it.
        ("10.1.%", "a.example.org", True),
        ("10.1.0.0/255.255.0.0", "a.example.org", True),
        ("::1", "::1", True),
        ("::1", "::2", False),
    ],
)
def test_host_patterns_match_like_on_the_server(pattern: str, seen: str, admitted: bool) -> None:
    assert admits(pattern, seen) is admitted


@settings(deadline=None)
@given(host=st.text(max_size=20), seen=st.text(max_size=20))
def test_no_host_pattern_is_an_error(host: str, seen: str) -> None:
    assert admits(host, seen) in {True, False}


def test_the_servers_limit_of_rejected_logins_is_read(world: MariaDbWorld) -> None:
    user = world.account()
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        assert session.rejections_allowed(user["username"]) is None
        world.run("SET GLOBAL max_password_errors = 5")
        try:
            assert session.rejections_allowed(user["username"]) == 4
        finally:
            world.run("SET GLOBAL max_password_errors = DEFAULT")


def test_the_admin_unblocks_a_blocked_account(world: MariaDbWorld) -> None:
    user = world.account()
    arn = world.secret(
        {**user, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    world.run("SET GLOBAL max_password_errors = 2")
    try:
        for _ in range(2):
            assert not world.logs_in({**user, "password": "wrong"})
        assert login_failure(MariaDbEngine(), user).full_code == "target-refused/blocked"
        assert world.logs_in(world.rotate(arn))
    finally:
        world.run("SET GLOBAL max_password_errors = DEFAULT")


@pytest.mark.parametrize("strategy", ["single", "dual", "alternating"])
@pytest.mark.parametrize("disconnects", [0, 1])
def test_an_expired_password_is_rotated(world: MariaDbWorld, strategy: str, disconnects: int) -> None:
    user = world.account()
    value = {**user, "strategy": strategy}
    if strategy != "single":
        value["masterarn"] = world.admin_secret()
    world.run(f"ALTER USER {world.written(user['username'])} PASSWORD EXPIRE")
    world.run(f"SET GLOBAL disconnect_on_expired_password = {disconnects}")
    try:
        assert world.logs_in(world.rotate(world.secret(value)))
    finally:
        world.run("SET GLOBAL disconnect_on_expired_password = 0")


def test_an_expired_password_is_called_so(world: MariaDbWorld) -> None:
    user = world.account()
    world.run(f"ALTER USER {world.written(user['username'])} PASSWORD EXPIRE")
    assert login_failure(MariaDbEngine(), user).full_code == "target-refused/expired"


def test_an_expired_account_with_a_socket_rotates(world: MariaDbWorld) -> None:
    """The server reports an error although it has performed the change."""
    user = world.account()
    hashed = json.loads(stored(world, user["username"]))["authentication_string"]
    name = world.written(user["username"])
    world.run(f"ALTER USER {name} IDENTIFIED VIA unix_socket OR mysql_native_password USING '{hashed}'")
    world.run(f"ALTER USER {name} PASSWORD EXPIRE")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_a_user_at_its_connection_limit_still_rotates(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_USER_CONNECTIONS 1")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "alternating"})
    with world.login(user):
        new = world.rotate(arn)
    assert world.logs_in(new)


def test_a_manual_lock_is_never_removed_or_bypassed(world: MariaDbWorld) -> None:
    user = world.account(unique("locked"), options="ACCOUNT LOCK")
    value = {**user, "password": new_password(), "strategy": "alternating"}
    assert refused(world, value).reason == "locked"
    assert not world.exists(f"{user['username']}_clone")
