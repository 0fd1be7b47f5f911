"""Changes of many secrets: plan, ``--yes``, repetition and refusals."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from rotators.manage.errors import NothingSelected, SelectorInvalid
from rotators.manage.selector import Selector
from tests.cli.command import command
from tests.manage.conftest import Fleet, run

CHANGES = [
    ("tag", "--set", "env=prod"),
    ("schedule", "--every", "30", "--function", "FUNCTION"),
    ("replicate", "--to", "eu-west-1"),
    ("delete", "--days", "7"),
]


@pytest.fixture
def two(fleet: Fleet) -> Fleet:
    fleet.add("app", {"engine": "postgres"})
    fleet.add("job", {"engine": "postgres"})
    return fleet


def described(fleet: Fleet, name: str = "app") -> dict[str, object]:
    """The service's description of a secret."""
    return dict(fleet.secrets.describe_secret(SecretId=f"{fleet.prefix}{name}"))


def change(fleet: Fleet, *words: str, yes: bool = True) -> tuple[int, list[str]]:
    """Exit status, and the states of the planned changes."""
    arn = fleet.aws.function_arn("rotate")
    command, *options = (arn if word == "FUNCTION" else word for word in words)
    arguments = ("--name", fleet.prefix, *options, "--json", *(["--yes"] if yes else []))
    result = run(command, *arguments)
    return result.exit_code, [each["state"] for each in json.loads(result.stdout)["changes"]]


@pytest.mark.parametrize("words", CHANGES, ids=lambda words: words[0])
def test_nothing_changes_without_yes(two: Fleet, words: tuple[str, ...]) -> None:
    before = described(two)
    assert change(two, *words, yes=False) == (1, ["planned", "planned"])
    after = described(two)
    assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}


@pytest.mark.parametrize("words", CHANGES, ids=lambda words: words[0])
def test_a_repeated_command_changes_nothing(two: Fleet, words: tuple[str, ...]) -> None:
    assert change(two, *words) == (0, ["done", "done"])
    assert change(two, *words) == (0, [])


def test_secrets_of_other_regions_are_changed_there(two: Fleet) -> None:
    other = two.aws.client("secretsmanager", region="eu-west-1")
    arn = other.create_secret(Name=f"{two.prefix}far", SecretString="x")["ARN"]
    assert run("tag", arn, "--set", "env=prod", "--yes").exit_code == 0
    assert run("replicate", arn, "--to", "eu-central-1", "--yes").exit_code == 0
    found = other.describe_secret(SecretId=arn)
    assert found["Tags"] == [{"Key": "env", "Value": "prod"}]
    assert [each["Region"] for each in found["ReplicationStatus"]] == ["eu-central-1"]


def test_secrets_of_one_name_are_distinguished(two: Fleet) -> None:
    name = f"{two.prefix}app"
    near = str(described(two)["ARN"])
    far = two.aws.client("secretsmanager", region="eu-west-1").create_secret(Name=name, SecretString="x")
    result = run("tag", near, far["ARN"], "--set", "env=prod", "--json")
    changes = json.loads(result.stdout)["changes"]
    assert {each["arn"] for each in changes} == {near, far["ARN"]}
    assert {each["secret"] for each in changes} == {name}


def test_the_next_command_finds_the_secret(two: Fleet) -> None:
    other = two.aws.client("secretsmanager", region="eu-west-1")
    far = other.create_secret(Name=f"{two.prefix}far", SecretString='{"a": "b"}')["ARN"]
    dash = two.secrets.create_secret(Name=f"--all{two.prefix}", SecretString='{"a": "b"}')["ARN"]
    near = f"{two.prefix}app"
    for given, known in ((far, far), (dash, dash), (str(described(two)["ARN"]), near)):
        for words in (
            ("tag", given, "--set", "env=prod", "--yes"),
            ("list", given),
            ("diff", given, "AWSCURRENT", "AWSCURRENT"),
            ("show", given),
        ):
            last = run(*words).stdout.splitlines()[-1]
            assert f" {known}` " in last or f" {known} --" in last


def test_commands_of_the_aws_cli_name_the_region(two: Fleet) -> None:
    other = two.aws.client("secretsmanager", region="eu-west-1")
    for value in ({"SecretString": "x"}, {}):
        arn = other.create_secret(Name=f"{two.prefix}far{len(value)}", **value)["ARN"]
        assert f"--secret-id {arn} --region eu-west-1 --" in run("show", arn).stdout


def test_a_replica_names_how_to_remove_it(two: Fleet) -> None:
    assert change(two, "replicate", "--to", "eu-west-1")[0] == 0
    replica = str(described(two)["ARN"]).replace("us-east-1", "eu-west-1")
    remedy = command("delete", replica).stderr
    words = remedy.split("`rotators ")[1].split("`")[0].split()
    assert run(*words).exit_code == 0
    assert not described(two).get("ReplicationStatus")


def test_an_interrupted_change_is_resumed(two: Fleet) -> None:
    run("tag", f"{two.prefix}app", "--set", "env=prod", "--yes")
    assert change(two, "tag", "--set", "env=prod") == (0, ["done"])


