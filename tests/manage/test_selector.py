"""The selector, through `rotators list`."""

from __future__ import annotations

import datetime as dt

import pytest

from rotators.manage.errors import NothingSelected, SelectorInvalid
from rotators.manage.inventory import Entry
from rotators.manage.selector import Selector, duration
from tests.manage.conftest import Fleet, run


@pytest.fixture
def three(fleet: Fleet) -> Fleet:
    """Three secrets with tags, engines and keys."""
    fleet.add("app", {"engine": "postgres"}, tags={"env": "prod", "team": "a"})
    fleet.add("api", {"engine": "MySQL"}, tags={"env": "test", "team": "a"})
    fleet.add("job", "no JSON", tags={"environment": "prod"})
    return fleet


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("", {"app", "api", "job"}),
        ("--tag env", {"app", "api"}),
        ("--tag env=prod", {"app"}),
        ("--tag env=prod --tag env=test", {"app", "api"}),
        ("--tag env=prod --tag team=b", set()),
        ("--tag team=a --tag !env=test", {"app"}),
        ("--tag !env", {"job"}),
        ("--tag env=a", set()),
        ("--engine postgres", {"app"}),
        ("--engine mysql --engine postgres", {"app", "api"}),
        ("--engine !mysql", {"app", "job"}),
        ("--key aws/secretsmanager", {"app", "api", "job"}),
        ("--key !alias/aws/secretsmanager", set()),
        ("--stale 1d", set()),
        ("--stale 0d", {"app", "api", "job"}),
        ("--stale !1d", {"app", "api", "job"}),
        ("--unused 1w", set()),
        ("--never-rotated", {"app", "api", "job"}),
        ("--ever-rotated", set()),
        ("--failed", set()),
        ("--not-failed --not-overdue --not-replicated", {"app", "api", "job"}),
    ],
)
def test_conditions_select_secrets(three: Fleet, conditions: str, expected: set[str]) -> None:
    assert three.listed(*conditions.split()) == expected


def test_beginnings_of_names_are_alternatives(three: Fleet) -> None:
    p = three.prefix
    names = run("list", "--name", f"{p}ap", "--name", f"{p}j", "--name", f"!{p}api", "-o", "names").stdout
    assert set(names.split()) == {f"{p}app", f"{p}job"}


def test_secrets_are_named_by_name_arn_or_input(three: Fleet) -> None:
    arn = three.secrets.describe_secret(SecretId=f"{three.prefix}api")["ARN"]
    names = run("list", f"{three.prefix}app", arn, "-", "-o", "names", text=f"{three.prefix}job\n\n").stdout
    assert {name.removeprefix(three.prefix) for name in names.split()} == {"app", "api", "job"}


def test_each_named_secret_must_exist(three: Fleet) -> None:
    for words in (("list",), ("tag", "--set", "a=b", "--yes"), ("export",)):
        result = run(words[0], f"{three.prefix}app", f"{three.prefix}ap", *words[1:])
        assert isinstance(result.exception, NothingSelected)
        assert f"there is no secret {three.prefix}ap" in str(result.exception)
    assert three.listed("--tag", "a") == set()


def test_a_named_secret_must_not_be_deleted(three: Fleet) -> None:
    """It would be missing in a plan or a file that looks complete."""
    gone, there = three.add("gone"), f"{three.prefix}app"
    three.secrets.delete_secret(SecretId=gone)
    for words in (["schedule", gone, there, "--every", "30"], ["export", there, gone], ["list", gone]):
        result = run(*words)
        assert isinstance(result.exception, NothingSelected)
        assert f"scheduled for deletion: {gone}" in str(result.exception)
    assert run("restore", gone, "--yes").exit_code == 0
    assert run("list", gone, there, "-o", "names").exit_code == 0
    three.secrets.delete_secret(SecretId=gone, ForceDeleteWithoutRecovery=True)


def test_a_secret_named_twice_is_one(three: Fleet) -> None:
    arn = three.secrets.describe_secret(SecretId=f"{three.prefix}api")["ARN"]
    assert run("list", arn, f"{three.prefix}api", "-o", "names").stdout.split() == [f"{three.prefix}api"]


def test_secrets_of_other_regions_are_named_by_arn(three: Fleet) -> None:
    other = three.aws.client("secretsmanager", region="eu-west-1")
    arn = other.create_secret(Name=f"{three.prefix}far", SecretString="x")["ARN"]
    assert run("list", arn, "-o", "names").stdout.split() == [f"{three.prefix}far"]
    assert run("list", "arn:x").exit_code == 1


def test_empty_input_does_not_mean_all(three: Fleet) -> None:
    assert isinstance(run("list", "-", text="\n").exception, NothingSelected)


def test_a_customer_key_is_found_by_all_spellings(fleet: Fleet) -> None:
    kms = fleet.aws.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName=f"alias/{fleet.prefix[:-1]}", TargetKeyId=key["KeyId"])
    fleet.add("own", KmsKeyId=key["Arn"])
    fleet.add("other")
    for spelling in (key["Arn"], key["KeyId"], f"alias/{fleet.prefix[:-1]}"):
        assert fleet.listed("--key", spelling) == {"own"}
        assert fleet.listed("--key", f"!{spelling}") == {"other"}


def test_deleted_secrets_are_listed_on_request(fleet: Fleet) -> None:
    fleet.add("kept")
    fleet.secrets.delete_secret(SecretId=fleet.add("gone"))
    assert fleet.listed() == {"kept"}
    assert fleet.listed("--deleted") == {"kept", "gone"}


MALFORMED = ("--stale 30", "--unused d", "--stale -1d", "--tag =x", "--tag !", "--name=", "--name !")


@pytest.mark.parametrize("conditions", MALFORMED)
def test_a_malformed_condition_is_refused(aws: object, conditions: str) -> None:
    assert isinstance(run("list", *conditions.split()).exception, SelectorInvalid)


@pytest.mark.parametrize(("text", "hours"), [("2h", 2), ("30min", 0.5), ("1d", 24), ("1w", 168)])
def test_durations_have_units(text: str, hours: float) -> None:
    assert duration(text) == dt.timedelta(hours=hours)


def test_a_changed_tag_makes_no_value_younger() -> None:
    now = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
    listed = {
        "ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf",
        "Name": "app",
        "CreatedDate": now - dt.timedelta(days=400),
        "LastChangedDate": now - dt.timedelta(days=1),
        "LastAccessedDate": now.replace(hour=0),
    }
    meets = Selector(stale=("90d",)).check(now)
    assert meets(Entry.of(listed))
    assert not Selector(unused=("6h",)).check(now)(Entry.of(listed)), "read on this day"
    assert Selector(unused=("6h",)).check(now + dt.timedelta(hours=18))(Entry.of(listed))


def test_ages_count_from_the_given_time(fleet: Fleet) -> None:
    fleet.add("app")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=31)
    for selector in (Selector(stale=("30d",)), Selector(unused=("30d",)), Selector(stale=("!32d",))):
        found = Selector(names=(fleet.prefix,), stale=selector.stale, unused=selector.unused).select(later)
        assert [entry.name for entry in found] == [f"{fleet.prefix}app"]
