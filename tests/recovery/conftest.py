"""What the tests of recovery share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rotators.core.errors import ServerNotFound
from rotators.local.aws import LocalAws
from rotators.local.mariadb import MariaDbServer
from rotators.local.postgres import PostgresServer
from tests.mysql.conftest import MariaDbWorld
from tests.recovery.pooler import PgBouncer


@pytest.fixture(scope="session")
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    """A private PgBouncer in front of the server that logs everything."""
    running = PgBouncer(server)
    try:
        running.start()
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PgBouncer here: {error}")
    yield running
    running.stop()


@pytest.fixture
def maria_world(aws: LocalAws, maria: MariaDbServer) -> MariaDbWorld:
    """The local AWS with the MariaDB that logs everything."""
    return MariaDbWorld(aws, maria)
