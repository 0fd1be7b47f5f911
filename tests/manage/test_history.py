"""`rotators history`: the versions of a secret, and its changes from CloudTrail."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import botocore.session
import pytest

from rotators.aws import clients
from rotators.aws.events import CHANGES
from rotators.aws.views import read_secret
from rotators.manage.errors import SelectorInvalid
from rotators.manage.history import history
from tests.cli.command import command
from tests.manage.conftest import Fleet
from tests.manage.pages import answer, throttling

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


def test_events_without_resource_names_are_found(fleet: Fleet, name: str) -> None:
    """The service's own events list no resource, so CloudTrail does not find them by the secret."""
    fleet.secrets.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "eu-west-1"}])
    events = [each["event"] for each in told(name)["changes"]]
    assert {"ReplicationStarted", "ReplicationSucceeded"} <= set(events)


ANOTHER = "arn:aws:secretsmanager:us-east-1:123456789012:secret:another-AbCdEf"
SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "additional data, ARN": lambda arn, _: {"additionalEventData": {"SecretId": arn}},
    "additional data, name": lambda _, name: {"additionalEventData": {"SecretId": name}},
    "details, ARN": lambda arn, _: {"serviceEventDetails": {"secretId": arn}},
    "details, name": lambda _, name: {"serviceEventDetails": {"secretId": name}},
    "parameters, part of the ARN": lambda arn, _: {"requestParameters": {"secretId": arn[:-7]}},
    "response, old spelling": lambda arn, _: {"responseElements": {"aRN": arn}},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_secret_is_read_from_the_record(name: str, shape: str) -> None:
    """LookupEvents answers by the event's name only, as for an event without resources."""
    view = read_secret(name)
    own = SHAPES[shape](view.arn, name)
    strangers = [SHAPES[shape](ANOTHER, "another"), {"responseElements": {"arn": ANOTHER}, **own}, {}]
    if shape == "response, old spelling":
        strangers.pop(1)
    with answering("RotationSucceeded", [own, *strangers]):
        assert [each["event"] for each in told(name)["changes"]] == ["RotationSucceeded"]


RECORD = {"eventSource": "secretsmanager.amazonaws.com", "readOnly": False}


@contextmanager
def answering(value: str, members: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Answer LookupEvents during the block: events with these members for one attribute, and no others."""
    with answering_records(value, [json.dumps({**RECORD, "eventName": value, **each}) for each in members]):
        yield


@contextmanager
def answering_records(value: str, records: Sequence[str]) -> Iterator[None]:
    """Answer LookupEvents during the block: events with these records for one attribute, and no others."""
    now = dt.datetime.now(dt.UTC).timestamp()
    events = [
        {"EventId": f"{number}", "EventTime": now, "CloudTrailEvent": each}
        for number, each in enumerate(records)
    ]

    def handler(request: Any, **_: object) -> object:
        (asked,) = json.loads(request.body)["LookupAttributes"]
        return answer(200, {"Events": events if asked["AttributeValue"] == value else []})

    both = [client.meta.events for client in (clients.cloudtrail_lister(), clients.cloudtrail())]
    for hooks in both:
        hooks.register("before-send.cloudtrail.LookupEvents", handler)
    try:
        yield
    finally:
        for hooks in both:
            hooks.unregister("before-send.cloudtrail.LookupEvents", handler)


@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_foreign_and_deep_records_are_left_out(name: str, depth: int) -> None:
    own = {**RECORD, "eventName": "RotationFailed", "additionalEventData": {"SecretId": name}}
    nested = '{"a":' * depth + "0" + "}" * depth
    deep = json.dumps({**own, "requestParameters": 0}).replace(" 0", f" {nested}")
    odd = {**own, "userIdentity": "somebody", "requestParameters": ["x"], "responseElements": 1}
    texts = ["", "{", "null", "[1]", '"text"', "9" * 5_000, deep, json.dumps(odd)]
    with answering_records("RotationFailed", texts):
        (found,) = told(name)["changes"]
        assert (found["event"], found["who"], found["request"]) == ("RotationFailed", "unknown", {})
        assert json.loads(command("show", name, "--json").stdout)["last_failure"]["event"] == "RotationFailed"
        assert json.loads(command("list", name, "--failed", "--json").stdout)["count"] == 1


def test_a_read_that_names_no_secret_counts(name: str) -> None:
    """A batch by filters has no secret in its parameters; CloudTrail may find it nevertheless."""
    batch = {"eventName": "BatchGetSecretValue", "readOnly": True, "userIdentity": {"arn": "reader"}}
    with answering(read_secret(name).arn, [batch]):
        assert told(name)["reads"] == {"reader": 1}


def test_all_changes_of_the_api_are_looked_up() -> None:
    names = botocore.session.get_session().get_service_model("secretsmanager").operation_names
    reads = ("BatchGet", "Describe", "Get", "List", "Validate")
    assert set(CHANGES) == {name for name in names if not name.startswith(reads)}


def test_a_failure_is_found_by_the_secrets_name(fleet: Fleet, name: str) -> None:
    with answering("RotationFailed", [{"serviceEventDetails": {"secretId": name}}]):
        assert fleet.listed("--failed") == {"app"}


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


def test_a_text_other_than_an_age_is_refused(name: str) -> None:
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
