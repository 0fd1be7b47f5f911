"""`rotators check` on real servers: it finds obstacles of a rotation, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rotators.aws import clients
from rotators.cli import cli
from rotators.core.errors import ServiceUnavailable, TargetRefused
from rotators.engines.postgres import PostgresEngine
from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer
from tests.world import World, failed_check, new_password, unique

pytestmark = pytest.mark.processes

Value = dict[str, Any]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def checked(arn: str, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("check", arn, "--json", *options).stdout)
    return document


def results(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["result"] for each in document["checks"]}


def stored(world: World, value: Value) -> str:
    """A secret whose rotation was never configured."""
    return str(world.secrets.create_secret(Name=unique("check"), SecretString=json.dumps(value))["ARN"])


def test_a_secret_is_ready_before_rotation_is_configured(world: World) -> None:
    arn = stored(world, {**world.user(), "masterarn": world.admin_secret()})
    result = run("check", arn)
    assert result.exit_code == 0, result.output
    assert "Next: no check failed" in result.output
    assert set(results(checked(arn)).values()) <= {"ok", "not needed"}


def test_nothing_is_changed_and_no_value_is_shown(world: World) -> None:
    value = {**world.user(), "masterarn": world.admin_secret()}
    arn = stored(world, value)
    described = world.secrets.describe_secret(SecretId=arn)
    roles = world.sql("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
    outputs = [run("check", arn).output, run("check", arn, "--json").output]
    assert world.sql("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1") == roles
    after = world.secrets.describe_secret(SecretId=arn)
    for key in ("VersionIdsToStages", "Tags", "RotationEnabled"):
        assert after.get(key) == described.get(key)
    for output in outputs:
        assert value["password"] not in output
        assert world.admin()["password"] not in output


def test_the_operate_function_answers_the_same(world: World) -> None:
    arn = stored(world, {**world.user(), "masterarn": world.admin_secret()})
    assert checked(arn) == checked(arn, "--remote")
    assert run("check", arn).output == run("check", arn, "--remote").output
    here, there = (run("doctor", arn, *remote).output for remote in ([], ["--remote"]))
    # Ages, and the width of their column.
    changing = re.compile(r"\d+ s\b|[\s\u2500-\u257f]")
    assert changing.sub("", here) == changing.sub("", there)


def test_a_remote_error_equals_the_local_one(world: World) -> None:
    del world
    for command in ("check", "doctor", "repair"):
        here, there = run(command, "no/such"), run(command, "no/such", "--remote")
        assert str(here.exception) == str(there.exception)
        assert type(here.exception) is type(there.exception)
        assert there.exit_code == 1


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose server accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_silent_closed_and_unknown_servers_are_distinguished(world: World, silent_port: int) -> None:
    value = world.user()
    silent = checked(stored(world, {**value, "port": silent_port}))
    closed = checked(stored(world, {**value, "port": 1}))
    unknown = checked(stored(world, {**value, "host": "no-such-host.invalid"}))
    assert [failed_check(each) for each in (silent, closed, unknown)] == ["network route"] * 3
    for document, code in ((silent, "timeout"), (closed, "closed-port"), (unknown, "unknown-host")):
        assert code in next(each["detail"] for each in document["checks"] if each["result"] == "failed")


def test_a_certificate_that_is_not_trusted_is_reported(world: World) -> None:
    document = checked(stored(world, {**world.user(), "sslrootcert": world.some_authority()}))
    assert results(document)["network route"] == "ok"
    assert failed_check(document) == "TLS"
    assert results(document)["login"] == "unknown"


def test_with_an_admin_a_rejected_password_is_accepted(world: World) -> None:
    value = {**world.user(), "password": new_password(), "masterarn": world.admin_secret()}
    document = checked(stored(world, value))
    assert document["ready"], document
    assert results(document)["login"] == "not needed"
    assert results(document)["the server accepts changes"] == "ok"


def test_words_of_a_rotator_show_no_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    value = world.user()
    arn = stored(world, value)

    def quoting(*_: object) -> None:
        raise TargetRefused(f"the server said {value['password']}")

    monkeypatch.setattr(PostgresEngine, "login", quoting)
    for command in ("check", "doctor"):
        output = run(command, arn, "--json").output
        assert "the server said ***" in output
        assert value["password"] not in output


def test_checks_that_cannot_be_made_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = stored(world, world.user())

    def unreachable() -> None:
        raise ServiceUnavailable("no route to Lambda")

    monkeypatch.setattr(clients, "functions", unreachable)
    document = checked(arn)
    assert document["state"] == "partly-checked"
    assert "could not be made" in document["next"]
    assert results(document)["password rules"] == "unknown"


def test_a_named_stack_outranks_the_secret_s_function(world: World) -> None:
    arn = world.secret(world.user())
    assert checked(arn)["ready"]
    assert failed_check(checked(arn, "--stack", "nothing")) == "Secrets Manager may invoke the function"


def test_a_wrong_password_is_reported(world: World) -> None:
    document = checked(stored(world, {**world.user(), "password": new_password()}))
    assert failed_check(document) == "login"


def test_alternating_without_an_admin_is_reported(world: World) -> None:
    document = checked(stored(world, {**world.user(), "strategy": "alternating"}))
    assert failed_check(document) == "admin login"


def test_an_admin_without_rights_is_reported(world: World) -> None:
    weak = world.user()
    admin = world.store({**weak})
    document = checked(stored(world, {**world.user(), "masterarn": admin}))
    assert failed_check(document) == "admin rights"
    assert "CREATEROLE" in document["next"]


def test_a_second_user_of_another_application_fails(world: World) -> None:
    user = world.user()
    world.create_user(f"{user['username']}_clone", new_password())
    document = checked(stored(world, {**user, "masterarn": world.admin_secret()}))
    assert failed_check(document) == "second user"


def test_a_name_too_long_for_a_clone_fails(world: World) -> None:
    name = unique("n" * 50)
    name += "x" * (60 - len(name))
    document = checked(stored(world, {**world.user(name), "masterarn": world.admin_secret()}))
    assert failed_check(document) == "second user"


def test_password_rules_that_the_engine_refuses_fail(world: World) -> None:
    lambdas = world.aws.client("lambda")
    found = lambdas.get_function_configuration(FunctionName="rotators-rotate")
    before = found.get("Environment", {}).get("Variables", {})
    lambdas.update_function_configuration(
        FunctionName="rotators-rotate", Environment={"Variables": {**before, "PASSWORD_LENGTH": "4000"}}
    )
    try:
        document = checked(stored(world, world.user()))
    finally:
        lambdas.update_function_configuration(
            FunctionName="rotators-rotate", Environment={"Variables": before}
        )
    assert failed_check(document) == "password rules"


def test_a_function_that_is_not_there_is_reported(world: World) -> None:
    document = checked(stored(world, world.user()), "--stack", "nothing")
    assert failed_check(document) == "Secrets Manager may invoke the function"
    assert "--stack" in document["next"]


def test_a_rotation_that_was_cut_off_is_reported(world: World) -> None:
    arn = world.secret(world.user())
    world.begin(arn)
    document = checked(arn)
    assert failed_check(document) == "rotation and schedule"
    assert "rotators doctor" in document["next"]


def test_a_value_without_a_credential_is_reported(world: World) -> None:
    arn = str(world.secrets.create_secret(Name=unique("check"), SecretString="{}")["ARN"])
    assert failed_check(checked(arn)) == "the value"


def test_a_key_that_is_disabled_is_reported(world: World) -> None:
    kms = world.aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    arn = str(
        world.secrets.create_secret(
            Name=unique("check"), SecretString=json.dumps(world.user()), KmsKeyId=key
        )["ARN"]
    )
    kms.disable_key(KeyId=key.rpartition("/")[2])  # moto disables by id only
    document = checked(arn)
    assert failed_check(document) == "the secret and its value"
    assert "Enable the key" in document["next"]


def test_a_replica_is_reported(aws: LocalAws) -> None:
    with PostgresServer() as server:
        world = World(aws, server)
        value = world.user()
        signal = server.directory / "data" / "standby.signal"
        shutil.copy2(server.directory / "data" / "PG_VERSION", signal)
        owner = (server.directory / "data").stat()
        os.chown(signal, owner.st_uid, owner.st_gid)
        server.restart()
        document = checked(stored(world, value))
    assert results(document)["login"] == "ok"
    assert failed_check(document) == "the server accepts changes"
    assert "writer" in document["next"]
