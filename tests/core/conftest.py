"""What the tests of loading live in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.loading import Service, Time


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr("rotators.core.cache.time", fake)
    return fake


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.open.set()
