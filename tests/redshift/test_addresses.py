"""Secrets that name a cluster or workgroup instead of a host, in the local AWS with PostgreSQL behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from rotators.aws import addresses, clients
from rotators.aws.secrets import SecretStore
from rotators.cli import cli
from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    KeyUnusable,
    RequestRefused,
    RotatorsError,
    SecretFormatError,
    SecretNotFound,
    ServiceThrottled,
    ServiceUnavailable,
    TargetUnavailable,
)
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.engines.redshift import RedshiftEngine, rotator
from rotators.local.aws import LocalAws
from rotators.local.options import Workgroup
from rotators.local.redshift.serverless import namespace_arn
from rotators.local.servers.redshift import RedshiftStandIn
from rotators.recovery.diagnosis import Act, Diagnosis, Move
from rotators.recovery.mending import repair
from rotators.strategies.rotator import EngineRotator
from tests.postgres.hostile import Hostile
from tests.world import World, remembered, unique

PASSWORD = remembered("Known-password-6")


@pytest.fixture
def shift(aws: LocalAws, redshift: RedshiftStandIn, monkeypatch: pytest.MonkeyPatch) -> World:
    """The local AWS, whose clusters and workgroups are the server in place of Redshift."""
    monkeypatch.setenv("SSL_ROOT_CERT", str(redshift.ca))
    monkeypatch.setattr(aws, "database", lambda _: ("localhost", redshift.port))
    monkeypatch.setattr(aws, "workgroups", [])
    return World(aws, redshift)


def cluster(world: World) -> str:
    name = unique("cluster").replace("_", "-")
    world.aws.client("redshift").create_cluster(
        ClusterIdentifier=name, NodeType="ra3.large", MasterUsername="postgres", MasterUserPassword=PASSWORD
    )
    return name


def workgroup(world: World, host: str = "localhost") -> Workgroup:
    made = Workgroup(unique("group"), unique("space"), host, world.server.port)
    world.aws.workgroups.append(made)
    return made


def user(world: World, **changes: Any) -> dict[str, Any]:
    name = unique("app")
    world.server.create_user(name, PASSWORD)
    value = {"engine": "redshift", "dbname": "postgres", "username": name, "password": PASSWORD}
    return {**value, **changes}


def admin(world: World, tag: tuple[str, str] | None = None, **members: Any) -> str:
    """The secret of an admin as AWS creates it: user name and password, and a tag of the service."""
    own = world.server.secret()
    value = {"username": own["username"], "password": own["password"], **members}
    tags = [{"Key": tag[0], "Value": tag[1]}] if tag else []
    created = world.secrets.create_secret(Name=unique("admin"), SecretString=json.dumps(value), Tags=tags)
    return str(created["ARN"])


def error_of(world: World, arn: str, step: str = "setSecret") -> RotatorsError:
    """The error of a step in a new rotation; it names a next action and shows no password."""
    token = world.begin(arn)
    if step == "setSecret":
        world.step("createSecret", arn, token)
    with pytest.raises(RotatorsError) as caught:
        world.step(step, arn, token)
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("key", RedshiftEngine.identifiers)
def test_user_is_rotated_by_an_identifier(shift: World, key: str) -> None:
    if key in {"workgroupName", "namespaceName"}:
        workgroup(shift)  # another one: the API lists them page by page
        made = workgroup(shift)
        named = made.name if key == "workgroupName" else made.namespace
    else:
        named = cluster(shift)
    arn = shift.secret(user(shift, **{key: named}))
    value = shift.rotate(arn)
    assert (value["host"], value["port"], value[key]) == ("localhost", shift.server.port, named)
    assert shift.logs_in(value)
    assert shift.logs_in(shift.rotate(arn))


@pytest.mark.parametrize("kind", ["cluster", "namespace"])
def test_admin_that_redshift_manages_rotates_a_pair(shift: World, kind: str) -> None:
    if kind == "cluster":
        name = cluster(shift)
        tag = "aws:redshift:primaryClusterArn", f"arn:aws:redshift:us-east-1:123456789012:cluster:{name}"
    else:
        tag = "aws:redshift-serverless:namespaceArn", namespace_arn(workgroup(shift))
    value = user(shift, host="localhost", port=shift.server.port, masterarn=admin(shift, tag))
    arn = shift.secret(value)
    second = shift.rotate(arn)
    assert (second["username"], shift.logs_in(second), shift.logs_in(value)) == (
        f"{value['username']}_clone",
        True,
        True,
    )


def test_admin_names_its_own_cluster(shift: World) -> None:
    named = cluster(shift)
    own = admin(shift, engine="redshift", dbClusterIdentifier=named)
    arn = shift.secret(user(shift, clusterIdentifier=named, masterarn=own))
    assert shift.logs_in(shift.rotate(arn))


def test_admins_password_never_reaches_a_users_host(shift: World) -> None:
    tag = (
        "aws:redshift:primaryClusterArn",
        f"arn:aws:redshift:us-east-1:123456789012:cluster:{cluster(shift)}",
    )
    with Hostile([]) as elsewhere:
        value = user(shift, host="127.0.0.1", port=elsewhere.port, masterarn=admin(shift, tag))
        failed = error_of(shift, shift.secret(value))
        assert (type(failed), elsewhere.connections) == (IdentityMismatch, 0)


def test_admin_without_an_address_is_refused(shift: World) -> None:
    value = user(shift, host="localhost", port=shift.server.port, masterarn=admin(shift))
    with Hostile([]) as elsewhere:
        arn = shift.secret({**value, "host": "127.0.0.1", "port": elsewhere.port})
        failed = error_of(shift, arn)
        assert (type(failed), elsewhere.connections) == (SecretFormatError, 0)
    assert "'host'" in str(failed)


def test_address_that_was_found_must_be_allowed(shift: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = shift.secret(user(shift, clusterIdentifier=cluster(shift)))
    monkeypatch.setenv("ALLOWED_TARGETS", ".redshift.amazonaws.com")
    failed = error_of(shift, arn, "createSecret")
    assert failed.reason == "not-allowed"


def test_password_of_another_cluster_is_not_tried(shift: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who may write the secret, but not read it, names another cluster."""
    value = user(shift, clusterIdentifier=cluster(shift))
    arn = shift.secret(value)
    shift.rotate(arn)
    monkeypatch.setattr(shift.aws, "database", lambda _: ("127.0.0.1", shift.server.port))
    wrong = {**value, "password": remembered("Wrong-password-1"), "clusterIdentifier": cluster(shift)}
    shift.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(wrong))
    failed = error_of(shift, arn)
    assert isinstance(failed, CredentialsRejected)
    assert "stored for another target, so not tried: previous" in str(failed)


