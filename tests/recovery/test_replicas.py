"""Replicas of a secret in another Region: every command reports the replica and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotators.recovery.errors import RepairRefused
from tests.cli.test_doctor_repair import put, run
from tests.world import World, new_password, unique

HOME = "us-east-1"
OTHER = "eu-west-1"


def in_region(region: str, arn: str) -> str:
    return arn.replace(f":{HOME}:", f":{region}:")


@pytest.fixture
def replicated(world: World) -> str:
    """The ARN of a secret with a replica in another Region, whose password is wrong."""
    value = {**world.user(), "password": new_password()}
    created = world.secrets.create_secret(
        Name=unique("replica"),
        SecretString=json.dumps(value),
        AddReplicaRegions=[{"Region": OTHER}],
    )
    return str(created["ARN"])


def document_of(command: str, arn: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(command, arn, "--json").stdout)
    return document


def test_doctor_names_a_replicas_primary_region(world: World, replicated: str) -> None:
    before = world.logins()
    document = document_of("doctor", in_region(OTHER, replicated))
    assert document["state"] == "replica"
    assert document["primary_region"] == HOME
    assert HOME in document["sentence"]
    assert replicated in document["action"]
    assert [each["trial"] for each in document["versions"]] == ["not tried"]
    assert world.logins() == before


def test_repair_changes_nothing_of_a_replica(world: World, replicated: str) -> None:
    stages = world.stages(replicated)
    result = run("repair", in_region(OTHER, replicated), "--idle")
    assert isinstance(result.exception, RepairRefused)
    assert replicated in str(result.exception)
    assert world.stages(replicated) == stages


def test_check_and_show_name_the_primary(replicated: str) -> None:
    checks = document_of("check", in_region(OTHER, replicated))
    failed = next(each for each in checks["checks"] if each["result"] == "failed")
    assert HOME in failed["detail"]
    assert replicated in failed["next"]
    shown = run("show", in_region(OTHER, replicated)).output
    assert f"the primary secret is in {HOME}" in shown
    assert replicated in shown
    assert document_of("show", in_region(OTHER, replicated))["primary_region"] == HOME


def test_a_primary_with_replicas_is_an_ordinary_secret(replicated: str) -> None:
    assert document_of("doctor", replicated)["state"] == "lost"
    assert document_of("show", replicated)["primary_region"] is None


def test_an_arn_selects_its_region(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = str(world.secrets.create_secret(Name=unique("far"), SecretString=json.dumps(user))["ARN"])
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, OTHER)
    for command in ("doctor", "check", "show"):
        assert document_of(command, arn)["arn"] == arn
    assert document_of("doctor", arn)["healthy"]


def test_a_secret_of_another_region_is_repaired_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = world.secret(user)
    put(world, arn, {**user, "password": new_password()}, "AWSCURRENT")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, OTHER)
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["password"] == user["password"]


def test_an_admins_arn_selects_its_region(world: World) -> None:
    far = world.aws.client("secretsmanager", region=OTHER)
    admin = far.create_secret(Name=unique("admin"), SecretString=json.dumps(world.admin()))["ARN"]
    assert f":{OTHER}:" in admin
    arn = world.secret({**world.user(), "strategy": "single", "masterarn": admin})
    assert document_of("doctor", arn)["admin"]["login"] == "accepted"
