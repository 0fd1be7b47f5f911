"""A rotation keeps an account's authentication plugins, or refuses before it changes any."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.cli import cli
from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.hashes import (
    caching_sha2,
    ed25519,
    is_password,
    native_password,
    sha256_crypt,
    sha256_password,
)
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.engines.mysql.plugins import Way, shown_ways
from rotators.testing._case import STEPS
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique

NATIVE = "mysql_native_password USING '{native}'"
ED25519 = "ed25519 USING '{ed25519}'"
ACCOUNTS = {
    "native": (NATIVE, ["mysql_native_password"]),
    "ed25519": (ED25519, ["ed25519"]),
    "socket or native": (f"unix_socket OR {NATIVE}", ["unix_socket", "mysql_native_password"]),
    "native or socket": (f"{NATIVE} OR unix_socket", ["mysql_native_password", "unix_socket"]),
    "named socket or ed25519": (f"unix_socket USING 'me' OR {ED25519}", ["unix_socket", "ed25519"]),
}
PATHS = ["single", "dual", "alternating", "reset by an admin"]


@pytest.fixture
def world(world: MariaDbWorld) -> MariaDbWorld:
    if not world.run("SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'"):
        world.run("INSTALL SONAME 'auth_ed25519'")
    return world


def account(world: MariaDbWorld, via: str) -> dict[str, Any]:
    name, password = unique("way"), new_password()
    ways = via.format(native=native_password(password), ed25519=ed25519(password))
    world.run(f"CREATE USER '{name}'@'%' IDENTIFIED VIA {ways}")
    return world.maria.secret(name, password)


def plugins(world: MariaDbWorld, name: str) -> list[str]:
    """The plugins of an account, each once, as the server stores them; a socket with its string."""
    stored = json.loads(world.run("SELECT Priv FROM mysql.global_priv WHERE User = %s", name)[0][0])
    return list(dict.fromkeys((each or stored)["plugin"] for each in stored.get("auth_or", [stored])))


def accepted(value: dict[str, Any]) -> bool:
    """Return True if the engine's login works; otherwise raise an exception."""
    with MariaDbEngine().login(Secret(value), Settings()) as session:
        session.check()
    return True


KEPT = [(kind, path) for kind in ACCOUNTS for path in PATHS if path != "dual" or "ed25519" not in kind]


@pytest.mark.parametrize(("kind", "path"), KEPT)
def test_the_plugins_of_an_account_stay(world: MariaDbWorld, kind: str, path: str) -> None:
    via, expected = ACCOUNTS[kind]
    user = account(world, via)
    value = {**user, "strategy": path if path in {"dual", "alternating"} else "single"}
    if path != "single":
        value["masterarn"] = world.admin_secret()
    if path == "reset by an admin":
        value["password"] = new_password()
    arn = world.secret(value)
    for _ in range(3):
        new = world.rotate(arn)
        assert accepted(new)
        assert plugins(world, user["username"]) == expected
    if path == "dual":
        assert accepted(world.value(arn, "AWSPREVIOUS"))
    if path == "alternating":
        clone = plugins(world, f"{user['username']}_clone")
        assert clone == [name for name in expected if name != "unix_socket"]


def test_a_socket_keeps_its_name(world: MariaDbWorld) -> None:
    user = account(world, ACCOUNTS["named socket or ed25519"][0])
    value = {**user, "password": new_password(), "strategy": "single", "masterarn": world.admin_secret()}
    world.rotate(world.secret(value))
    shown = world.run(f"SHOW CREATE USER {world.written(user['username'])}")[0][0]
    assert "unix_socket USING 'me'" in shown


def test_a_ready_made_second_user_keeps_its_socket(world: MariaDbWorld) -> None:
    user, second = account(world, NATIVE), account(world, f"unix_socket OR {NATIVE}")
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        for statement in session._marking(
            *(session._account(name) for name in (second["username"], user["username"]))
        ).split("; "):
            world.run(statement)
    arn = world.secret({**user, "masterarn": world.admin_secret(), "alternate_username": second["username"]})
    world.rotate(arn)
    assert world.logs_in(world.value(arn))
    assert plugins(world, second["username"]) == ["unix_socket", "mysql_native_password"]


def test_dual_is_refused_for_plugins_without_two_passwords(world: MariaDbWorld) -> None:
    user = account(world, ED25519)
    arn = world.secret({**user, "strategy": "dual", "masterarn": world.admin_secret()})
    assert world.refusal(arn, "ed25519").reason == "plugin"
    assert accepted(user)


