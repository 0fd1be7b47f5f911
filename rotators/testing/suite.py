"""Base of the suites: a kit for each test, and a check for expected failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import pytest

from rotators.testing.case import Kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.core.contracts import Rotator
    from rotators.local.aws import LocalAws
    from rotators.testing.target import Target

E = TypeVar("E", bound=BaseException)


class Suite:
    """Base of the suites. A subclass needs the fixtures ``target`` and ``aws`` (`fixtures.py` has one).

    Attributes:
        version: version of the suite; the requirements of a version do not change.
        rotator: name of an installed rotator, an object, or None for the one of the target's ``engine``.
        strategy: the secret's ``strategy`` key; None for a rotator without strategies.
        with_admin: True if the secret names an admin.
        timeout: seconds within which a step must abandon a target that does not answer.
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
