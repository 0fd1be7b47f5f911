"""The shipped suites, passed by every strategy of every engine."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import pytest

from rotators.testing._crash import Plan
from rotators.testing._crashes import RotatorCrashesV1
from rotators.testing._hostile import RotatorContractV2
from rotators.testing._races import RotatorRacesV1

pytestmark = pytest.mark.usefixtures("impatient")

NOT_MEASURED: Final = math.inf
"""A busy machine prolongs each step. test_logins.py checks the limits instead."""


class TestSingle(RotatorContractV2, RotatorRacesV1):
    strategy = "single"
    timeout = NOT_MEASURED


class TestSingleWithAdmin(RotatorContractV2):
    strategy = "single"
    with_admin = True
    timeout = NOT_MEASURED


class TestAlternating(RotatorContractV2, RotatorRacesV1):
    strategy = "alternating"
    with_admin = True
    timeout = NOT_MEASURED


class TestDual(RotatorContractV2, RotatorRacesV1):
    strategy = "dual"
    with_admin = True
    timeout = NOT_MEASURED


class TestAlternatingClone(RotatorCrashesV1):
    """Every stop while the clone is created, in this process; `rotators matrix` also kills processes."""

    strategy = "alternating"
    with_admin = True
    kill = False
    plan: ClassVar[Plan] = Plan(starts=[0], every=9)
