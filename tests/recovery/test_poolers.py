"""`rotators doctor` and `rotators repair` behind a real PgBouncer with a user list."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from rotators.core.errors import CredentialsRejected
from rotators.recovery.errors import RepairRefused
from tests.cli.test_doctor_repair import examined, put, run
from tests.pgbouncer import PgBouncer
from tests.world import World, new_password

Value = dict[str, Any]


def changed_at_the_server(world: World, arn: str, value: Value) -> Value:
    """Store a pending value whose password the server has and the pooler does not have."""
    pending = {**value, "password": new_password()}
    world.set_password(value["username"], pending["password"])
    put(world, arn, pending, "AWSPENDING")
    return pending


def refused(world: World, arn: str) -> str:
    """The error text of a repair that changes nothing."""
    stages = world.stages(arn)
    result = run("repair", arn, "--idle")
    assert isinstance(result.exception, RepairRefused), result.output
    assert world.stages(arn) == stages
    return str(result.exception)


def test_a_password_unknown_to_poolers_keeps_its_stage(world: World, pooler: PgBouncer) -> None:
    value = pooler.in_front(world.user())
    pooler.knows(value)
    arn = world.secret(value)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.step("setSecret", arn, token)
    with pytest.raises(CredentialsRejected):
        world.step("testSecret", arn, token)
    document = examined(arn)
    assert document["state"] == "pooler"
    assert "The server accepts AWSPENDING" in document["sentence"]
    assert "Set the password of AWSPENDING in the pooler" in refused(world, arn)

    pooler.knows(world.value(arn, "AWSPENDING"))
    assert examined(arn)["state"] == "promote-pending"
    assert run("repair", arn, "--idle").exit_code == 0
    assert "AWSCURRENT" in world.stages(arn)[token]
    assert examined(arn)["healthy"]


def test_a_pooler_with_old_passwords_moves_no_stage(world: World, pooler: PgBouncer) -> None:
    user = world.user()
    value = pooler.in_front(user)
    pooler.knows(value)
    arn = world.secret(value)
    with psycopg.connect(
        host="localhost",
        port=pooler.port,
        user=user["username"],
        password=user["password"],
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=user["sslrootcert"],
    ) as application:
        application.execute("SELECT 1")
    pending = changed_at_the_server(world, arn, value)
    document = examined(arn)
    trials = {version["stages"][0]: (version["trial"], version["direct"]) for version in document["versions"]}
    assert trials == {"AWSCURRENT": ("accepted", "rejected"), "AWSPENDING": ("rejected", "accepted")}
    assert document["state"] == "pooler"
    refused(world, arn)
    assert world.logs_in({**user, "password": pending["password"]})


def test_a_pooler_without_admin_host_is_noticed(world: World, pooler: PgBouncer) -> None:
    user = world.user()
    value = pooler.secret(user)
    pooler.knows(value)
    arn = world.secret(value)
    assert examined(arn)["healthy"], "the pooler keeps this login's connection to the server"
    changed_at_the_server(world, arn, value)
    assert examined(arn)["state"] == "pooler"
    assert "user list" in refused(world, arn)


def test_a_current_value_unknown_to_poolers_stays(world: World, pooler: PgBouncer) -> None:
    value = pooler.in_front({**world.user(), "strategy": "single", "masterarn": world.admin_secret()})
    pooler.knows({**value, "password": new_password()})
    arn = world.secret(value)
    assert "The server accepts AWSCURRENT" in refused(world, arn)


def test_a_lost_password_is_reset_past_poolers(world: World, pooler: PgBouncer) -> None:
    user = world.user()
    value = pooler.in_front({**user, "strategy": "single", "masterarn": world.admin_secret()})
    arn = world.secret(value)
    world.set_password(user["username"], new_password())
    assert examined(arn)["state"] == "reset-by-admin"
    run("repair", arn, "--idle")
    assert world.logs_in(user)
    pooler.knows(value)
    assert examined(arn)["healthy"]


def test_check_reports_that_a_pooler_answers(world: World, pooler: PgBouncer) -> None:
    user = world.user()
    pooler.knows(user)
    alone = json.loads(run("check", world.secret(pooler.secret(user)), "--json").stdout)
    failed = next(each for each in alone["checks"] if each["result"] == "failed")
    assert failed["name"] == "the server itself answers"
    assert "admin_host" in failed["next"]
    assert json.loads(run("check", world.secret(pooler.in_front(user)), "--json").stdout)["ready"]
