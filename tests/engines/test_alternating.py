"""Strategy `alternating` on a real server of every engine."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    RotatorsError,
    SecretFormatError,
    TargetRefused,
)
from rotators.strategies.engine import Engine
from rotators.testing import Target
from rotators.testing._case import STEPS, Kit
from tests.engines.conftest import begun, logins, store
from tests.world import unique

CREATE, SET, TEST, FINISH = STEPS


def admin_secret(kit: Kit, **changes: Any) -> str:
    """Store an admin's secret; return its ARN."""
    return kit.store({**(kit.target.admin() or {}), **changes})


def test_users_alternate_and_the_previous_one_stays_valid(alternating: Kit, target: Target) -> None:
    with alternating.case() as case:
        values = [case.first, *(case.rotate() for _ in range(4))]
        original = case.first["username"]
        assert [value["username"] for value in values] == [*[original, f"{original}_clone"] * 2, original]
        assert target.logs_in(values[-2])


def test_a_rotation_takes_three_logins(alternating: Kit) -> None:
    with alternating.case(rotations=1) as case:
        alternating.recorder.begin()
        case.rotate()
        assert logins(alternating) == 3


def test_removing_the_suffix_never_resets_an_unrelated_user(alternating: Kit, target: Target) -> None:
    victim = target.create()
    with alternating.case(value=target.create_named(f"{victim['username']}_clone")) as case:
        with pytest.raises(TargetRefused, match="not the clone"):
            case.step(SET, begun(case))
        assert target.logs_in(victim)
        assert target.logs_in(case.first)


def test_a_long_clone_name_error_suggests_alternate_username(
    alternating: Kit, target: Target, facts: Engine
) -> None:
    name = unique("long").ljust(facts.longest_username - 3, "x")
    with (
        alternating.case(value=target.create_named(name)) as case,
        pytest.raises(SecretFormatError, match=r"_clone appended would exceed .*alternate_username"),
    ):
        case.step(CREATE, case.begin())


@pytest.mark.parametrize(("key", "value"), [("host", "127.0.0.1"), ("port", 1), ("engine", "another")])
def test_another_targets_admin_is_refused_before_any_login(alternating: Kit, key: str, value: object) -> None:
    with alternating.case() as case:
        store(case, {**case.first, "masterarn": admin_secret(alternating, **{key: value})})
        token = begun(case)
        alternating.recorder.begin()
        with pytest.raises(IdentityMismatch, match="masterarn"):
            case.step(SET, token)
        assert logins(alternating) == 0


def test_the_admin_itself_is_not_rotated_through_itself(alternating: Kit, target: Target) -> None:
    with alternating.case() as case:
        store(case, {**case.first, **(target.admin() or {})})
        with pytest.raises(IdentityMismatch, match="user that is being rotated"):
            case.step(SET, begun(case))


def test_a_wrong_admin_password_is_a_rejection(alternating: Kit, target: Target) -> None:
    admin = target.admin() or {}
    with alternating.case() as case:
        wrong = admin_secret(alternating, password=target.wrong(admin)["password"])
        store(case, {**case.first, "masterarn": wrong})
        with pytest.raises(CredentialsRejected, match=str(admin["username"])):
            case.step(SET, begun(case))


def test_the_admin_recovers_from_a_broken_current_password(alternating: Kit, target: Target) -> None:
    with alternating.case() as case:
        target.reset(case.first)
        assert target.logs_in(case.rotate())


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "stranger"])
def test_an_unrelated_ready_made_user_is_refused(alternating: Kit, target: Target, missing: bool) -> None:
    second = {"username": unique("nobody")} if missing else target.create()
    with alternating.case() as case:
        store(case, {**case.first, "alternate_username": second["username"]})
        with pytest.raises(TargetRefused):
            case.step(SET, begun(case))
        assert missing or target.logs_in(second)


def test_a_similar_name_gets_no_clone(alternating: Kit, target: Target) -> None:
    with alternating.case() as case:
        before = target.footprint(case.first)
        for name in target.lookalikes(case.first["username"]):
            store(case, {**case.first, "username": name})
            with pytest.raises(RotatorsError):
                case.step(SET, begun(case))
        assert target.footprint(case.first) == before


def test_a_clone_can_change_to_strategy_single(alternating: Kit, target: Target) -> None:
    with alternating.case(rotations=1) as case:
        store(case, {**case.current(), "strategy": "single"})
        assert target.logs_in(case.rotate())
