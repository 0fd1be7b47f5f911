"""Any user name and any password that PostgreSQL takes can be rotated."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import World, new_password, unique

NAMES = [
    "o'brien",
    'dou"ble',
    "per%cent %s %(x)s",
    "with space",
    "CamelCase",
    "ünïcødé-日本語",
    "back\\slash",
    "semi;colon--",
    "$$dollar",
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
    "\uff26\uff35\uff2c\uff2c\uff57idth\uff11",
    "x" * 128,
    "$$dollar{brace}",
]


@pytest.mark.parametrize("strategy", ["single", "alternating"])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_rotates(world: World, name: str, strategy: str) -> None:
    user = world.user(unique(name))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": strategy})
    for _ in range(2):
        assert world.logs_in(world.rotate(arn))


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_the_longest_name_rotates(world: World, strategy: str) -> None:
    room = 63 if strategy == "single" else 63 - len("_clone")
    name = unique("é").ljust(40, "x")
    name += "y" * (room - len(name.encode()))
    user = world.user(name)
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": strategy})
    for _ in range(2):
        assert world.logs_in(world.rotate(arn))


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_hostile_password_is_rotated_from_and_to(world: World, password: str) -> None:
    password += new_password()  # unlike any name, for the search at the end
    user = world.user(password=password)
    arn = world.secret(user)
    token = world.begin(arn)
    to = {**user, "password": new_password() + password[:90]}
    world.put_pending(arn, token, to)
    for step in ("setSecret", "testSecret", "finishSecret"):
        world.step(step, arn, token)
    assert world.logs_in(to)
    assert not world.logs_in(user)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
        lambda name: len(name.encode()) <= 40
    ),
    password=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60),
)
def test_any_name_with_any_password_rotates(world: World, name: str, password: str) -> None:
    user = world.user(unique(name), password=password + new_password())
    assert world.logs_in(world.rotate(world.secret(user)))
