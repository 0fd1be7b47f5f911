"""Storing creates or updates, once per token, and never shows the stored value."""

from __future__ import annotations

import base64
import contextlib
import json
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.store import handler
from rotators.aws import clients
from rotators.core.errors import (
    InvalidEvent,
    KeyUnusable,
    RequestRefused,
    RotationStateError,
    RotatorsError,
    SecretDeleted,
    ServiceUnavailable,
    VersionConflict,
)

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

VALUE = {"engine": "postgres", "host": "db", "username": "app", "password": "s3cr3t-Pa55"}
TOKEN = "11111111-2222-4333-8444-555555555555"
OTHER_TOKEN = "99999999-2222-4333-8444-555555555555"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:rotate"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf"


def event(**changes: Any) -> dict[str, Any]:
    return {"Name": "app/db", "Value": VALUE, "ClientRequestToken": TOKEN} | changes


def refused(wrong: object, error: type[RotatorsError] = InvalidEvent) -> str:
    """The complete text of the error that the event causes, including the traceback."""
    with pytest.raises(error) as caught:
        handler(wrong)
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def new_key(alias: str) -> str:
    """Create a key with an alias; return its ARN."""
    with contextlib.closing(boto3.client("kms", region_name="eu-west-1")) as kms:
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=alias, TargetKeyId=arn)
    return arn


