"""Crash matrix as a suite to subclass (see `Suite`)."""

# ruff: noqa: S101 - a suite of tests uses assert, even in the package

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

import pytest

from rotators.testing._case import Kit
from rotators.testing._crash import CrashMatrix, Plan
from rotators.testing._killed import Killer
from rotators.testing._results import StopOutcome, summary
from rotators.testing._suite import Suite


class RotatorCrashesV1(Suite):
    """No crash loses a credential.

    Attributes:
        plan: points and rotations to try.
        kill: True to kill processes too; requires an installed rotator, and a target whose class has a
            dotted path.
    """

    plan: ClassVar[Plan] = Plan()
    kill: ClassVar[bool] = True

    @pytest.mark.timeout(900)
    def test_no_crash_loses_a_credential(self, kit: Kit) -> None:
        """A rotation may be stopped at any point of the plan without loss of a credential.

        Fails if a stop breaks a promise of `StopOutcome`. Fails also if the current value does not log in
        after a stop in createSecret, or, with a strategy that promises it, after any stop.
        """
        with Killer(kit.target) if self.kill else nullcontext() as killer:
            results = CrashMatrix("crashes", kit, killer).run(self.plan)
        assert results, "the plan has no points"
        bad = [result for result in results if result.outcome is not StopOutcome.OK]
        assert not bad, f"{len(bad)} of {len(results)} stops broke a promise: {bad[:3]}"
        window = summary("crashes", results).window
        steps = {place.split()[1] for place in window}
        assert not window or not kit.always_usable
        assert steps <= {"setSecret", "testSecret", "finishSecret"}, window