def test_tags_are_set_and_removed(fleet: Fleet) -> None:
    fleet.add("app", tags={"env": "test", "old": "x", "kept": "y"})
    assert change(fleet, "tag", "--set", "env=prod", "--remove", "old", "--remove", "none")[0] == 0
    (entry,) = fleet.document("list")["secrets"]
    assert entry["tags"] == {"kept": "y", "env": "prod"}


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (("--every", "7", "--window", "2h"), {"ScheduleExpression": "rate(7 days)", "Duration": "2h"}),
        (("--every", "1"), {"ScheduleExpression": "rate(1 day)"}),
        (("--expression", "cron(0 3 1 * ? *)"), {"ScheduleExpression": "cron(0 3 1 * ? *)"}),
    ],
)
def test_a_schedule_is_set(two: Fleet, options: tuple[str, ...], rules: dict[str, str]) -> None:
    assert change(two, "schedule", *options, "--function", "FUNCTION") == (0, ["done", "done"])
    assert described(two)["RotationRules"] == rules


def test_rotation_is_turned_off(two: Fleet) -> None:
    two.aws.enable_rotation(f"{two.prefix}app")
    assert change(two, "schedule", "--off") == (0, ["done"])
    assert not described(two).get("RotationEnabled")


def test_a_plan_names_the_rotation_it_stops(two: Fleet) -> None:
    two.aws.enable_rotation(f"{two.prefix}app")
    two.secrets.put_secret_value(SecretId=f"{two.prefix}app", SecretString="x", VersionStages=["AWSPENDING"])
    (planned,) = json.loads(run("schedule", f"{two.prefix}app", "--off", "--json").stdout)["changes"]
    assert planned["change"] == "turn rotation off, although a rotation is in progress or was interrupted"


def test_a_refused_change_does_not_end_the_others(two: Fleet) -> None:
    two.aws.enable_rotation(f"{two.prefix}app")
    status, states = change(two, "schedule", "--every", "30")
    assert (status, sorted(states)) == (1, ["done", "refused"])


def test_deleted_secrets_are_restored(two: Fleet) -> None:
    assert change(two, "delete") == (0, ["done", "done"])
    assert two.listed() == set()
    assert change(two, "restore") == (0, ["done", "done"])
    assert two.listed() == {"app", "job"}


def test_replicas_are_removed(two: Fleet) -> None:
    assert change(two, "replicate", "--to", "eu-west-1", "--to", "eu-central-1")[0] == 0
    assert change(two, "unreplicate", "--from", "eu-west-1")[0] == 0
    assert [each["Region"] for each in described(two)["ReplicationStatus"]] == ["eu-central-1"]  # type: ignore[attr-defined]


def test_a_failed_replica_is_replicated_again(two: Fleet) -> None:
    other = two.aws.client("secretsmanager", region="eu-west-1")
    other.create_secret(Name=f"{two.prefix}app", SecretString="x")
    words = ("replicate", f"{two.prefix}app", "--to", "eu-west-1", "--to", "eu-west-1", "--yes", "--json")
    assert json.loads(run(*words).stdout)["changes"][0]["change"] == "replicate to eu-west-1"
    assert "again, where it failed" in json.loads(run(*words).stdout)["changes"][0]["change"]
    other.delete_secret(SecretId=f"{two.prefix}app", ForceDeleteWithoutRecovery=True)
    assert [json.loads(run(*words).stdout)["state"] for _ in range(2)] == ["done", "unneeded"]


def test_nothing_to_change_is_reported_once(two: Fleet) -> None:
    words = ("unreplicate", f"{two.prefix}app", "--from", "eu-west-1")
    result = run(*words, "--yes")
    assert result.output == run(*words).output
    assert result.output.endswith("Next: `rotators list` shows them.\n")


@pytest.mark.parametrize("command", ["tag", "delete", "export"])
def test_no_condition_does_not_mean_all(aws: object, command: str) -> None:
    options = ("--set", "a=b") if command == "tag" else ()
    result = run(command, *options)
    assert isinstance(result.exception, SelectorInvalid)


def test_a_listing_that_lags_behind_changes_nothing(two: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings of the service can be five minutes old."""
    run("tag", "--name", two.prefix, "--set", "temp=x", "--yes")
    listed = list(Selector(names=(two.prefix,)).select(dt.datetime.now(dt.UTC)))
    run("tag", f"{two.prefix}app", "--remove", "temp", "--yes")
    monkeypatch.setattr("rotators.manage.selector.entries", lambda *_, **__: iter(listed))
    result = run("delete", "--tag", "temp", "--yes", "--json")
    assert [each["secret"] for each in json.loads(result.stdout)["changes"]] == [f"{two.prefix}job"]


def test_a_plan_says_that_rotation_turns_on(two: Fleet) -> None:
    arn = two.aws.function_arn("rotate")
    result = run("schedule", f"{two.prefix}app", "--every", "7", "--function", arn, "--json")
    (planned,) = json.loads(result.stdout)["changes"]
    assert "turns rotation on" in planned["change"]
    assert arn in planned["change"]


def test_all_selects_every_secret(two: Fleet) -> None:
    document = json.loads(run("tag", "--all", "--set", "a=b", "--json").stdout)
    assert {f"{two.prefix}app", f"{two.prefix}job"} <= {each["secret"] for each in document["changes"]}


def test_a_selector_without_secrets_fails(fleet: Fleet) -> None:
    for words in (("tag", "--set", "a=b"), ("restore",), ("export",)):
        assert isinstance(run(words[0], "--name", fleet.prefix, *words[1:]).exception, NothingSelected)
