"""The retrieve function returns values, fields and clear errors, and caches for the configured time."""

from __future__ import annotations

import base64
import json
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from functions.retrieve import handler
from rotators.aws import clients
from rotators.core.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidEvent,
    RotatorsError,
    SecretDeleted,
    SecretFormatError,
    SecretNotFound,
)
from rotators.handlers import retrieve
from tests.client.conftest import age

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

VALUE = {"username": "app", "password": "s3cr3t-Pa55", "port": 5432}


def created(manager: SecretsManagerClient, value: object = VALUE, name: str | None = None) -> str:
    name = name or f"app/{uuid.uuid4().hex}"
    text = value if isinstance(value, str) else json.dumps(value)
    manager.create_secret(Name=name, SecretString=text)
    return name


def changed(manager: SecretsManagerClient, name: str) -> None:
    manager.put_secret_value(SecretId=name, SecretString=json.dumps({**VALUE, "port": 6432}))


def refused(wrong: object, error: type[RotatorsError]) -> str:
    with pytest.raises(error) as caught:
        handler(wrong)
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def test_a_secret_is_read_by_name_or_arn(manager: SecretsManagerClient) -> None:
    name = created(manager)
    known = manager.describe_secret(SecretId=name)
    answer = handler({"SecretId": name})
    assert answer == {
        "ARN": known["ARN"],
        "Name": name,
        "VersionId": next(iter(known["VersionIdsToStages"])),
        "VersionStages": ["AWSCURRENT"],
        "Value": VALUE,
        "Cached": False,
    }
    assert handler({"SecretId": known["ARN"]}) == answer


@pytest.mark.parametrize("text", ["s3cr3t-Pa55", '["s3cr3t-Pa55"]', "7", '{"s3cr3t-Pa55": '])
def test_text_other_than_a_json_object_stays_text(manager: SecretsManagerClient, text: str) -> None:
    answer = handler({"SecretId": created(manager, text)})
    assert answer["SecretString"] == text
    assert "Value" not in answer


def test_bytes_come_as_base64(manager: SecretsManagerClient) -> None:
    manager.create_secret(Name="bytes", SecretBinary=bytes(range(256)))
    assert base64.b64decode(handler({"SecretId": "bytes"})["SecretBinary"]) == bytes(range(256))


def test_a_stage_or_a_version_may_be_chosen(manager: SecretsManagerClient) -> None:
    name = created(manager)
    first = handler({"SecretId": name})["VersionId"]
    changed(manager, name)
    assert handler({"SecretId": name})["Value"]["port"] == 6432
    assert handler({"SecretId": name, "VersionStage": "AWSPREVIOUS"})["VersionId"] == first
    assert handler({"SecretId": name, "VersionId": first})["Value"] == VALUE


def test_only_the_chosen_fields_come(manager: SecretsManagerClient) -> None:
    name = created(manager)
    assert handler({"SecretId": name, "Fields": ["username", "port"]})["Value"] == {
        "username": "app",
        "port": 5432,
    }


def test_a_missing_field_is_named_without_values(manager: SecretsManagerClient) -> None:
    shown = refused(
        {"SecretId": created(manager), "Fields": ["password", "pasword", "hots"]}, SecretFormatError
    )
    assert "pasword, hots" in shown
    assert "s3cr3t" not in shown


def test_text_has_no_fields(manager: SecretsManagerClient) -> None:
    shown = refused({"SecretId": created(manager, "s3cr3t-Pa55"), "Fields": ["password"]}, SecretFormatError)
    assert "not a JSON object" in shown
    assert "s3cr3t" not in shown


def test_missing_and_deleted_secrets_have_different_errors(manager: SecretsManagerClient) -> None:
    name = created(manager)
    manager.delete_secret(SecretId=name)
    assert name in refused({"SecretId": name}, SecretDeleted)
    assert "app/none" in refused({"SecretId": "app/none"}, SecretNotFound)


@pytest.mark.usefixtures("manager")
def test_a_forbidden_secret_names_the_permission() -> None:
    with Stubber(clients.secrets_reader()) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException", "User: x is not authorized")
        assert "Grant the caller GetSecretValue" in refused({"SecretId": "app/db"}, AccessDenied)


