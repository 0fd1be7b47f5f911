"""The crash matrix as a suite to subclass (see `Suite`)."""

# ruff: noqa: S101 - asserts are how a suite speaks, shipped or not

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

import pytest

from rotators.testing.crash import CrashMatrix, Plan
from rotators.testing.killed import Killer
from rotators.testing.results import Outcome, summary
from rotators.testing.suite import Suite

if TYPE_CHECKING:
    from rotators.testing.case import Kit


class RotatorCrashesV1(Suite):
    """No crash loses a credential.

    Attributes:
        plan: which points are tried.
        kill: whether processes are killed too; needs an installed rotator, and a target whose class has
            a dotted path.
    """

    plan: ClassVar[Plan] = Plan()
    kill: ClassVar[bool] = True

    @pytest.mark.timeout(900)
    def test_no_crash_loses_a_credential(self, kit: Kit) -> None:
        """Every stop ends well, and it is known where the current value did not log in."""
        with Killer(kit.target) if self.kill else nullcontext() as killer:
            results = CrashMatrix("crashes", kit, killer).run(self.plan)
        assert results, "the plan has no points"
        bad = [result for result in results if result.outcome is not Outcome.OK]
        assert not bad, f"{len(bad)} of {len(results)} stops broke a promise: {bad[:3]}"
        window = summary("crashes", results).window
        steps = {place.split()[1] for place in window}
        assert not window or not kit.always_usable
        assert steps <= {"setSecret", "testSecret", "finishSecret"}, window
