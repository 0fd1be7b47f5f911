"""Applications that use the client with psycopg, on PostgreSQL in place of Amazon Redshift."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from rotators.client import Credentials
from rotators.client._drivers import completed
from rotators.core.secret import Secret
from rotators.engines.postgres.driver import PSYCOPG
from rotators.engines.redshift import RedshiftEngine
from rotators.local.aws import LocalAws
from rotators.local.servers.redshift import RedshiftStandIn
from rotators.testing._case import STEPS
from tests.world import World, remembered, unique

PASSWORD = remembered("Known-password-8")


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_client_logs_in_between_all_steps(aws: LocalAws, redshift: RedshiftStandIn, strategy: str) -> None:
    world, user = World(aws, redshift), unique("app")
    redshift.create_user(user, PASSWORD)
    arn = world.secret(
        {**redshift.secret(user, PASSWORD), "strategy": strategy, "masterarn": world.admin_secret()}
    )
    credentials = Credentials(arn)
    for _ in range(2):
        token = str(uuid.uuid4())
        aws.stage(arn, token)
        for step in STEPS:
            world.step(step, arn, token)
            assert logged_in(credentials) in {user, f"{user}_clone"}


def logged_in(credentials: Credentials) -> Any:
    with credentials.connect(psycopg.connect, prepare_threshold=None) as connection:
        row = connection.execute("SELECT current_user").fetchone()
        return row and row[0]


def test_psycopg_gets_the_defaults_of_redshift() -> None:
    value = {"engine": "redshift", "host": "h", "username": "u", "password": "p"}
    found = PSYCOPG.parameters(completed(Secret(value), PSYCOPG), {})
    assert (found["port"], found["dbname"]) == (
        RedshiftEngine.default_port,
        RedshiftEngine.target_defaults["dbname"],
    )
