"""An admin resets a password only if that helps: not one that is right, and not one that stays locked out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.core.errors import RotatorsError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.hosts import admits
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password, unique

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
    """One setSecret that is refused, after which the account is what it was."""
    before = stored(world, value["username"])
    arn = world.secret({"strategy": "single", **value, "masterarn": world.admin_secret()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused) as caught:
        world.step("setSecret", arn, token)
    assert stored(world, value["username"]) == before
    return caught.value


@pytest.mark.parametrize("right", [True, False], ids=["right password", "wrong password"])
@pytest.mark.parametrize("strategy", ["single", "dual"])
@pytest.mark.parametrize("cause", OBSTACLES)
def test_what_keeps_a_user_out_is_named_and_nothing_is_reset(
    world: MariaDbWorld, cause: str, strategy: str, right: bool
) -> None:
    host, options = OBSTACLES[cause]
    user = world.account(host=host, options=options)
    value = user if right else {**user, "password": new_password()}
    error = refused(world, {**value, "strategy": strategy})
    assert error.reason == cause.split(" ", maxsplit=1)[0]
    if right and cause != "locked":
        assert "the password is right" in str(error)


def test_an_account_that_needs_tls_is_not_reset_for_a_secret_without(world: MariaDbWorld) -> None:
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
def test_a_user_behind_a_nearer_anonymous_one_is_not_reset(world: MariaDbWorld, right: bool) -> None:
    user = world.account()
    admin = world.account(host="127.0.0.1", grants=("GRANT ALL ON *.* TO {} WITH GRANT OPTION",))
    masterarn = world.admin_secret(username=admin["username"], password=admin["password"])
    before = stored(world, user["username"])
    password = user["password"] if right else new_password()
    arn = world.secret({**user, "password": password, "masterarn": masterarn, "strategy": "single"})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.run("CREATE USER ''@'127.0.%'")
    try:
        with pytest.raises(TargetRefused) as caught:
            world.step("setSecret", arn, token)
    finally:
        world.ask(admin, "DROP USER ''@'127.0.%'")
    assert caught.value.reason == "elsewhere"
    assert "anonymous" in str(caught.value)
    assert stored(world, user["username"]) == before


def test_a_wrong_password_is_reset(world: MariaDbWorld) -> None:
    user = world.account(options="REQUIRE SSL WITH MAX_USER_CONNECTIONS 2")
    new = world.rotate(
        world.secret(
            {**user, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
        )
    )
    assert world.logs_in(new)


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
        # The server resolved the address, and does not show it.
        ("10.1.%", "a.example.org", True),
        ("10.1.0.0/255.255.0.0", "a.example.org", True),
        ("::1", "::1", True),
        ("::1", "::2", False),
    ],
)
def test_host_patterns_mean_what_the_server_means(pattern: str, seen: str, admitted: bool) -> None:
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


def test_an_account_that_the_server_blocked_is_set_free_by_the_admin(world: MariaDbWorld) -> None:
    user = world.account()
    arn = world.secret(
        {**user, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    world.run("SET GLOBAL max_password_errors = 2")
    try:
        for _ in range(2):
            assert not world.logs_in({**user, "password": "wrong"})
        with pytest.raises(RotatorsError) as caught, MariaDbEngine().login(Secret(user), Settings()):
            pass
        assert caught.value.full_code == "target-refused/blocked"
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
    with pytest.raises(TargetRefused) as caught, MariaDbEngine().login(Secret(user), Settings()) as session:
        session.check()
    assert caught.value.full_code == "target-refused/expired"


def test_an_expired_account_with_a_socket_rotates(world: MariaDbWorld) -> None:
    """The server says that it cannot, and has done it."""
    user = world.account()
    hashed = json.loads(stored(world, user["username"]))["authentication_string"]
    name = world.written(user["username"])
    world.run(f"ALTER USER {name} IDENTIFIED VIA unix_socket OR mysql_native_password USING '{hashed}'")
    world.run(f"ALTER USER {name} PASSWORD EXPIRE")
    assert world.logs_in(world.rotate(world.secret(user)))


def test_a_user_at_its_limit_of_connections_is_told_apart(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_USER_CONNECTIONS 1")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "alternating"})
    with world.open(user):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
    assert world.logs_in(world.value(arn))


@pytest.mark.parametrize("strategy", ["single", "dual", "alternating"])
def test_a_lock_by_a_person_is_not_taken_off_or_passed_by(world: MariaDbWorld, strategy: str) -> None:
    user = world.account(unique("locked"), options="ACCOUNT LOCK")
    value = {**user, "password": new_password(), "strategy": strategy}
    assert refused(world, value).reason == "locked"
    assert not world.exists(f"{user['username']}_clone")
