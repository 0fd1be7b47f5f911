"""An admin's secret that RDS manages: address and engine come from its tag and the RDS API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from rotators.aws import clients
from rotators.core.errors import AccessDenied, IdentityMismatch, SecretFormatError
from tests.world import World, unique

ARN = "arn:aws:rds:us-east-1:123456789012:{}:main"


@pytest.fixture
def rds(world: World) -> Iterator[Stubber]:
    """The functions' RDS client, answering what a test says; botocore checks the shapes."""
    with Stubber(clients.rds()) as stubber:
        yield stubber


def instance(address: str, port: int, engine: str = "postgres") -> dict[str, Any]:
    return {"DBInstances": [{"Engine": engine, "Endpoint": {"Address": address, "Port": port}}]}


def cluster(address: str, port: int) -> dict[str, Any]:
    return {"DBClusters": [{"Engine": "aurora-postgresql", "Endpoint": address, "Port": port}]}


def managed_admin(world: World, kind: str) -> str:
    """The secret as RDS makes it: user name and password, and its tag."""
    admin = world.admin()
    value = {"username": admin["username"], "password": admin["password"]}
    tag = {"db": "aws:rds:primaryDBInstanceArn", "cluster": "aws:rds:primaryDBClusterArn"}[kind]
    created = world.secrets.create_secret(
        Name=unique("rds-admin"),
        SecretString=json.dumps(value),
        Tags=[{"Key": tag, "Value": ARN.format(kind)}],
    )
    return str(created["ARN"])


@pytest.mark.parametrize("kind", ["db", "cluster"])
def test_an_admin_that_rds_manages_rotates_a_user(
    world: World, rds: Stubber, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_ROOT_CERT", str(world.server.ca))
    port = world.server.port
    if kind == "db":
        rds.add_response(
            "describe_db_instances", instance("localhost", port), {"DBInstanceIdentifier": ARN.format("db")}
        )
    else:
        rds.add_response(
            "describe_db_clusters", cluster("localhost", port), {"DBClusterIdentifier": ARN.format("cluster")}
        )
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, kind)})
    assert world.logs_in(world.rotate(arn))
    rds.assert_no_pending_responses()


def test_an_instance_other_than_the_secrets_is_refused(world: World, rds: Stubber) -> None:
    rds.add_response("describe_db_instances", instance("other.example", world.server.port))
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(IdentityMismatch, match=r"other\.example"):
        world.step("setSecret", arn, token)


def test_an_instance_that_is_still_being_made_is_told(world: World, rds: Stubber) -> None:
    rds.add_response("describe_db_instances", {"DBInstances": [{"Engine": "postgres"}]})
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(SecretFormatError, match="no endpoint yet"):
        world.step("setSecret", arn, token)


def test_a_missing_right_to_ask_rds_is_named(world: World, rds: Stubber) -> None:
    rds.add_client_error("describe_db_instances", "AccessDenied", "not authorized", 403)
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(AccessDenied, match="DescribeDBInstances"):
        world.step("setSecret", arn, token)


def test_an_admin_without_host_that_rds_does_not_manage_is_refused_by_key(world: World) -> None:
    admin = {key: value for key, value in world.admin().items() if key != "host"}
    created = world.secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(admin))
    arn = world.secret({**world.user(), "masterarn": created["ARN"]})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(SecretFormatError, match="'host'"):
        world.step("setSecret", arn, token)