def test_a_value_is_remembered_until_refreshed(
    manager: SecretsManagerClient, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    name = created(manager)
    first = handler({"SecretId": name})
    changed(manager, name)
    calls.clear()
    assert handler({"SecretId": name}) == {**first, "Cached": True}
    assert handler({"SecretId": name, "VersionStage": "AWSCURRENT"})["Cached"]
    assert handler({"SecretIds": [name]})["Secrets"][0]["Cached"]
    assert calls == []
    fresh = handler({"SecretId": name, "Refresh": True})
    assert (fresh["Cached"], fresh["Value"]["port"]) == (False, 6432)
    assert handler({"SecretId": name})["Value"]["port"] == 6432
    assert calls == ["GetSecretValue"]


def test_a_changed_answer_does_not_change_the_cache(
    manager: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    name = created(manager)
    handler({"SecretId": name})["Value"].clear()
    assert handler({"SecretId": name})["Value"] == VALUE


def test_versions_and_stages_are_remembered_apart(
    manager: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    name = created(manager)
    changed(manager, name)
    assert handler({"SecretId": name})["Value"]["port"] == 6432
    assert handler({"SecretId": name, "VersionStage": "AWSPREVIOUS"})["Value"] == VALUE


def test_a_value_is_forgotten_in_time(
    manager: SecretsManagerClient, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    name = created(manager)
    handler({"SecretId": name})
    age(retrieve._cache(clients.secrets_reader(), 60.0), 60.0)
    assert not handler({"SecretId": name})["Cached"]
    assert calls.count("GetSecretValue") == 2


def test_zero_seconds_keep_nothing_in_memory(manager: SecretsManagerClient, calls: list[str]) -> None:
    name = created(manager)
    assert [handler({"SecretId": name})["Cached"] for _ in range(2)] == [False, False]
    assert calls.count("GetSecretValue") == 2


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("text", ["-1", "nan", "inf", "5 minutes"])
def test_a_wrong_cache_time_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", text)
    assert "RETRIEVE_CACHE_SECONDS" in refused({"SecretId": "app/db"}, ConfigurationError)


def test_another_endpoint_is_another_memory(
    manager: SecretsManagerClient, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    name = created(manager)
    handler({"SecretId": name})
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    refused({"SecretId": name}, SecretNotFound)
    assert endpoint == clients.secrets_manager().meta.endpoint_url


def test_many_come_in_order_with_their_errors(manager: SecretsManagerClient, calls: list[str]) -> None:
    names = [created(manager, {"n": n}) for n in range(45)]
    deleted = created(manager)
    manager.delete_secret(SecretId=deleted)
    arn = manager.describe_secret(SecretId=names[30])["ARN"]
    asked = ["app/none", *names[:30], arn, *names[31:], deleted]
    calls.clear()
    answer = handler({"SecretIds": asked})
    assert calls == ["BatchGetSecretValue"] * 3
    assert [secret["Value"]["n"] for secret in answer["Secrets"]] == list(range(45))
    assert [(error["SecretId"], error["Code"]) for error in answer["Errors"]] == [
        ("app/none", "secret-not-found"),
        (deleted, "secret-deleted"),
    ]


def test_a_missing_field_fails_one_secret_only(manager: SecretsManagerClient) -> None:
    good, bad = (
        created(manager, {"host": "h", "password": "s3cr3t-Pa55"}),
        created(manager, {"password": "s3cr3t-Pa55"}),
    )
    answer = handler({"SecretIds": [bad, good], "Fields": ["host"]})
    assert [secret["Value"] for secret in answer["Secrets"]] == [{"host": "h"}]
    assert [error["SecretId"] for error in answer["Errors"]] == [bad]
    assert "host" in answer["Errors"][0]["Message"]
    assert "s3cr3t" not in json.dumps(answer)


def version(name: str) -> dict[str, Any]:
    return {
        "ARN": f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf",
        "Name": name,
        "VersionId": "v" * 32,
        "SecretString": "{}",
        "VersionStages": ["AWSCURRENT"],
    }


@pytest.mark.usefixtures("manager")
def test_all_pages_of_a_batch_are_read() -> None:
    with Stubber(clients.secrets_reader()) as stub:
        ids = {"SecretIdList": ["a", "b", "c"]}
        stub.add_response("batch_get_secret_value", {"SecretValues": [version("b")], "NextToken": "n"}, ids)
        stub.add_response(
            "batch_get_secret_value", {"SecretValues": [version("a")]}, {**ids, "NextToken": "n"}
        )
        answer = handler({"SecretIds": ["a", "b", "c"]})
    assert [secret["Name"] for secret in answer["Secrets"]] == ["a", "b"]
    assert [error["SecretId"] for error in answer["Errors"]] == ["c"]


@pytest.mark.usefixtures("manager")
def test_a_forbidden_batch_names_its_own_permission() -> None:
    with Stubber(clients.secrets_reader()) as stub:
        stub.add_client_error("batch_get_secret_value", "AccessDeniedException", "User: x is not authorized")
        assert "secretsmanager:BatchGetSecretValue" in refused({"SecretIds": ["a"]}, AccessDenied)


def test_the_log_has_names_and_no_values(
    manager: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    name = created(manager)
    handler({"SecretId": name})
    out = capsys.readouterr().out
    entry = json.loads(out.splitlines()[0])
    assert (entry["secret"], entry["cached"], entry["outcome"]) == (name, "false", "succeeded")
    assert "s3cr3t" not in out


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (None, "retrieve"),
        ({}, "exactly one of"),
        ({"SecretId": "a", "SecretIds": ["b"]}, "exactly one of"),
        ({"SecretId": 7}, "SecretId"),
        ({"SecretId": ""}, "SecretId"),
        ({"SecretId": "a b"}, "SecretId"),
        ({"SecretId": "a" * 2049}, "SecretId"),
        ({"SecretIds": []}, "SecretIds"),
        ({"SecretIds": [str(n) for n in range(51)]}, "SecretIds"),
        ({"SecretIds": ["a", "a"]}, "SecretIds"),
        ({"SecretIds": ["a"], "VersionStage": "AWSCURRENT"}, "VersionStage"),
        ({"SecretId": "a", "VersionStage": "AWSCURRENT", "VersionId": "v" * 32}, "VersionStage"),
        ({"SecretId": "a", "VersionStage": "s" * 257}, "VersionStage"),
        ({"SecretId": "a", "VersionId": "v"}, "VersionId"),
        ({"SecretId": "a", "Fields": []}, "Fields"),
        ({"SecretId": "a", "Fields": "password"}, "Fields"),
        ({"SecretId": "a", "Refresh": 1}, "Refresh"),
        ({"SecretId": "a", "secretId": "a"}, "secretId"),
    ],
)
def test_a_broken_rule_is_named(wrong: object, rule: str, calls: list[str]) -> None:
    assert rule in refused(wrong, InvalidEvent)
    assert calls == []
