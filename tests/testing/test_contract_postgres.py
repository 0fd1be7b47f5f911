"""The contract, kept by our own rotators."""

from __future__ import annotations

import pytest

from rotators.testing.contract import RotatorContractV1

pytestmark = pytest.mark.usefixtures("impatient")


class TestSingle(RotatorContractV1):
    strategy = "single"
    timeout = 4.0


class TestSingleWithAdmin(RotatorContractV1):
    strategy = "single"
    with_admin = True
    timeout = 4.0


class TestAlternating(RotatorContractV1):
    strategy = "alternating"
    with_admin = True
    timeout = 4.0
