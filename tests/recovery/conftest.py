"""Fixtures of the tests of recovery."""

from __future__ import annotations

import pytest

from rotators.local.aws import LocalAws
from rotators.local.servers.mariadb import MariaDbServer
from tests.mysql.conftest import MariaDbWorld


@pytest.fixture
def maria_world(aws: LocalAws, maria: MariaDbServer) -> MariaDbWorld:
    """The local AWS with the MariaDB that logs everything."""
    return MariaDbWorld(aws, maria)
