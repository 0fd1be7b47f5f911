"""What the suites share: a kit for each test class, and how an expected failure is asked for."""

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
    """The base of the suites. A subclass needs the fixtures ``target`` and ``aws`` (`fixtures.py` has one).

    Attributes:
        version: of the suite; what a version demands does not change any more.
        rotator: an installed rotator's name, an object, or None for the one of the target's ``engine``.
        strategy: the secret's ``strategy`` key; None for a rotator without strategies.
        with_admin: whether the secret names an admin.
        timeout: seconds within which a step must give up a target that does not answer.
    """

    version: ClassVar[int] = 1
    rotator: ClassVar[str | Rotator | None] = None
    strategy: ClassVar[str | None] = None
    with_admin: ClassVar[bool] = False
    timeout: ClassVar[float] = 16.0

    @pytest.fixture
    def kit(self, aws: LocalAws, target: Target) -> Iterator[Kit]:
        """Makes the cases of this suite."""
        with Kit(
            aws, target, rotator=self.rotator, strategy=self.strategy, with_admin=self.with_admin
        ) as kit:
            yield kit


def failure(kind: type[E] | tuple[type[E], ...], call: Callable[[], object], why: str) -> E:
    """The error of a call that must fail.

    Args:
        kind: of which class.
        call: what must fail.
        why: what it means if it does not.

    Raises:
        AssertionError: it did not fail, or in another way.
    """
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"{why}: it failed with {type(error).__name__} instead") from error
    raise AssertionError(f"{why}: it did not fail")