@pytest.mark.parametrize(
    ("key", "named"), [("clusterIdentifier", "nothing"), ("workgroupName", "none"), ("namespaceName", "none")]
)
def test_identifier_that_aws_does_not_know_is_refused(shift: World, key: str, named: str) -> None:
    failed = error_of(shift, shift.secret(user(shift, **{key: named})), "createSecret")
    assert (type(failed), failed.full_code) == (SecretFormatError, "secret-format/address")
    assert named in str(failed)


def test_workgroup_without_an_address_is_refused(shift: World) -> None:
    made = workgroup(shift, host="")
    failed = error_of(shift, shift.secret(user(shift, workgroupName=made.name)), "createSecret")
    assert (type(failed), failed.full_code) == (ServiceUnavailable, "service-unavailable/no-endpoint")
    assert "no endpoint yet" in str(failed)


def test_namespace_with_two_workgroups_is_refused(shift: World) -> None:
    made = workgroup(shift)
    shift.aws.workgroups.append(made._replace(name="another"))
    failed = error_of(shift, shift.secret(user(shift, namespaceName=made.namespace)), "createSecret")
    assert "2 workgroups" in str(failed)


def test_engine_and_store_have_the_same_identifiers() -> None:
    assert tuple(addresses._REDSHIFT_KEYS) == RedshiftEngine.identifiers


def test_doctor_names_an_address_that_was_not_found(shift: World) -> None:
    arn = shift.secret(user(shift, workgroupName="nothing"))
    done = CliRunner().invoke(cli, ["doctor", arn])
    assert (done.exit_code, "workgroup nothing" in str(done.exception)) == (1, True)


def test_doctor_finds_the_address(shift: World) -> None:
    arn = shift.secret(user(shift, clusterIdentifier=cluster(shift)))
    assert "AWSCURRENT logs in" in CliRunner().invoke(cli, ["doctor", arn]).output


@pytest.mark.parametrize(
    "kind",
    [
        AccessDenied,
        IdentityMismatch,
        KeyUnusable,
        RequestRefused,
        SecretFormatError,
        SecretNotFound,
        ServiceThrottled,
        ServiceUnavailable,
        TargetUnavailable,
    ],
)
def test_unreadable_admin_hides_no_pending_value(
    shift: World, monkeypatch: pytest.MonkeyPatch, kind: type[RotatorsError]
) -> None:
    """The step was stopped after its change of the password; the admin is asked for the limit only."""
    value = user(shift, host="localhost", port=shift.server.port, masterarn=admin(shift), strategy="single")
    arn = shift.secret(value)
    token = shift.begun(arn)
    shift.set_password(value["username"], shift.value(arn, "AWSPENDING")["password"])

    def fail(*_: object) -> None:
        raise kind("not now")

    monkeypatch.setattr(SecretStore, "admin", fail)
    for step in ("setSecret", "testSecret", "finishSecret"):
        shift.step(step, arn, token)
    assert shift.logs_in(shift.value(arn))


def mistyped_previous(shift: World, **named: str) -> tuple[str, dict[str, Any]]:
    """A secret whose AWSPREVIOUS names nothing that has an address, and whose oldest password works."""
    value = user(shift, host="localhost", port=shift.server.port)
    arn = shift.secret(value)
    bare = {key: member for key, member in value.items() if key not in {"host", "port"}}
    wrong = {**value, "password": remembered("Wrong-password-2")}
    for each in ({**bare, **named}, wrong):
        shift.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(each))
    return arn, value


