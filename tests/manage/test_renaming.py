"""`rotators rename`: a copy with another name, which an interruption does not spoil."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotators.core.errors import RequestRefused
from rotators.manage.changes import Change
from rotators.manage.errors import RenameRefused
from rotators.manage.renaming import ROTATES, renaming
from tests.manage.conftest import Fleet, run


@pytest.fixture
def old(fleet: Fleet) -> str:
    """A secret with all that a copy has to take over."""
    name = fleet.add("old", {"password": "first"}, tags={"env": "prod"}, Description="of the shop")
    fleet.secrets.put_secret_value(SecretId=name, SecretString='{"password": "second"}')
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:role/shop"},
                "Action": "secretsmanager:GetSecretValue",
                "Resource": fleet.secrets.describe_secret(SecretId=name)["ARN"],
            }
        ],
    }
    fleet.secrets.put_resource_policy(SecretId=name, ResourcePolicy=json.dumps(policy))
    fleet.secrets.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "eu-north-1"}])
    rules = {"ScheduleExpression": "rate(10 days)", "Duration": "2h"}
    function = fleet.aws.function_arn("rotate")
    token = fleet.secrets.rotate_secret(
        SecretId=name, RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False
    )["VersionId"]
    fleet.aws.wait_for_rotation(name, token)  # the trial run, which tests the value
    return name


def facts(fleet: Fleet, name: str) -> dict[str, Any]:
    """Return the facts that a copy has in common with the original."""
    described = fleet.secrets.describe_secret(SecretId=name)
    # A trial run of the rotation may be under way, on an empty version.
    versions = {
        version: stages
        for version, stages in described["VersionIdsToStages"].items()
        if stages != ["AWSPENDING"]
    }
    tags = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    return {
        "versions": versions,
        "values": [
            fleet.secrets.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"]
            for stage in ("AWSPREVIOUS", "AWSCURRENT")
        ],
        "description": described["Description"],
        "env": tags["env"],
        "replicas": [each["Region"] for each in described["ReplicationStatus"]],
        "function": described["RotationLambdaARN"],
        "rules": described["RotationRules"],
    }


def test_a_copy_has_everything(fleet: Fleet, old: str) -> None:
    before, new = facts(fleet, old), f"{fleet.prefix}new"
    result = run("rename", old, new, "--yes")
    assert result.exit_code == 0, result.output
    assert facts(fleet, new) == before
    described = fleet.secrets.describe_secret(SecretId=new)
    assert described["RotationEnabled"]
    assert ROTATES not in {tag["Key"] for tag in described["Tags"]}
    policy = json.loads(fleet.secrets.get_resource_policy(SecretId=new)["ResourcePolicy"])
    assert policy["Statement"][0]["Resource"].endswith(f":secret:{new}-??????")
    assert not fleet.secrets.describe_secret(SecretId=old)["RotationEnabled"]
    assert f"rotators delete {old}" in result.output


def test_without_yes_nothing_changes(fleet: Fleet, old: str) -> None:
    before, new = facts(fleet, old), f"{fleet.prefix}new"
    assert run("rename", old, new).exit_code == 1
    assert facts(fleet, old) == before
    assert fleet.secrets.describe_secret(SecretId=old)["RotationEnabled"]
    assert fleet.listed() == {"old"}


def test_a_rename_is_resumed_after_any_change(fleet: Fleet, old: str) -> None:
    before, new = facts(fleet, old), f"{fleet.prefix}new"
    done: list[Change] = []
    while plan := renaming(old, new):
        plan[0].run()
        done.append(plan[0])
        rotating = [
            fleet.secrets.describe_secret(SecretId=name).get("RotationEnabled", False) for name in (old, new)
        ]
        assert rotating != [True, True]
    assert len(done) == 7
    assert facts(fleet, new) == before
    assert run("rename", old, new, "--yes").exit_code == 0


def test_a_copy_in_use_keeps_its_values(fleet: Fleet, old: str) -> None:
    new = f"{fleet.prefix}new"
    assert run("rename", old, new, "--yes").exit_code == 0
    for value in ("third", "fourth"):  # as two rotations do: no version of the old secret has a stage then
        fleet.secrets.put_secret_value(SecretId=new, SecretString=value)
    assert renaming(old, new) == []
    assert fleet.value("new") == "fourth"


def test_tags_of_aws_are_not_copied(fleet: Fleet) -> None:
    name, new = (
        fleet.add("app", tags={"aws:cloudformation:stack-name": "shop", "env": "prod"}),
        f"{fleet.prefix}new",
    )
    assert run("rename", name, new, "--yes").exit_code == 0
    keys = {tag["Key"] for tag in fleet.secrets.describe_secret(SecretId=new)["Tags"]}
    assert keys == {"env", "renamed-from"}


def test_a_name_like_an_option_is_never_advised(fleet: Fleet) -> None:
    arn = fleet.secrets.create_secret(Name=f"--all{fleet.prefix}", SecretString="x")["ARN"]
    result = run("rename", arn, f"{fleet.prefix}new", "--yes")
    assert f"`rotators delete {arn}`" in result.stdout
    assert "delete --all" not in result.stdout


def test_a_long_name_is_renamed_and_recognised(fleet: Fleet) -> None:
    name = fleet.add("n" * 400, "value")
    results = [run("rename", name, f"{fleet.prefix}new", "--yes", "--json") for _ in range(2)]
    assert [json.loads(each.stdout)["state"] for each in results] == ["done", "unneeded"]


def test_a_taken_name_is_refused(fleet: Fleet, old: str) -> None:
    other = fleet.add("other")
    with pytest.raises(RenameRefused, match="name-taken"):
        renaming(old, other)


def test_a_rotation_under_way_is_not_copied(fleet: Fleet) -> None:
    name = fleet.add("app", {"password": "first"})
    fleet.secrets.put_secret_value(SecretId=name, SecretString="x", VersionStages=["AWSPENDING"])
    with pytest.raises(RenameRefused, match="rotation-under-way"):
        renaming(name, f"{fleet.prefix}new")


def test_a_refused_change_ends_the_rename(fleet: Fleet, old: str) -> None:
    result = run("rename", old, f"{fleet.prefix}{'n' * 512}", "--yes", "--json")
    states = [each["state"] for each in json.loads(result.output)["changes"]]
    assert (result.exit_code, states) == (1, ["refused", *["planned"] * 6])
    assert fleet.secrets.describe_secret(SecretId=old)["RotationEnabled"]


def test_an_arn_is_refused_as_new_name(fleet: Fleet, old: str) -> None:
    arn = fleet.secrets.describe_secret(SecretId=fleet.add("other"))["ARN"]
    with pytest.raises(RenameRefused, match="no-name"):
        renaming(old, arn.replace("us-east-1", "eu-west-1"))


def test_an_invalid_new_name_is_refused(fleet: Fleet, old: str) -> None:
    result = run("rename", old, f"{fleet.prefix}ä", "--yes")
    assert isinstance(result.exception, RequestRefused)
    assert "Invalid name" in str(result.exception)


def test_a_replica_is_renamed_in_its_primary_region(fleet: Fleet, old: str) -> None:
    replica = fleet.secrets.describe_secret(SecretId=old)["ARN"].replace("us-east-1", "eu-north-1")
    with pytest.raises(RenameRefused, match="replica"):
        renaming(replica, f"{fleet.prefix}new")