def log(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The only log line, without metrics and audit record."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (entry,) = [line for line in lines if "level" in line]
    return dict(entry)


@pytest.mark.usefixtures("manager")
def test_a_new_secret_is_created_in_two_calls(manager: SecretsManagerClient, calls: list[str]) -> None:
    answer = handler(event())
    assert calls == ["DescribeSecret", "CreateSecret"]
    assert answer == {
        "ARN": manager.describe_secret(SecretId="app/db")["ARN"],
        "Name": "app/db",
        "VersionId": TOKEN,
        "VersionStages": ["AWSCURRENT"],
        "Action": "created",
        "RotationEnabled": False,
        "Warnings": [],
    }
    assert json.loads(manager.get_secret_value(SecretId="app/db")["SecretString"]) == VALUE


def test_a_new_secret_gets_the_stacks_key(
    manager: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key("alias/of-the-stack")
    new_key("alias/of-the-event")
    monkeypatch.setenv("STORE_KMS_KEY_ID", "alias/of-the-stack")
    handler(event(Name="app/with"))
    handler(event(Name="app/own", KmsKeyId="alias/of-the-event"))
    monkeypatch.setenv("STORE_KMS_KEY_ID", "")
    handler(event(Name="app/without"))
    keys = [
        manager.describe_secret(SecretId=f"app/{name}").get("KmsKeyId") for name in ("with", "own", "without")
    ]
    assert keys == ["alias/of-the-stack", "alias/of-the-event", None]


def test_the_same_call_twice_makes_one_version(manager: SecretsManagerClient, calls: list[str]) -> None:
    first = handler(event())
    again = handler(event())
    assert again == {**first, "Action": "unchanged"}
    assert calls[2:] == ["DescribeSecret", "PutSecretValue"]
    assert list(manager.describe_secret(SecretId="app/db")["VersionIdsToStages"]) == [TOKEN]


def test_the_same_token_with_another_value_changes_nothing(manager: SecretsManagerClient) -> None:
    handler(event())
    before = manager.describe_secret(SecretId="app/db")
    shown = refused(event(Value={**VALUE, "password": "s3cr3t-Pa55-2"}, Description="new"), VersionConflict)
    after = manager.describe_secret(SecretId="app/db")
    assert after["VersionIdsToStages"] == before["VersionIdsToStages"]
    assert after.get("Description") == before.get("Description")
    assert json.loads(manager.get_secret_value(SecretId="app/db")["SecretString"]) == VALUE
    assert "s3cr3t" not in shown


def test_another_token_stores_another_version(manager: SecretsManagerClient) -> None:
    handler(event())
    answer = handler(event(ClientRequestToken=OTHER_TOKEN, Value={**VALUE, "host": "h"}))
    assert (answer["Action"], answer["VersionStages"]) == ("updated", ["AWSCURRENT"])
    assert manager.describe_secret(SecretId="app/db")["VersionIdsToStages"] == {
        TOKEN: ["AWSPREVIOUS"],
        OTHER_TOKEN: ["AWSCURRENT"],
    }


def test_a_late_repetition_restores_nothing(manager: SecretsManagerClient) -> None:
    handler(event())
    handler(event(ClientRequestToken=OTHER_TOKEN, Value={**VALUE, "host": "h"}))
    answer = handler(event())
    assert (answer["Action"], answer["VersionStages"]) == ("unchanged", ["AWSPREVIOUS"])
    assert manager.get_secret_value(SecretId="app/db", VersionStage="AWSCURRENT")["VersionId"] == OTHER_TOKEN


def test_text_and_bytes_are_stored_as_they_are(manager: SecretsManagerClient) -> None:
    text, data = "s3cr3t-Pa55 ü\n", bytes(range(256))
    handler({"Name": "text", "SecretString": text})
    handler({"Name": "bytes", "SecretBinary": base64.b64encode(data).decode()})
    assert manager.get_secret_value(SecretId="text")["SecretString"] == text
    assert manager.get_secret_value(SecretId="bytes")["SecretBinary"] == data


def test_key_description_and_tags_are_set_and_changed(
    manager: SecretsManagerClient, calls: list[str]
) -> None:
    tags = [{"Key": "team", "Value": "shop"}, {"Key": "kept", "Value": "yes"}]
    new_key("alias/one")
    new_key("alias/two")
    handler(event(KmsKeyId="alias/one", Description="first", Tags=tags))
    assert calls == ["DescribeSecret", "CreateSecret"]
    change = event(KmsKeyId="alias/two", Description="second", Tags=[{"Key": "team", "Value": "mail"}])
    assert handler(change)["Action"] == "updated"
    assert handler(change)["Action"] == "unchanged"
    found = manager.describe_secret(SecretId="app/db")
    assert (found["KmsKeyId"], found["Description"]) == ("alias/two", "second")
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"team": "mail", "kept": "yes"}


def test_a_key_named_by_arn_is_recognized(manager: SecretsManagerClient, calls: list[str]) -> None:
    key = new_key("alias/by-arn")
    handler(event(KmsKeyId=key))
    handler(event(KmsKeyId=key.rpartition("/")[2]))
    assert "UpdateSecret" not in calls


def test_a_repeated_call_completes_the_first(
    manager: SecretsManagerClient, rotations: list[dict[str, Any]]
) -> None:
    whole = event(
        Tags=[{"Key": "team", "Value": "shop"}],
        Description="d",
        Rotation={"FunctionArn": FUNCTION, "AutomaticallyAfterDays": 30},
    )
    manager.create_secret(Name="app/db", ClientRequestToken=TOKEN, SecretString=json.dumps(VALUE))
    answer = handler(whole)
    found = manager.describe_secret(SecretId="app/db")
    assert found["Tags"] == whole["Tags"]
    assert found["Description"] == "d"
    assert len(rotations) == 1
    assert (answer["Action"], answer["RotationEnabled"]) == ("updated", True)


def test_rotation_is_asked_for_as_the_event_says(rotations: list[dict[str, Any]]) -> None:
    handler(event(Rotation={"FunctionArn": FUNCTION, "AutomaticallyAfterDays": 30}))
    window = {"ScheduleExpression": "cron(0 2 ? * SUN *)", "Duration": "3h"}
    handler(event(Name="b", Rotation={"FunctionArn": FUNCTION, **window, "RotateImmediately": False}))
    assert rotations == [
        {
            "SecretId": "app/db",
            "RotationLambdaARN": FUNCTION,
            "RotationRules": {"AutomaticallyAfterDays": 30},
            "RotateImmediately": True,
        },
        {"SecretId": "b", "RotationLambdaARN": FUNCTION, "RotationRules": window, "RotateImmediately": False},
    ]


@pytest.mark.usefixtures("manager", "functions")
@pytest.mark.parametrize(("days", "asked"), [(30, False), (31, True)], ids=["the same rules", "other rules"])
def test_rotation_is_configured_only_if_it_differs(days: int, asked: bool) -> None:
    known = {"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)", "Duration": "2h"}
    with Stubber(clients.secrets_manager()) as stub:
        stub.add_response(
            "describe_secret",
            {
                "ARN": ARN,
                "Name": "app/db",
                "RotationEnabled": True,
                "RotationLambdaARN": FUNCTION,
                "RotationRules": known,
                "VersionIdsToStages": {TOKEN: ["AWSCURRENT", "AWSPENDING"]},
            },
        )
        stub.add_response(
            "put_secret_value",
            {"ARN": ARN, "Name": "app/db", "VersionId": TOKEN, "VersionStages": ["AWSCURRENT"]},
        )
        if asked:
            stub.add_response("rotate_secret", {})
        answer = handler(event(Rotation={"FunctionArn": FUNCTION, "AutomaticallyAfterDays": days}))
        stub.assert_no_pending_responses()
    assert answer["RotationEnabled"]
    assert answer["Action"] == ("updated" if asked else "unchanged")


def pending(manager: SecretsManagerClient) -> None:
    handler(event())
    manager.put_secret_value(
        SecretId="app/db",
        ClientRequestToken=OTHER_TOKEN,
        SecretString=json.dumps({**VALUE, "password": "s3cr3t-Pa55-next"}),
        VersionStages=["AWSPENDING"],
    )


def test_a_running_rotation_is_not_abandoned_unasked(manager: SecretsManagerClient) -> None:
    pending(manager)
    before = manager.describe_secret(SecretId="app/db")["VersionIdsToStages"]
    new = event(ClientRequestToken=str(uuid.uuid4()), Value={"password": "s3cr3t-Pa55-third"})
    assert "DuringRotation" in refused(new, RotationStateError)
    assert "DuringRotation" in refused(event(ClientRequestToken=OTHER_TOKEN), RotationStateError)
    assert manager.describe_secret(SecretId="app/db")["VersionIdsToStages"] == before
    assert handler(new | {"DuringRotation": True})["VersionStages"] == ["AWSCURRENT"]


def test_a_repetition_during_a_rotation_is_answered(manager: SecretsManagerClient) -> None:
    pending(manager)
    assert handler(event())["Action"] == "unchanged"


def test_a_deleted_secret_is_left_alone(manager: SecretsManagerClient, calls: list[str]) -> None:
    handler(event())
    manager.delete_secret(SecretId="app/db")
    calls.clear()
    assert "RestoreSecret" in refused(event(), SecretDeleted)
    assert calls == ["DescribeSecret"]


@pytest.mark.usefixtures("manager")
def test_a_secret_created_by_another_meanwhile_is_updated() -> None:
    with Stubber(clients.secrets_manager()) as stub:
        stub.add_client_error(
            "describe_secret", "ResourceNotFoundException", "can't find the specified secret"
        )
        stub.add_client_error("create_secret", "ResourceExistsException", "already exists")
        stub.add_response(
            "describe_secret",
            {"ARN": ARN, "Name": "app/db", "VersionIdsToStages": {OTHER_TOKEN: ["AWSCURRENT"]}},
        )
        stub.add_response(
            "put_secret_value",
            {"ARN": ARN, "Name": "app/db", "VersionId": TOKEN, "VersionStages": ["AWSCURRENT"]},
        )
        assert handler(event())["Action"] == "updated"
        stub.assert_no_pending_responses()


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("EncryptionFailure", "Secrets Manager can't encrypt the protected secret text", KeyUnusable),
        ("InternalServiceError", "An error occurred on the server side.", ServiceUnavailable),
        ("ValidationException", "Value 's3cr3t-Pa55' at 'secretString' failed", RequestRefused),
    ],
)
def test_a_services_refusal_shows_no_value(code: str, message: str, error: type[RotatorsError]) -> None:
    with Stubber(clients.secrets_manager()) as stub:
        stub.add_client_error(
            "describe_secret", "ResourceNotFoundException", "can't find the specified secret"
        )
        stub.add_client_error("create_secret", code, message)
        shown = refused(event(), error)
    assert code in shown
    assert "s3cr3t" not in shown


