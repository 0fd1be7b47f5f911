"""The contract, kept by our own rotators."""

from __future__ import annotations

import pytest

from rotators.testing.hostile import RotatorContractV2

pytestmark = pytest.mark.usefixtures("impatient")


class TestSingle(RotatorContractV2):
    strategy = "single"
    timeout = 4.0


class TestSingleWithAdmin(RotatorContractV2):
    strategy = "single"
    with_admin = True
    timeout = 4.0


class TestAlternating(RotatorContractV2):
    strategy = "alternating"
    with_admin = True
    timeout = 4.0
