"""Any user name and any password that MariaDB takes can be rotated."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotators.engines.mysql.hashes import native_password, sha256_crypt
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique

NAMES = [
    "o'brien",
    'dou"ble',
    "per%cent %s %(x)s",
    "back\\slash",
    "back`tick",
    "semi;colon-- #",
    "at@sign@%",
    "x'@'y",
    "ünïcødé-日本",
    "{brace}",
]
PASSWORDS = [
    "quote'pass'word",
    'double"pass"word',
    "per%cent%s%(x)s",
    "back\\slash\\word",
    "  spaces  ",
    "日本語のパスワード",
    "semi;colon--drop",
    "x" * 128,
]


@pytest.mark.parametrize("strategy", ["single", "alternating", "dual"])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_rotates(world: MariaDbWorld, name: str, strategy: str) -> None:
    user = world.account(unique(name))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": strategy})
    for _ in range(2):
        assert world.logs_in(world.rotate(arn))


def test_names_that_differ_in_case_only_are_two_users(world: MariaDbWorld) -> None:
    name = unique("app")
    world.account(name.upper(), grants=("GRANT SELECT ON farm.* TO {}",))
    user = world.account(name, grants=("GRANT SELECT ON zoo.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret()})
    world.rotate(arn)
    assert world.grants(f"{name}_clone") == world.grants(name)


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_the_longest_name_rotates(world: MariaDbWorld, strategy: str) -> None:
    user = world.account(unique("é").ljust((80 if strategy == "single" else 74) - 1, "x"))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": strategy})
    for _ in range(2):
        assert world.logs_in(world.rotate(arn))


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_hostile_password_is_rotated_from_and_to(world: MariaDbWorld, password: str) -> None:
    password += new_password()  # unlike any name, for the search at the end
    user = world.account(password=password)
    arn = world.secret(user)
    token = world.begin(arn)
    to = {**user, "password": new_password() + password[:90]}
    world.put_pending(arn, token, to)
    for step in ("setSecret", "testSecret", "finishSecret"):
        world.step(step, arn, token)
    assert world.logs_in(to)
    assert not world.logs_in(user)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # The server keeps names in three bytes per character, and cuts spaces off their end.
    name=st.text(
        st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc", "Zs"]), min_size=1
    ).filter(lambda name: len(name.encode()) <= 40),
    password=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60),
)
def test_any_name_with_any_password_rotates(world: MariaDbWorld, name: str, password: str) -> None:
    user = world.account(unique(name), password=password + new_password())
    assert world.logs_in(world.rotate(world.secret(user)))


def test_the_hashes_are_those_of_their_inventors() -> None:
    assert native_password("root") == "*81F5E21E35407D884A6CD4A731AEBFB6AF209E1B"
    drepper = b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
    assert sha256_crypt(b"Hello world!", b"saltstring", 5000) == drepper
