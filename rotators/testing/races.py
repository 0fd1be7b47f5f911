"""Concurrent, late and failed calls, as a suite to subclass (see `Suite`)."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable
from contextlib import redirect_stdout
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
from rotators.core.states import Stage
from rotators.testing.case import STEPS, Case, Kit
from rotators.testing.recorder import Kind, Operation, When
from rotators.testing.suite import Suite, failure

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
            for twice in STEPS:
                token = case.begin()
                case.steps(token, *STEPS[: STEPS.index(twice)])
                errors = _at_once(kit, [case.event(twice, token)] * 2)
                assert len(errors) < 2, f"both deliveries of {twice} failed: {errors}"  # noqa: PLR2004 - both
                _usable(case, f"two deliveries of {twice} at once")
                case.steps(token, *STEPS[STEPS.index(twice) :])
                _done(case, token)

    def test_two_tokens_interleaved(self, kit: Kit) -> None:
        """The label moves to the newer token.

        Fails if a step of the older one succeeds or disturbs the newer one.
        """
        with kit.case(rotations=1) as case:
            for reached in range(1, len(STEPS)):
                elder = case.begin()
                case.steps(elder, *STEPS[:reached])
                younger = case.begin()
                case.step(CREATE, younger)
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
                _at_once(kit, [case.event(step, token) for token in tokens])
                _usable(case, f"{step} of two tokens at once")
            _done(case, _rotated(case))

    def test_a_value_put_by_hand(self, kit: Kit) -> None:
        """A person may reset the credential and store it as current between any two steps.

        Fails if no stored value logs in, or if the next rotation does not succeed.
        """
        for reached in range(len(STEPS)):
            with kit.case(rotations=1) as case:
                token = case.begin()
                case.steps(token, *STEPS[:reached])
                case.put(kit.target.reset(case.current()), str(uuid.uuid4()), Stage.CURRENT)
                for step in STEPS[reached:]:
                    try:
                        case.step(step, token)
                    except RotatorsError:
                        break  # the service calls no further step after a failed one
                assert case.some_logs_in(), "no stored value logs in any more"
                case.drop_pending(token)
                _done(case, _rotated(case))

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
            for lagging in STEPS[1:]:
                token = case.begin()
                late = _Late(case, token)
                case.steps(token, *STEPS[: STEPS.index(lagging) - 1])
                late.remember()
                case.step(STEPS[STEPS.index(lagging) - 1], token)
                late.deliver(lagging)
                _usable(case, f"a read in {lagging} that lags")
                kit.function.restart()
                case.steps(token)
                _done(case, token)


def _again(case: Case, step: str, token: str) -> None:
    case.kit.function.restart()
    case.step(step, token)


def _rotated(case: Case) -> str:
    token = case.begin()
    case.steps(token)
    return token


def _usable(case: Case, after: str) -> None:
    if case.kit.always_usable:
        assert case.current_logs_in(), f"AWSCURRENT does not log in after {after}"
    else:
        assert case.some_logs_in(), f"no stored value logs in after {after}"


def _done(case: Case, token: str) -> None:
    assert case.current_version() == token, "the rotation did not become current"
    assert case.current_logs_in(), "the current value does not log in"


def _at_once(kit: Kit, events: list[dict[str, str]]) -> list[Exception]:
    """Deliver events at the same time, each in a thread; return the errors of those that failed."""
    barrier, errors = threading.Barrier(len(events)), []

    def deliver(event: dict[str, str]) -> None:
        barrier.wait()
        try:
            kit.function.invoke(event)
        except Exception as error:  # noqa: BLE001 - kept for the calling thread
            errors.append(error)

    threads = [threading.Thread(target=deliver, args=(event,), daemon=True) for event in events]
    # Here and not in each thread, because all threads share stdout.
    with redirect_stdout(io.StringIO()):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    strange = [error for error in errors if not isinstance(error, RotatorsError)]
    assert not strange, f"a step failed with an error that is none of ours: {strange}"
    return errors


def _api_points(kit: Kit) -> list[tuple[int, When]]:
    with kit.case(rotations=1) as case:
        kit.function.restart()
        token = case.begin()
        kit.recorder.begin()
        case.steps(token)
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
            raise ClientError({"Error": {"Code": name, "Message": "as ordered"}}, operation.name)

    token = case.begin()
    kit.function.restart()
    kit.recorder.begin(act)
    failure(kind, lambda: case.steps(token), f"{name} {when} call {number}")
    kit.recorder.begin()
    _usable(case, f"{name} {when} call {number}")
    case.steps(token)
    _done(case, token)


class _Late:
    """A replica of the service that does not have the last step's writes yet."""

    def __init__(self, case: Case, token: str) -> None:
        self._case, self._token = case, token

    def remember(self) -> None:
        """Remember the current labels, and whether the token's version has a value."""
        self._described = self._case.kit.client.describe_secret(SecretId=self._case.arn)
        self._versions = {
            version["VersionId"]
            for version in self._case.kit.client.list_secret_version_ids(SecretId=self._case.arn)["Versions"]
        }
        try:
            self._case.pending(self._token)
            self._filled = True
        except self._case.kit.client.exceptions.ResourceNotFoundException:
            self._filled = False

    def deliver(self, step: str) -> None:
        """Run a step against the remembered state; it may fail.

        Args:
            step: name of the step.
        """
        kit = self._case.kit
        kit.function.restart()
        kit.recorder.begin(answer=self._answer)
        try:
            self._case.step(step, self._token)
        except RotatorsError:
            return
        finally:
            kit.recorder.begin()

    def _answer(self, operation: Operation, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        if operation.kind is not Kind.API or args[2].get("SecretId") != self._case.arn:
            return call()
        if operation.name == "DescribeSecret":
            return self._described
        if (
            operation.name == "GetSecretValue"
            and args[2].get("VersionId") == self._token
            and not self._filled
        ):
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "not yet"}}, operation.name
            )
        return call()
