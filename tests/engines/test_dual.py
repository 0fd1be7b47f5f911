"""Strategy `dual` on every engine that offers it: the old and the new password both work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rotators.testing import Target
from rotators.testing._case import STEPS, Kit
from rotators.testing._recorder import Kind, Operation, When
from tests.engines.conftest import begun, require_admins

CREATE, SET, TEST, FINISH = STEPS


def test_both_passwords_work_until_the_next_setsecret(dual: Kit, target: Target) -> None:
    with dual.case() as case:
        values = [case.first]
        for _ in range(3):
            values.append(case.rotate())
            assert [target.logs_in(value) for value in values[-2:]] == [True, True]
            assert not any(target.logs_in(value) for value in values[:-2])


def test_no_login_fails_during_two_rotations(dual: Kit, target: Target) -> None:
    """A client that reads AWSCURRENT, and one that still has the value from before the rotation."""
    with dual.case() as case, ThreadPoolExecutor(1) as client:
        tried: list[str] = []

        def act(operation: Operation, when: When) -> None:
            if (operation.step, when) == (SET, When.AFTER) and operation.kind is not Kind.API:
                tried.append(operation.name)
                # In another thread, whose operations are not recorded.
                assert client.submit(case.current_logs_in).result(), tried

        dual.recorder.begin(act)
        for _ in range(2):
            before, token = case.current(), case.begin()
            for step in STEPS:
                case.step(step, token)
                assert case.current_logs_in(), step
            assert target.logs_in(before)
        assert len(tried) > (len(STEPS) if target.administered else 2)


def test_a_version_without_stage_leaves_no_third_password(dual: Kit, target: Target) -> None:
    with dual.case() as case:
        lost = begun(case)
        case.step(SET, lost)
        value = case.pending(lost)
        case.drop_pending(lost)
        assert target.logs_in(value)
        assert case.current_logs_in()
        assert target.logs_in(case.rotate())
        assert target.logs_in(case.first)
        assert not target.logs_in(value)


def test_a_broken_current_password_works_again(dual: Kit, target: Target) -> None:
    require_admins(dual)
    with dual.case() as case:
        target.reset(case.first)
        assert target.logs_in(case.rotate())
        assert target.logs_in(case.first)