def test_the_log_shows_no_stored_value(
    manager: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    handler(event())
    entry = log(capsys)
    assert (entry["outcome"], entry["token"], entry["level"]) == ("created", TOKEN, "INFO")
    assert entry["secret"] == manager.describe_secret(SecretId="app/db")["ARN"]
    assert "s3cr3t" not in json.dumps(entry)


def test_a_name_like_an_arn_gets_a_warning(manager: SecretsManagerClient) -> None:
    assert handler(event(Name="app-config"))["Warnings"]
    assert not handler(event(Name="app-configs"))["Warnings"]
    assert manager.describe_secret(SecretId="app-config")["Name"] == "app-config"


ROTATION = {"FunctionArn": FUNCTION, "AutomaticallyAfterDays": 30}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (None, "store"),
        ([], "store"),
        ({"Value": VALUE}, "Name"),
        (event(Name=""), "Name"),
        (event(Name="n" * 513), "Name"),
        (event(Name="ends with newline\n"), "Name"),
        (event(SecretString="s3cr3t-Pa55"), "exactly one of"),
        ({"Name": "n"}, "exactly one of"),
        (event(Value="s3cr3t-Pa55"), "Value"),
        (event(Value={"password": float("nan"), "s3cr3t-Pa55": 1}), "Value"),
        (event(Value={"password": "s3cr3t-Pa55\ud800"}), "Value"),
        ({"Name": "n", "SecretString": ""}, "SecretString"),
        ({"Name": "n", "SecretString": "s3cr3t-Pa55" + "ü" * 32768}, "SecretString"),
        ({"Name": "n", "SecretBinary": "s3cr3t-Pa55"}, "SecretBinary"),
        ({"Name": "n", "SecretBinary": base64.b64encode(b"x" * 65537).decode()}, "SecretBinary"),
        (event(Value={"password": "s3cr3t-Pa55" * 6000}), "Value"),
        (event(ClientRequestToken="t" * 31), "ClientRequestToken"),
        (event(ClientRequestToken="t" * 65), "ClientRequestToken"),
        (event(KmsKeyId="k" * 2049), "KmsKeyId"),
        (event(Description="d" * 2049), "Description"),
        (event(Tags=[{"Key": str(n), "Value": ""} for n in range(51)]), "Tags"),
        (event(Tags=[{"Key": "k" * 129, "Value": ""}]), "Tags.0.Key"),
        (event(Tags=[{"Key": "k", "Value": "v" * 257}]), "Tags.0.Value"),
        (event(Tags=[{"Key": "aws:k", "Value": "v"}]), "Tags.0.Key"),
        (event(Tags=[{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]), "Tags"),
        (event(DuringRotation="yes"), "DuringRotation"),
        (event(secretString="s3cr3t-Pa55"), "secretString"),
        (event(Rotation={"AutomaticallyAfterDays": 30}), "Rotation.FunctionArn"),
        (event(Rotation={"FunctionArn": FUNCTION}), "exactly one of"),
        (event(Rotation=ROTATION | {"ScheduleExpression": "rate(4 hours)"}), "exactly one of"),
        (event(Rotation=ROTATION | {"AutomaticallyAfterDays": 0}), "AutomaticallyAfterDays"),
        (event(Rotation=ROTATION | {"AutomaticallyAfterDays": 1001}), "AutomaticallyAfterDays"),
        (event(Rotation=ROTATION | {"AutomaticallyAfterDays": True}), "AutomaticallyAfterDays"),
        (event(Rotation=ROTATION | {"Duration": "0h"}), "Duration"),
        (event(Rotation=ROTATION | {"Duration": "3 hours"}), "Duration"),
    ],
)
def test_a_broken_rule_is_named_without_values(wrong: object, field: str, calls: list[str]) -> None:
    shown = refused(wrong)
    assert field in shown
    assert "s3cr3t" not in shown
    assert calls == []


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("rate(4 hours)", True),
        ("rate(3 hours)", False),
        ("rate(1 day)", True),
        ("rate(999 days)", True),
        ("rate(1000 days)", False),
        ("rate(10 minutes)", False),
        ("cron(0 8 1 * ? *)", True),
        ("cron(0 16 ? * 1 *)", True),
        ("cron(30 8 1 * ? *)", False),
        ("cron(0 8 1 * 1 *)", False),
        ("cron(0 8 1 * ? 2030)", False),
        ("0 8 1 * ? *", False),
        ("rate(4 hours)" + " " * 250, False),
    ],
)
def test_a_schedule_follows_the_rules(expression: str, fits: bool, rotations: list[dict[str, Any]]) -> None:
    asked = event(Rotation={"FunctionArn": FUNCTION, "ScheduleExpression": expression})
    if fits:
        handler(asked)
        assert rotations[0]["RotationRules"] == {"ScheduleExpression": expression}
    else:
        assert "ScheduleExpression" in refused(asked)
        assert rotations == []


NAME = st.text("abcXYZ019/_+=.@-", min_size=1, max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(name=NAME)
def test_every_allowed_name_is_stored_under_it(manager: SecretsManagerClient, name: str) -> None:
    handler({"Name": name, "SecretString": "s3cr3t-Pa55", "ClientRequestToken": TOKEN})
    assert manager.get_secret_value(SecretId=name)["SecretString"] == "s3cr3t-Pa55"


@given(name=NAME, at=st.integers(0, 60), foreign=st.characters(exclude_characters="/_+=.@-"))
def test_every_foreign_character_in_a_name_is_refused(name: str, at: int, foreign: str) -> None:
    if not (foreign.isascii() and foreign.isalnum()):
        assert "Name" in refused(event(Name=name[:at] + foreign + name[at:]))


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("size", [65_535, 65_536])
def test_the_largest_value_fits(size: int) -> None:
    assert handler({"Name": "large", "SecretString": "x" * size})["Action"] == "created"