@pytest.mark.parametrize("kind", ["unknown-cluster", "unknown-workgroup", "no-endpoint"])
def test_older_version_without_address_hides_no_other(shift: World, kind: str) -> None:
    key = "clusterIdentifier" if kind == "unknown-cluster" else "workgroupName"
    named = workgroup(shift, host="").name if kind == "no-endpoint" else "nothing"
    arn, value = mistyped_previous(shift, **{key: named})
    document = json.loads(CliRunner().invoke(cli, ["doctor", arn, "--idle", "--json"]).stdout)
    assert [each["trial"] for each in document["versions"]] == ["rejected", "unreadable", "accepted"]
    assert shift.logs_in(shift.rotate(arn))
    assert not shift.logs_in(value)


@pytest.mark.parametrize("command", ["doctor", "repair"])
@pytest.mark.parametrize("kind", ["unknown", "no-endpoint"])
def test_move_to_a_new_cluster_is_not_reverted(shift: World, command: str, kind: str) -> None:
    """An operator stored another target; the older value still logs in to its own one."""
    value = user(shift, host="localhost", port=shift.server.port)
    arn = shift.secret(value)
    bare = {key: member for key, member in value.items() if key not in {"host", "port"}}
    group = "nothing" if kind == "unknown" else workgroup(shift, host="").name
    moved = {**bare, "workgroupName": group}
    shift.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(moved))
    done = CliRunner().invoke(cli, [command, arn, "--idle"])
    assert isinstance(done.exception, SecretFormatError if kind == "unknown" else ServiceUnavailable)
    assert shift.value(arn) == moved


def test_cluster_of_another_account_is_refused(shift: World) -> None:
    named = cluster(shift)
    for other in ("us-east-1:999999999999", "eu-west-1:123456789012"):
        tag = "aws:redshift:primaryClusterArn", f"arn:aws:redshift:{other}:cluster:{named}"
        failed = error_of(
            shift, shift.secret(user(shift, clusterIdentifier=named, masterarn=admin(shift, tag)))
        )
        assert failed.full_code == "secret-format/address"
        assert "another account or Region" in str(failed)


def test_pending_value_with_another_identifier_is_refused(shift: World) -> None:
    """After the promotion it would be trusted as much as the address."""
    arn = shift.secret(user(shift, clusterIdentifier=cluster(shift)))
    token = shift.begin(arn)
    shift.put_pending(arn, token, {**shift.value(arn), "clusterIdentifier": cluster(shift)})
    with pytest.raises(IdentityMismatch, match="another clusterIdentifier"):
        shift.step("setSecret", arn, token)


@pytest.mark.parametrize("part", ["host", "port"])
def test_address_changed_during_rotation_has_a_remedy(shift: World, part: str) -> None:
    value = user(shift, clusterIdentifier=cluster(shift))
    arn = shift.secret(value)
    token = shift.begin(arn)
    before = {"host": "localhost", "port": shift.server.port}
    before[part] = "127.0.0.1" if part == "host" else 1
    shift.put_pending(arn, token, {**value, **before})
    with pytest.raises(IdentityMismatch, match="another address since createSecret"):
        shift.step("setSecret", arn, token)


@pytest.mark.parametrize("members", [{"port": "many"}, {"admin_port": 0}, {"admin_host": "https://db"}])
def test_rest_of_an_address_is_checked(members: dict[str, Any]) -> None:
    value = Secret(
        {"engine": "redshift", "username": "u", "password": "p", "clusterIdentifier": "c", **members}
    )
    with pytest.raises(SecretFormatError, match=next(iter(members))):
        rotator().check_value(value, Settings())


class Unlooked(PostgresEngine):
    """A third-party engine, whose identifiers the store does not support."""

    identifiers = ("serverName",)
    members: ClassVar[dict[str, str]] = {"password": "Not public, whatever is declared."}


def test_unknown_identifiers_need_a_host() -> None:
    value = {"engine": "postgres", "serverName": "one", "username": "u", "password": "p"}
    with pytest.raises(SecretFormatError, match="'host'"):
        EngineRotator(Unlooked()).propose(Rotation(Secret(value)))


def test_members_of_a_credential_are_never_public() -> None:
    assert EngineRotator(Unlooked()).public_members == {"dbname", "serverName"}


@pytest.mark.parametrize("service", [clients.rds, clients.redshift, clients.redshift_serverless])
def test_look_ups_end_soon(world: World, service: Callable[[], Any]) -> None:
    assert service().meta.config.retries["total_max_attempts"] == 2


def test_repair_shows_the_public_members_of_an_engine(shift: World) -> None:
    named = cluster(shift)
    tag = "aws:redshift:primaryClusterArn", f"arn:aws:redshift:us-east-1:999999999999:cluster:{named}"
    arn = shift.secret(user(shift, clusterIdentifier=named, masterarn=admin(shift, tag)))
    version = next(iter(shift.stages(arn)))
    reset = Diagnosis("forgotten", "", "", (Act(Move.RESET, version),))
    with pytest.raises(SecretFormatError, match=named):
        repair(SecretStore(), Settings(), arn, version, reset, [])
