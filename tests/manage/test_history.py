"""`rotators history`: the versions of a secret, and its changes from CloudTrail."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from rotators.aws import clients
from rotators.aws.views import read_secret
from rotators.manage.errors import SelectorInvalid
from rotators.manage.history import history
from tests.cli.command import command
from tests.manage.conftest import Fleet
from tests.manage.pages import throttling

WAIT = 300.0
VALUE = {"password": "never-shown"}


@pytest.fixture
def name(fleet: Fleet) -> str:
    """A secret that was created with a value, changed by its ARN, read, and tagged by its name."""
    name = fleet.add("app", VALUE)
    arn = fleet.secrets.describe_secret(SecretId=name)["ARN"]
    fleet.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**VALUE, "more": 1}))
    fleet.secrets.get_secret_value(SecretId=name)
    fleet.secrets.tag_resource(SecretId=name, Tags=[{"Key": "team", "Value": "shop"}])
    return name


def told(name: str, *more: str) -> Any:
    done = command("history", name, "--json", *more)
    assert done.status == 0, done.text
    return json.loads(done.stdout)


def test_changes_by_name_and_arn_are_newest_first(name: str) -> None:
    changes = told(name)["changes"]
    assert [each["event"] for each in changes] == ["TagResource", "PutSecretValue", "CreateSecret"]
    assert {each["who"].rpartition(":")[2] for each in changes} == {"user/developer"}
    assert changes[0]["request"] == {"tags": [{"key": "team", "value": "shop"}]}


def test_versions_have_their_times(name: str) -> None:
    versions = told(name)["versions"]
    assert [each["stages"] for each in versions] == [["AWSCURRENT"], ["AWSPREVIOUS"]]
    assert all(each["created"] for each in versions)
    assert [bool(each["accessed"]) for each in versions] == [True, False]


def test_reads_are_counted_by_caller(name: str) -> None:
    assert list(told(name)["reads"].values()) == [1]


def test_the_table_shows_changes_without_values(name: str) -> None:
    done = command("history", name)
    assert done.status == 0
    assert "3 changes and 1 read by 1 caller" in done.stdout
    assert "90 days" in done.stdout
    assert "Next: " in done.stdout
    assert "never-shown" not in done.text + command("history", name, "--json").text


def test_a_refused_change_has_its_error(fleet: Fleet, name: str) -> None:
    with pytest.raises(fleet.secrets.exceptions.InvalidRequestException):
        fleet.secrets.rotate_secret(SecretId=name)
    newest = told(name)["changes"][0]
    assert newest["event"] == "RotateSecret"
    assert newest["error"].startswith("InvalidRequestException: ")
    assert f"rotators doctor {name}" in command("history", name).stdout


def test_rotations_and_their_failures_are_listed(fleet: Fleet, name: str) -> None:
    fleet.aws.enable_rotation(name)
    token = fleet.secrets.rotate_secret(SecretId=name)["VersionId"]
    assert not fleet.aws.wait_for_rotation(name, token, WAIT).ok
    found = {each["event"]: each for each in told(name)["changes"]}
    assert {"RotateSecret", "RotationStarted", "RotationFailed"} <= found.keys()
    assert found["RotationFailed"]["who"] == "secretsmanager.amazonaws.com"
    assert "createSecret step" in found["RotationFailed"]["error"]


def test_a_deletion_names_who_did_it(fleet: Fleet, name: str) -> None:
    fleet.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    newest = told(name)["changes"][0]
    assert (newest["event"], newest["request"]) == ("DeleteSecret", {"recoveryWindowInDays": 7})
    assert f"rotators restore {name}" in command("history", name).stdout


def test_an_earlier_secret_of_that_name_is_absent(fleet: Fleet, name: str) -> None:
    fleet.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    assert fleet.add("app", VALUE) == name
    assert [each["event"] for each in told(name)["changes"]] == ["CreateSecret"]


def test_older_changes_are_left_out(name: str) -> None:
    view = read_secret(name)
    tomorrow = replace(view, read_at=view.read_at + dt.timedelta(days=1))
    assert history(tomorrow, dt.timedelta(hours=23)).changes == ()
    assert len(history(tomorrow, dt.timedelta(hours=25)).changes) == 3


def test_a_text_that_is_no_age_is_refused(name: str) -> None:
    wrong = command("history", name, "--since", "soon")
    assert (wrong.status, f"[{SelectorInvalid('', remedy='').full_code}]" in wrong.stderr) == (1, True)


def test_a_throttled_lookup_is_repeated(name: str) -> None:
    with throttling(clients.cloudtrail_lister(), "cloudtrail.LookupEvents", 1) as left:
        assert len(told(name)["changes"]) == 3
    assert left == []


@pytest.fixture
def unpermitted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The caller may not look events up."""
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "cloudtrail:LookupEvents", "Resource": "*"}
    fleet.aws.watch({"reader": [allowed, denied]})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-reader")
    clients._client.cache_clear()  # a client keeps its credentials
    yield
    clients._client.cache_clear()
    fleet.aws.watch(None)


@pytest.mark.usefixtures("unpermitted")
def test_without_permission_the_versions_are_shown(name: str) -> None:
    done = command("history", name)
    assert done.status == 1
    assert "AWSPREVIOUS" in done.stdout
    assert "Changes are unknown" in done.stdout
    assert "cloudtrail:LookupEvents" in done.stdout
    document = json.loads(command("history", name, "--json").stdout)
    assert (len(document["versions"]), document["changes_known"]) == (2, False)
    assert document["error"]["code"].startswith("access-denied")
