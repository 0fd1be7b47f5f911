"""The conformance kit, passed by the rotator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acme_keys.service import Service
from acme_keys.target import AcmeKeysTarget
from rotators.testing import RotatorContractV2, RotatorCrashesV1, RotatorRacesV1, aws

__all__ = ["aws"]


@pytest.fixture(scope="module")
def target() -> Iterator[AcmeKeysTarget]:
    """Users of a service that runs for this module."""
    with Service() as service:
        yield AcmeKeysTarget(service)


class TestAcmeKeys(RotatorContractV2, RotatorRacesV1, RotatorCrashesV1):
    """With `dual`, the current key is valid at every moment; the kit checks this."""

    rotator = "acme-keys"
    strategy = "dual"
