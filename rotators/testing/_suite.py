"""Base of the suites: a kit for each test, and a check for expected failures."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

import io
import threading
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, ClassVar, TypeVar

import pytest

from rotators.core.errors import RotatorsError
from rotators.testing._case import Kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.core.contracts import Rotator
    from rotators.local.aws import LocalAws
    from rotators.testing._target import Target

E = TypeVar("E", bound=BaseException)


class Suite:
    """Base of the suites. A subclass needs the fixtures ``target`` and ``aws`` (`fixtures.py` has one).

    Attributes:
        version: version of the suite; the requirements of a version do not change.
        rotator: name of an installed rotator, an object, or None for the one of the target's ``engine``.
        strategy: the secret's ``strategy`` key; None for a rotator without strategies.
        with_admin: True if the secret names an admin.
        timeout: seconds within which a step must abandon a target that does not answer. This is part of the
            contract, because Lambda ends a function that takes too long. It is real time: set ``math.inf``
            if the tests run on a busy machine and the rotator's own limits are tested elsewhere.
    """

    version: ClassVar[int] = 1
    rotator: ClassVar[str | Rotator | None] = None
    strategy: ClassVar[str | None] = None
    with_admin: ClassVar[bool] = False
    timeout: ClassVar[float] = 16.0

    @pytest.fixture
    def kit(self, aws: LocalAws, target: Target) -> Iterator[Kit]:
        """Yield a kit that creates the cases of this suite.

        Args:
            aws: running local AWS.
            target: target of the credentials.
        """
        with Kit(
            aws, target, rotator=self.rotator, strategy=self.strategy, with_admin=self.with_admin
        ) as kit:
            yield kit


def failure(kind: type[E] | tuple[type[E], ...], call: Callable[[], object], why: str) -> E:
    """Return the error of a call that must fail.

    Args:
        kind: class of the error.
        call: call that must fail.
        why: text for the report if the call does not fail.

    Raises:
        AssertionError: the call did not fail, or failed with another error.
    """
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"{why}: it failed with {type(error).__name__} instead") from error
    raise AssertionError(f"{why}: it did not fail")


def at_once(kit: Kit, events: list[dict[str, str]]) -> list[Exception]:
    """Deliver events at the same time, each in a separate thread, where nothing is recorded.

    Args:
        kit: kit of the secrets.
        events: events of steps.

    Returns:
        The errors of those that failed.

    Raises:
        AssertionError: a step fails with an error that is none of this project.
    """
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
