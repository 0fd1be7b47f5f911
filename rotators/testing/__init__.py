"""The conformance kit: what every rotator has to pass, ours and those of others.

Give a target (`Target`) and subclass the suites in a test module; pytest does the rest::

    from rotators.testing import RotatorContractV2, aws

    @pytest.fixture(scope="module")
    def target(): ...

    class TestContract(RotatorContractV2):
        rotator = "acme"

`contract.py` and `hostile.py` hold the contract, `crashes.py` the crash matrix, `races.py` calls at the same
time. A suite is versioned: when more is required, ``RotatorContractV3`` appears and V2 stays as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotators.testing.contract import RotatorContractV1
    from rotators.testing.crashes import RotatorCrashesV1
    from rotators.testing.fixtures import aws
    from rotators.testing.hostile import RotatorContractV2
    from rotators.testing.races import RotatorRacesV1
    from rotators.testing.recorder import Hook, Kind
    from rotators.testing.target import Target, Value

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
    "Hook": "recorder",
    "Kind": "recorder",
    "RotatorContractV1": "contract",
    "RotatorContractV2": "hostile",
    "RotatorCrashesV1": "crashes",
    "RotatorRacesV1": "races",
    "Target": "target",
    "Value": "target",
    "aws": "fixtures",
}


def __getattr__(name: str) -> object:
    # When first asked for: the command needs parts of the kit, without pytest.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
