"""An admin's secret that AWS manages: address and engine come from its tag and the service's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from rotators.aws import clients
from rotators.aws.addresses import with_address, with_admin_address
from rotators.core.errors import (
    AccessDenied,
    IdentityMismatch,
    RequestRefused,
    RotatorsError,
    SecretFormatError,
    ServiceUnavailable,
)
from rotators.core.registry import load
from rotators.core.secret import Secret
from rotators.strategies.identity import check_admin
from rotators.strategies.rotator import engine_of
from tests.world import World, unique

ARN = "arn:aws:rds:us-east-1:123456789012:{}:main"


@pytest.fixture
def rds(world: World) -> Iterator[Stubber]:
    """The functions' RDS client with answers from a test; botocore checks their shapes."""
    with Stubber(clients.rds()) as stubber:
        yield stubber


def instance(address: str, port: int, engine: str = "postgres") -> dict[str, Any]:
    return {"DBInstances": [{"Engine": engine, "Endpoint": {"Address": address, "Port": port}}]}


def cluster(address: str, port: int, engine: str = "aurora-postgresql") -> dict[str, Any]:
    return {"DBClusters": [{"Engine": engine, "Endpoint": address, "Port": port}]}


def managed_admin(world: World, kind: str) -> str:
    """The secret as RDS creates it: user name and password, and its tag."""
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


INSTANCE, CLUSTER = "aws:rds:primaryDBInstanceArn", "aws:rds:primaryDBClusterArn"


@pytest.mark.parametrize(
    ("engine", "api_engine", "tag"),
    [
        ("postgres", "postgres", INSTANCE),
        ("postgres", "aurora-postgresql", CLUSTER),
        ("mysql", "mysql", INSTANCE),
        ("mysql", "aurora-mysql", CLUSTER),
        ("mariadb", "mariadb", INSTANCE),
        ("mongo", "docdb", CLUSTER),
        ("documentdb", "docdb", CLUSTER),
    ],
)
@pytest.mark.parametrize("named_by", ["tag", "key"])
def test_managed_admin_gets_its_servers_address(
    rds: Stubber, engine: str, api_engine: str, tag: str, named_by: str
) -> None:
    kind = "db" if tag == INSTANCE else "cluster"
    key = {"db": "dbInstanceIdentifier", "cluster": "dbClusterIdentifier"}[kind]
    named = ARN.format(kind) if named_by == "tag" else "main"
    if kind == "db":
        rds.add_response("describe_db_instances", instance("db.example", 5555, api_engine))
    else:
        rds.add_response("describe_db_clusters", cluster("db.example", 5555, api_engine))
    tags = [{"Key": tag, "Value": named}] if named_by == "tag" else []
    bare = {"username": "admin", "password": "p"}
    found = with_admin_address(Secret(bare if tags else {**bare, key: named}), tags)
    declared = engine_of(load(engine))
    assert declared is not None
    users = {"engine": engine, "host": "DB.example", "port": 5555, "username": "app", "password": "p"}
    check_admin(found, Secret(users), set(), declared)
    with pytest.raises(IdentityMismatch, match=r"elsewhere\.example"):
        check_admin(found, Secret({**users, "host": "elsewhere.example"}), set(), declared)


def test_an_instance_other_than_the_secrets_is_refused(world: World, rds: Stubber) -> None:
    rds.add_response("describe_db_instances", instance("other.example", world.server.port))
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(IdentityMismatch, match=r"other\.example"):
        world.step("setSecret", arn, token)


def test_an_instance_without_endpoint_is_reported(world: World, rds: Stubber) -> None:
    rds.add_response("describe_db_instances", {"DBInstances": [{"Engine": "postgres"}]})
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(ServiceUnavailable, match="no endpoint yet") as caught:
        world.step("setSecret", arn, token)
    assert caught.value.reason == "no-endpoint"


def test_a_missing_permission_for_rds_is_named(world: World, rds: Stubber) -> None:
    rds.add_client_error("describe_db_instances", "AccessDenied", "not authorized", 403)
    arn = world.secret({**world.user(), "masterarn": managed_admin(world, "db")})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(AccessDenied, match=r"DescribeDBInstances.*AdminSecretArns"):
        world.step("setSecret", arn, token)


def test_an_admin_without_host_is_refused(world: World) -> None:
    admin = {key: value for key, value in world.admin().items() if key != "host"}
    created = world.secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(admin))
    arn = world.secret({**world.user(), "masterarn": created["ARN"]})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(SecretFormatError, match="'host'"):
        world.step("setSecret", arn, token)


BARE = Secret({"username": "admin", "password": "p"})
TAGS = {key: [{"Key": key, "Value": ARN.format("db")}] for key in (INSTANCE, CLUSTER)}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DBInstanceNotFound", SecretFormatError),
        ("DBInstanceNotFoundFault", SecretFormatError),
        ("InvalidParameterValue", SecretFormatError),
        ("Throttling", ServiceUnavailable),
        ("InternalFailure", ServiceUnavailable),
        ("SubscriptionRequired", RequestRefused),
    ],
)
def test_refusals_of_rds_are_distinguished(
    rds: Stubber, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[RotatorsError]
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    for _ in range(2):
        rds.add_client_error("describe_db_instances", code, "no")
    with pytest.raises(kind) as caught:
        with_admin_address(BARE, TAGS[INSTANCE])
    assert caught.value.reason == "address"


@pytest.mark.parametrize(
    ("tag", "operation", "answer", "kind"),
    [
        (INSTANCE, "describe_db_instances", {"DBInstances": []}, SecretFormatError),
        (CLUSTER, "describe_db_clusters", {"DBClusters": []}, SecretFormatError),
        (
            CLUSTER,
            "describe_db_clusters",
            {"DBClusters": [{"Engine": "docdb", "Endpoint": "db"}]},
            ServiceUnavailable,
        ),
        (
            INSTANCE,
            "describe_db_instances",
            {"DBInstances": [{"Engine": "docdb", "Endpoint": {"Address": "db"}}]},
            ServiceUnavailable,
        ),
    ],
)
def test_incomplete_answers_are_reported(
    rds: Stubber, tag: str, operation: str, answer: dict[str, Any], kind: type[RotatorsError]
) -> None:
    rds.add_response(operation, answer)
    with pytest.raises(kind):
        with_admin_address(BARE, TAGS[tag])


def test_documentdb_instance_has_its_usual_engine(rds: Stubber) -> None:
    rds.add_response("describe_db_instances", instance("db.example", 27017, "docdb"))
    assert with_admin_address(BARE, TAGS[INSTANCE])["engine"] == "documentdb"


@pytest.mark.parametrize("key", [INSTANCE.upper(), INSTANCE.replace("aws:", "Aws:"), "x" + INSTANCE])
def test_tag_of_a_user_names_no_server(rds: Stubber, key: str) -> None:
    with pytest.raises(SecretFormatError, match="'host'"):
        with_admin_address(BARE, [{"Key": key, "Value": ARN.format("db")}])


def test_missing_right_names_the_parameter(world: World) -> None:
    with Stubber(clients.redshift()) as redshift:
        redshift.add_client_error("describe_clusters", "AccessDenied", "not authorized", 403)
        with pytest.raises(AccessDenied, match="FindRedshift"):
            with_address(Secret({"engine": "redshift", "clusterIdentifier": "one"}))
