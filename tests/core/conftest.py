"""Fixtures of the tests of loading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.core.progress import progress
from tests.core.loading import Service, Time


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr("rotators.cache.cache.time", fake)
    return fake


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.open.set()


@pytest.fixture(autouse=True)
def new_container() -> None:
    """Remove the recorded progress of tokens before each test."""
    progress.clear()
