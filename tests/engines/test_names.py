"""Any user name and any password that a server accepts can be rotated."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rotators.core.errors import TargetRefused
from rotators.strategies.engine import Engine
from rotators.testing import Target
from rotators.testing._case import STEPS, Kit
from tests.world import new_password, remembered, unique

PASSWORDS = [
    "quote'pass'word",
    'double"pass"word',
    "per%cent%s%(x)s",
    "back\\slash\\word",
    "  spaces  ",
    "日本語のパスワード",
    "semi;colon--drop",
    "\uff26\uff35\uff2c\uff2c\uff57idth\uff11",
    "x" * 90,
    "$$dollar{brace}",
]


def test_the_longest_name_rotates(any_strategy: Kit, target: Target, facts: Engine, strategy: str) -> None:
    room = min(facts.longest_username, target.longest) - (len("_clone") if strategy == "alternating" else 0)
    name = unique("é")
    name += "y" * (room - len(target.username(name).encode()))
    with any_strategy.case(value=target.create_named(name)) as case:
        for _ in range(2):
            assert target.logs_in(case.rotate())


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_hostile_password_is_rotated_from_and_to(single: Kit, target: Target, password: str) -> None:
    with single.case(password=password + new_password()) as case:
        token = case.begin()
        to = {**case.first, "password": remembered(new_password() + password)}
        case.put(to, token, "AWSPENDING")
        if not target.takes_password(to["password"]):
            with pytest.raises(TargetRefused, match="rules"):
                case.steps(token, STEPS[1])
            assert target.logs_in(case.first)
            return
        case.steps(token, *STEPS[1:])
        assert target.logs_in(to)
        assert not target.logs_in(case.first)


@settings(
    max_examples=15,
    # A target may take few of all names.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10),
    password=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60),
)
def test_any_name_with_any_password_rotates(single: Kit, target: Target, name: str, password: str) -> None:
    assume(target.takes_name(name))
    chosen = password + uuid.uuid4().hex
    with single.case(name=name, password=chosen if target.takes_password(chosen) else None) as case:
        assert target.logs_in(case.rotate())
