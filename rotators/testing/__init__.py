"""Conformance kit: tests that every rotator must pass, built-in and third-party ones.

Provide a target (`Target`) and subclass the suites in a test module; pytest runs them::

    from rotators.testing import RotatorContractV2, aws

    @pytest.fixture(scope="module")
    def target(): ...

    class TestContract(RotatorContractV2):
        rotator = "acme"

`_contract.py` and `_hostile.py` have the contract, `_crashes.py` the crash matrix, `_races.py` concurrent
calls.
Suites are versioned: new requirements go to a new ``RotatorContractV3``, and V2 does not change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotators.testing._contract import RotatorContractV1
    from rotators.testing._crashes import RotatorCrashesV1
    from rotators.testing._fixtures import aws
    from rotators.testing._hostile import RotatorContractV2
    from rotators.testing._races import RotatorRacesV1
    from rotators.testing._recorder import Hook, Kind
    from rotators.testing._target import Target, Value

__all__ = [
    "Hook",
    "Kind",
    "RotatorContractV1",
    "RotatorContractV2",
    "RotatorCrashesV1",
    "RotatorRacesV1",
    "Target",
    "Value",
    "aws",
]

_WHERE = {
    "Hook": "_recorder",
    "Kind": "_recorder",
    "RotatorContractV1": "_contract",
    "RotatorContractV2": "_hostile",
    "RotatorCrashesV1": "_crashes",
    "RotatorRacesV1": "_races",
    "Target": "_target",
    "Value": "_target",
    "aws": "_fixtures",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: the command needs parts of the kit, without pytest.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
