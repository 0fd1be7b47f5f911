from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.local.postgres import PostgresServer
from rotators.testing.postgres import PostgresTarget


@pytest.fixture(scope="module")
def target(server: PostgresServer) -> Iterator[PostgresTarget]:
    """Users of the server that records all, so that what the kit does is searched for passwords too."""
    target = PostgresTarget(server)
    yield target
    target.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter deadlines of the product: their real lengths are tested in tests/postgres/test_logins.py."""
    monkeypatch.setattr("rotators.postgres.SESSION_SECONDS", 1.0)
    monkeypatch.setattr("rotators.postgres.CONNECT_SECONDS", 2.0)
