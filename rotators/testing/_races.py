"""Concurrent, late and failed calls, as a suite to subclass (see `Suite`)."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from rotators.core.errors import (
    AccessDenied,
    RotationStateError,
    RotatorsError,
    ServiceThrottled,
    ServiceUnavailable,
)
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._recorder import Answer, Kind, Operation, When
from rotators.testing._suite import Suite, at_once, failure

CREATE, SET, TEST, FINISH = STEPS

FAULTS = {
    "ThrottlingException": ServiceThrottled,
    "InternalServiceError": ServiceUnavailable,
    "AccessDeniedException": AccessDenied,
}
"""Error codes of the service, and the errors that they must be translated to."""


class RotatorRacesV1(Suite):
    """Concurrent rotations, and failures of the service."""

    def test_a_step_delivered_twice_at_once(self, kit: Kit) -> None:
        """At most one of two deliveries at once fails.

        Fails if both do, or if the rotation cannot be completed.
        """
        with kit.case(rotations=1) as case:
            for done, twice in enumerate(STEPS):
                token = case.begin(*STEPS[:done])
                errors = at_once(kit, [case.event(twice, token)] * 2)
                assert len(errors) < 2, f"both deliveries of {twice} failed: {errors}"  # noqa: PLR2004 - both
                _usable(case, f"two deliveries of {twice} at once")
                case.steps(token, *STEPS[done:])
                _done(case, token)

    def test_two_tokens_interleaved(self, kit: Kit) -> None:
        """The stage moves to the newer token.

        Fails if a step of the older one succeeds or disturbs the newer one.
        """
        with kit.case(rotations=1) as case:
            for reached in range(1, len(STEPS)):
                elder = case.begin(*STEPS[:reached])
                younger = case.begin(CREATE)
                for late in STEPS[reached:]:
                    failure(
                        RotationStateError, partial(_again, case, late, elder), f"{late} of an older token"
                    )
                case.steps(younger, SET, TEST, FINISH)
                _done(case, younger)

    def test_two_tokens_at_once(self, kit: Kit) -> None:
        """Two rotations in parallel lose no credential.

        Fails if no stored value logs in (AWSCURRENT, with a strategy that promises it), or if a third
        rotation does not succeed.
        """
        with kit.case(rotations=1) as case:
            tokens = [case.begin(), case.begin()]
            for step in STEPS:
                at_once(kit, [case.event(step, token) for token in tokens])
                _usable(case, f"{step} of two tokens at once")
            _done(case, case.begin(*STEPS))

    def test_a_value_put_by_hand(self, kit: Kit) -> None:
        """A person may reset the credential and store it as current between any two steps.

        Fails if no stored value logs in, or if the next rotation does not succeed.
        """
        for reached in range(len(STEPS)):
            with kit.case(rotations=1) as case:
                token = case.begin(*STEPS[:reached])
                case.put(kit.target.reset(case.current()))
                # The service calls no further step after a failed one.
                all(case.succeeds(step, token) for step in STEPS[reached:])
                assert case.some_logs_in(), "no stored value logs in any more"
                case.drop_pending(token)
                _done(case, case.begin(*STEPS))

    def test_failing_api_calls(self, kit: Kit) -> None:
        """A failed call to the service gets the right error, and the same token continues.

        Fails if it does not. Each call fails in each way of `FAULTS`, before and after its effect.
        """
        for name, kind in FAULTS.items():
            with kit.case(rotations=1) as case:
                for number, when in _api_points(kit):
                    _fails_once(case, number, when, name, kind)

    def test_a_read_that_lags(self, kit: Kit) -> None:
        """A read may return the state before the last write.

        Fails if the rotation cannot be completed afterwards.
        """
        with kit.case(rotations=1) as case:
            for done, lagging in enumerate(STEPS[1:], 1):
                *earlier, last = STEPS[:done]
                token = case.begin(*earlier)
                answer = _answer_of_now(case, token, filled=bool(earlier))
                case.step(last, token)
                kit.function.restart()
                kit.recorder.begin(answer=answer)
                case.succeeds(lagging, token)
                kit.recorder.begin()
                _usable(case, f"a read in {lagging} that lags")
                kit.function.restart()
                case.steps(token)
                _done(case, token)


def _again(case: Case, step: str, token: str) -> None:
    case.kit.function.restart()
    case.step(step, token)


def _usable(case: Case, after: str) -> None:
    if case.kit.always_usable:
        assert case.current_logs_in(), f"AWSCURRENT does not log in after {after}"
    else:
        assert case.some_logs_in(), f"no stored value logs in after {after}"


def _done(case: Case, token: str) -> None:
    assert case.current_version() == token, "the rotation did not become current"
    assert case.current_logs_in(), "the current value does not log in"


def _api_points(kit: Kit) -> list[tuple[int, When]]:
    with kit.case(rotations=1) as case:
        kit.function.restart()
        kit.recorder.begin()
        case.begin(*STEPS)
        calls = sum(each.kind is Kind.API for each in kit.recorder.operations)
    return [(number, when) for number in range(calls) for when in When]


def _fails_once(case: Case, number: int, when: When, name: str, kind: type[RotatorsError]) -> None:
    """Let one API call fail once. Only API calls count: statements differ between the users of a pair."""
    kit = case.kit
    seen: list[int] = []

    def act(operation: Operation, side: When) -> None:
        if operation.kind is not Kind.API:
            return
        if operation.index not in seen:
            seen.append(operation.index)
        if (len(seen) - 1, side) == (number, when):
            raise _api_error(name, operation)

    token = case.begin()
    kit.function.restart()
    kit.recorder.begin(act)
    failure(kind, lambda: case.steps(token), f"{name} {when} call {number}")
    kit.recorder.begin()
    _usable(case, f"{name} {when} call {number}")
    case.steps(token)
    _done(case, token)


def _answer_of_now(case: Case, token: str, *, filled: bool) -> Answer:
    """Return an argument for `Recorder.begin`: a replica of the service that gets no later writes.

    Args:
        case: case of the secret.
        token: token of the rotation.
        filled: True if its version has a value.
    """
    described = case.kit.client.describe_secret(SecretId=case.arn)

    def answer(operation: Operation, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        if operation.kind is not Kind.API or args[2].get("SecretId") != case.arn:
            return call()
        if operation.name == "DescribeSecret":
            return described
        if operation.name == "GetSecretValue" and args[2].get("VersionId") == token and not filled:
            raise _api_error("ResourceNotFoundException", operation)
        return call()

    return answer


def _api_error(code: str, operation: Operation) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as ordered"}}, operation.name)
