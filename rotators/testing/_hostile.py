"""Second version of the contract: rules for hostile or unusual secrets, accounts and events."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

from functools import partial
from typing import ClassVar
from unittest.mock import patch

import pytest

from rotators.core.errors import RotationStateError, RotatorFailure, VersionConflict
from rotators.core.settings import MOST_REJECTED
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._contract import RotatorContractV1, places_in_set, port_of_target, refuses
from rotators.testing._proxy import Proxy
from rotators.testing._recorder import Kind, When, at
from rotators.testing._suite import at_once, failure
from rotators.testing._target import Value

CREATE, SET, TEST, FINISH = STEPS

_OLDER = 7  # versions with a wrong password, more than a step may try
_AT_ONCE = 4  # repetitions of a failed step
_REPEATS = 150  # steps until a value is found by chance; each finds it with a probability of at least 0.1
_ADMIN_LOGINS = 2


class RotatorContractV2(RotatorContractV1):
    """Rules for every rotator, for any stored value and any kind of account."""

    version: ClassVar[int] = 2

    def test_a_stored_credential_goes_only_to_its_target(self, kit: Kit) -> None:
        """A stored credential is sent only to its own target; fails if another address in the secret gets it.

        A user who may write the secret, but not read it, stores another address. It is that of a proxy of
        the same target: a credential that is sent there is accepted and changed, so the test detects it
        even if the protocol hides it.
        """
        with Proxy(port_of_target(kit)) as proxy:
            for staged in (True, False):
                with kit.case(rotations=1) as case:
                    stored = case.current()
                    _plant(case, kit.target.moved(kit.target.wrong(stored), proxy.port), staged=staged)
                    _fails(case)
                    assert kit.target.logs_in(stored), "a stored credential was sent to another address"

    def test_a_pending_value_stays_with_its_target(self, kit: Kit) -> None:
        """A pending value is used only at the target it was created for.

        Fails if a step uses it at another address. The address changes after createSecret, or after
        setSecret.
        """
        with Proxy(port_of_target(kit)) as proxy:
            for reached in ((CREATE,), (CREATE, SET)):
                with kit.case() as case:
                    token = case.begin(*reached)
                    case.put(kit.target.moved(case.current(), proxy.port))
                    refuses(case, token, "elsewhere")

    def test_a_similar_name_is_another_account(self, kit: Kit) -> None:
        """Names with blanks, patterns or other case are other users.

        Fails if one is promoted or changes the user.
        """
        with kit.case() as case:
            original = case.first
            for name in kit.target.lookalikes(str(original["username"])):
                for value in (original, kit.target.wrong(original)):
                    planted = case.put({**value, "username": name})
                    _fails(case)
                    assert case.current_version() == planted, f"a value for {name!r} was promoted"
                    assert kit.target.logs_in(original), f"{name!r} changed another user's credential"

    def test_rejected_logins_are_bounded(self, kit: Kit) -> None:
        """A setSecret makes a limited number of logins, because servers lock accounts after rejected ones.

        Fails if it makes more, or if repeated steps do not find the value that works.
        """
        with kit.case() as case:
            token = _begun_with_older(case)
            for _ in range(_REPEATS):
                kit.recorder.begin()
                kit.function.restart()
                done = case.succeeds(SET, token)
                logins = _logins(kit)
                most = MOST_REJECTED + (_ADMIN_LOGINS if kit.with_admin else 0)
                assert logins <= most, f"setSecret logged in {logins} times, of {most} allowed"
                if done:
                    break
            kit.recorder.begin()
            case.steps(token, TEST, FINISH)
            assert case.current_logs_in(), "the value that works was never tried"

    def test_a_repeated_step_adds_no_rejected_logins(self, kit: Kit) -> None:
        """Repeated steps share one limit of logins; fails if the steps of one rotation exceed it.

        Secrets Manager repeats a failed step at once, and servers lock accounts by the total.
        """
        with kit.case() as case:
            token = _begun_with_older(case)
            logins, most = 0, MOST_REJECTED
            for _ in range(_AT_ONCE):
                kit.recorder.begin()
                done = case.succeeds(SET, token)
                logins += _logins(kit)
                most += _ADMIN_LOGINS if kit.with_admin else 0
                assert logins <= most, (
                    f"setSecret logged in {logins} times in one rotation, of {most} allowed"
                )
                if done:
                    break
            kit.recorder.begin()

    def test_a_right_credential_is_not_reset(self, kit: Kit) -> None:
        """An admin resets only a wrong credential.

        Fails if one is reset that is rejected for another reason.
        """
        if not kit.with_admin:
            pytest.skip("only an admin can reset a credential")
        with kit.case(rotations=1) as case:
            current = case.current()
            if not kit.target.obstruct(current):
                pytest.skip("this target gives no other reason for a rejected login")
            token = case.begin()
            # With two users, the other one may log in.
            all(case.succeeds(step, token) for step in (CREATE, SET, TEST))
            kit.target.admit(current)
            assert kit.target.logs_in(current), "a credential that was right has been reset"
            assert case.current() == current

    def test_a_late_set_changes_nothing(self, kit: Kit) -> None:
        """A setSecret that continues after another rotation has ended is refused.

        Fails if it succeeds, or if the current value does not log in afterwards.
        """
        for place in _places_of_logins(kit):
            with kit.case(rotations=1) as case, patch("rotators.core.rotation.STAGES_SECONDS", 0.0):
                late = case.begin(CREATE)
                kit.recorder.begin(at(place, When.AFTER, partial(_in_another_container, case)))
                failure(
                    (RotationStateError, VersionConflict, RotatorFailure),
                    partial(case.step, SET, late),
                    "a setSecret after another rotation",
                )
                kit.recorder.begin()
                assert case.current_logs_in(), "a late setSecret broke the current value"

    def test_a_finished_rotations_late_set_changes_nothing(self, kit: Kit) -> None:
        """A setSecret whose rotation has ended does not disturb the next rotation.

        Fails if its value does not log in.
        """
        for place in _places_of_logins(kit):
            with kit.case(rotations=1) as case, patch("rotators.core.rotation.STAGES_SECONDS", 0.0):
                late = case.begin(CREATE)
                later: list[str] = []
                kit.recorder.begin(at(place, When.AFTER, partial(_finish_and_begin, case, late, later)))
                case.succeeds(SET, late)
                kit.recorder.begin()
                case.step(FINISH, later[0])
                assert case.current_logs_in(), "a late setSecret broke the next rotation"

    def test_finish_without_test_promotes_nothing_untested(self, kit: Kit) -> None:
        """Step finishSecret without testSecret promotes a value only if it logs in.

        Fails if it promotes another, or refuses one that logs in. A sender of events may omit steps, and a
        new container has no memory of earlier steps.
        """
        for reached in ((CREATE,), (CREATE, SET)):
            with kit.case(rotations=1) as case:
                token = case.begin(*reached)
                kit.function.restart()
                done = case.succeeds(FINISH, token)
                assert done == (SET in reached), f"finishSecret after {reached}"
                assert case.current_logs_in() or SET in reached, "a value was promoted that does not log in"
                case.steps(token, SET, TEST, FINISH)
                assert case.current_logs_in()


def _plant(case: Case, value: Value, *, staged: bool) -> None:
    """Store a value as current; the previous one keeps AWSPREVIOUS, or has no stage."""
    case.put(value)
    if not staged:
        case.put({**value, "planted": "again"})


def _begun_with_older(case: Case) -> str:
    """Store versions with wrong credentials as current, and begin a rotation; return its token."""
    for _ in range(_OLDER):
        case.put(case.kit.target.wrong(case.first))
    return case.begin(CREATE)


def _logins(kit: Kit) -> int:
    """Return the number of recorded logins."""
    return sum(each.kind is Kind.CONNECT for each in kit.recorder.operations)


def _fails(case: Case) -> None:
    """Run a rotation that must fail before its last step."""
    token = case.begin()
    assert not all(case.succeeds(step, token) for step in (CREATE, SET, TEST)), "the rotation succeeded"
    case.drop_pending(token)


def _places_of_logins(kit: Kit) -> list[int]:
    """Return the indexes of the logins in an undisturbed setSecret."""
    with kit.case(rotations=1) as case:
        found = places_in_set(case, Kind.CONNECT)
    if not found:
        pytest.skip("Target.operations names no login")
    return found


def _finish_and_begin(case: Case, token: str, later: list[str]) -> None:
    """End a rotation after its createSecret, and run the next one up to its last step."""
    _in_another_container(case, token, SET, TEST, FINISH)
    later.append(_in_another_container(case, None, CREATE, SET, TEST))


def _in_another_container(case: Case, token: str | None = None, *steps: str) -> str:
    """Run steps in a separate thread, so that they are not recorded.

    Args:
        case: case of the secret.
        token: token of the rotation; None begins a new one.
        *steps: names of the steps; all four if none is given.

    Returns:
        The token.
    """
    token = token or case.begin()
    for step in steps or STEPS:
        assert not at_once(case.kit, [case.event(step, token)]), f"{step} in another container failed"
    return token