REFUSED = ["unix_socket", f"{NATIVE} OR mysql_old_password USING '0123456789abcdef'"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("via", REFUSED)
def test_other_plugins_are_refused_before_anything_changes(world: MariaDbWorld, via: str, path: str) -> None:
    user = account(world, via)
    value = {**user, "strategy": path if path in {"dual", "alternating"} else "single"}
    if path != "single":
        value["masterarn"] = world.admin_secret()
    if path == "reset by an admin" or via == "unix_socket":
        value["password"] = new_password()
        value["masterarn"] = world.admin_secret()
    before = world.run("SELECT Priv FROM mysql.global_priv WHERE User = %s", user["username"])
    # An alternative that would reveal the password is refused during the login.
    assert world.refusal(world.secret(value)).reason in {"plugin", "auth-method"}
    assert world.run("SELECT Priv FROM mysql.global_priv WHERE User = %s", user["username"]) == before
    assert not world.exists(f"{user['username']}_clone")


def test_users_cannot_change_two_plugins_passwords_themselves(world: MariaDbWorld) -> None:
    user = account(world, f"{NATIVE} OR {ED25519}")
    world.refusal(world.secret(user), "only one")
    assert world.logs_in(user)


def test_without_pynacl_an_ed25519_rotation_changes_nothing(
    world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = account(world, ED25519)
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "alternating"})
    token = world.begun(arn)
    monkeypatch.setitem(sys.modules, "nacl", None)
    with pytest.raises(TargetRefused, match="PyNaCl") as caught:
        world.step("setSecret", arn, token)
    assert caught.value.full_code == "target-refused/plugin"
    monkeypatch.undo()
    assert not world.exists(f"{user['username']}_clone")
    for step in STEPS[1:]:
        world.step(step, arn, token)
    assert accepted(world.value(arn))


def test_doctor_reports_missing_pynacl(world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.secret(account(world, ED25519))
    monkeypatch.setitem(sys.modules, "nacl", None)
    result = CliRunner().invoke(cli, ["doctor", arn, "--idle", "--json"])
    assert not isinstance(result.exception, RuntimeError)
    assert "PyNaCl" in result.stdout


def test_the_hash_of_ed25519_is_the_servers(world: MariaDbWorld) -> None:
    name = unique("ed")
    world.run(f"CREATE USER '{name}' IDENTIFIED VIA ed25519 USING PASSWORD('one of the tests')")
    stored = json.loads(world.run("SELECT Priv FROM mysql.global_priv WHERE User = %s", name)[0][0])
    assert stored["authentication_string"] == ed25519("one of the tests")


@settings(max_examples=25, deadline=None)
@given(
    password=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
)
def test_a_stored_hash_matches_only_its_password(password: str) -> None:
    """MySQL's two hashes are compared with the definition of SHA-256-crypt; no MySQL server is needed."""
    stored: dict[str, bytes] = {
        "mysql_native_password": native_password(password).encode(),
        "ed25519": ed25519(password).encode(),
        "caching_sha2_password": caching_sha2(password),
        "sha256_password": sha256_password(password).encode(),
    }
    for plugin, hashed in stored.items():
        assert is_password(plugin, hashed, password) is True
        assert is_password(plugin, hashed, password + "x") is False


def test_unsupported_hashes_are_not_judged() -> None:
    slow = b"$A$FFF$" + b"s" * 20 + b"h" * 43
    for plugin, stored in (
        ("caching_sha2_password", slow),
        ("caching_sha2_password", b"$A$"),
        ("sha256_password", b"$5$rounds=999999999$salt$hash"),
        ("sha256_password", b""),
        ("parsec", b"P0:x:y"),
    ):
        assert is_password(plugin, stored, "password") is None


def test_more_rounds_are_compared() -> None:
    salt = b"s" * 20
    assert is_password("caching_sha2_password", b"$A$006$" + salt + sha256_crypt(b"pw", salt, 6000), "pw")
    assert is_password("sha256_password", b"$5$rounds=6000$salt$" + sha256_crypt(b"pw", b"salt", 6000), "pw")


@pytest.mark.parametrize(
    ("shown", "ways"),
    [
        (
            "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*12' REQUIRE SSL",
            [Way("mysql_native_password", "*12")],
        ),
        ("CREATE USER `a`@`%` IDENTIFIED VIA unix_socket", [Way("unix_socket")]),
        ("CREATE USER `a` IDENTIFIED VIA x`@`%` IDENTIFIED VIA y", []),
        ("CREATE USER `a`` IDENTIFIED VIA x`@`%` IDENTIFIED VIA ed25519 USING 'k'", [Way("ed25519", "k")]),
        (
            "CREATE USER `a`@`%` IDENTIFIED VIA p USING 'it''s OR x' OR q ACCOUNT LOCK",
            [Way("p", "it''s OR x"), Way("q")],
        ),
        ("CREATE USER `a`@`%`", []),
    ],
)
def test_all_forms_of_show_create_user_are_parsed(shown: str, ways: list[Way]) -> None:
    assert list(shown_ways(shown)) == ways


def test_the_hashes_are_those_of_their_inventors() -> None:
    assert native_password("root") == "*81F5E21E35407D884A6CD4A731AEBFB6AF209E1B"
    drepper = b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
    assert sha256_crypt(b"Hello world!", b"saltstring", 5000) == drepper
