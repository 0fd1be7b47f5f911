"""The fixture for other packages' conftest: ``from rotators.testing._fixtures import aws``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.local.aws import LocalAws


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """Yield a local AWS; the process's environment points at it for the whole run."""
    with pytest.MonkeyPatch.context() as patch, LocalAws() as running:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield running
