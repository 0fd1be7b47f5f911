"""CloudTrail's records of Secrets Manager's API calls, through LookupEvents."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotators.local.aws import LocalAws
from rotators.local.secretsmanager.api_calls import ApiCalls
from tests.world import unique

WAIT = 300.0
Make = Callable[..., str]


@pytest.fixture
def trail(aws: LocalAws) -> Callable[..., list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Look events up by one attribute, newest first; return each with its record."""

    def look(key: str, value: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        pages = aws.client("cloudtrail").get_paginator("lookup_events")
        wanted = [{"AttributeKey": key, "AttributeValue": value}]
        found = [event for page in pages.paginate(LookupAttributes=wanted) for event in page["Events"]]
        return [(event, json.loads(event["CloudTrailEvent"])) for event in found]

    return look


def test_a_read_is_recorded_as_on_aws(secrets: Any, make: Make, trail: Any) -> None:
    """elastic/integrations, test-get-secret-value-json.log: the members, and no response."""
    arn = make()
    secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    event, record = trail("ResourceName", arn)[0]
    assert (event["EventName"], event["EventSource"]) == ("GetSecretValue", "secretsmanager.amazonaws.com")
    assert (event["ReadOnly"], event["EventId"]) == ("true", record["eventID"])
    assert record["requestParameters"] == {"secretId": arn, "versionStage": "AWSCURRENT"}
    assert record["responseElements"] is None
    assert record["readOnly"] is True
    assert record["userIdentity"]["type"] == "IAMUser"
    assert (record["eventType"], record["eventCategory"]) == ("AwsApiCall", "Management")
    assert record["recipientAccountId"] == arn.split(":")[4]
    assert {"eventVersion", "eventTime", "awsRegion", "userAgent", "requestID"} <= record.keys()
    assert "errorCode" not in record


def test_the_secret_is_named_as_in_the_request(secrets: Any, make: Make, trail: Any) -> None:
    """The same samples: secretId is what the request has; GetSecretValue's API takes a name or an ARN."""
    arn = make()
    name = secrets.describe_secret(SecretId=arn)["Name"]
    secrets.get_secret_value(SecretId=name)
    assert trail("ResourceName", name)[0][1]["requestParameters"] == {"secretId": name}
    assert [event["EventName"] for event, _ in trail("ResourceName", arn)] == [
        "DescribeSecret",
        "CreateSecret",
    ]


def test_a_batch_lists_its_secrets(secrets: Any, make: Make, trail: Any) -> None:
    """elastic/integrations, test-batch-get-secret-value-json.log."""
    arns = [make(), make()]
    secrets.batch_get_secret_value(SecretIdList=arns)
    event, record = trail("ResourceName", arns[1])[0]
    assert (event["EventName"], event["ReadOnly"]) == ("BatchGetSecretValue", "true")
    assert record["requestParameters"] == {"secretIdList": arns}


def test_records_of_writes_have_no_value(secrets: Any, make: Make, trail: Any) -> None:
    """external-secrets/reloader, its message schema: secretId and clientRequestToken, arn in the response."""
    arn = make()
    token = secrets.put_secret_value(SecretId=arn, SecretString="hidden-text")["VersionId"]
    secrets.update_secret(SecretId=arn, SecretBinary=b"hidden-bytes")
    found = trail("ResourceName", arn)
    assert not any("hidden" in event["CloudTrailEvent"] for event, _ in found)
    assert not any("secretString" in event["CloudTrailEvent"] for event, _ in found)
    event, record = next(each for each in found if each[0]["EventName"] == "PutSecretValue")
    assert record["requestParameters"] == {"secretId": arn, "clientRequestToken": token}
    assert record["responseElements"]["arn"] == arn  # "arn" since February 2024: UG:cloudtrail_log_entries
    assert record["responseElements"]["versionId"] == token
    assert event["ReadOnly"] == "false"


def test_a_deletion_records_its_response(secrets: Any, make: Make, trail: Any) -> None:
    """re:Post, secrets-manager-arn: recoveryWindowInDays; arn, name and deletionDate."""
    arn = make()
    secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    _, record = trail("ResourceName", arn)[0]
    assert record["requestParameters"] == {"secretId": arn, "recoveryWindowInDays": 7}
    assert record["responseElements"].keys() == {"arn", "name", "deletionDate"}


@pytest.fixture
def reader(aws: LocalAws) -> Iterator[Any]:
    """A client of a caller that may do nothing."""
    aws.watch({"reader": []})
    names = {"AccessKeyId": "local-reader", "SecretAccessKey": "any", "SessionToken": "any"}
    yield aws.client("secretsmanager", credentials=names)
    aws.watch(None)


def test_a_denied_call_is_recorded(reader: Any, make: Make, trail: Any, refused: Make) -> None:
    """panther-labs, aws_secretsmanager_retrieve_secrets.yml: errorCode AccessDenied, and the request."""
    arn, version = make(), "7dc59e8b-63ae-454d-b7a4-8a7d64ab05e7"
    refused(reader.get_secret_value, SecretId=arn, VersionId=version)
    event, record = trail("ResourceName", arn)[0]
    assert record["errorCode"] == "AccessDenied"
    assert "is not authorized to perform: secretsmanager:GetSecretValue" in record["errorMessage"]
    assert record["requestParameters"] == {"secretId": arn, "versionId": version}
    assert record["userIdentity"]["type"] == "AssumedRole"
    assert event["Username"] == "reader"


def test_another_refusal_has_its_code(secrets: Any, make: Make, trail: Any, refused: Make) -> None:
    """UG:monitoring_cloudwatch_deleted-secrets: its filter matches this errorMessage of GetSecretValue."""
    arn = make()
    secrets.delete_secret(SecretId=arn)
    refused(secrets.get_secret_value, SecretId=arn)
    _, record = trail("ResourceName", arn)[0]
    assert record["errorCode"] == "InvalidRequestException"
    assert "secret because it was marked for deletion" in record["errorMessage"]


def test_a_function_is_named_by_its_role(aws: LocalAws, make: Make, rotate: Make, trail: Any) -> None:
    """CloudTrail guide, cloudtrail-event-reference-user-identity: AssumedRole with sessionIssuer."""
    arn = make()
    assert aws.wait_for_rotation(arn, rotate(arn), WAIT).ok
    found = [record for event, record in trail("ResourceName", arn) if event["EventName"] == "PutSecretValue"]
    identity = found[0]["userIdentity"]
    function = aws.function_arn("well").rpartition(":")[2]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"].endswith(f":assumed-role/rotators-local/{function}")
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "rotators-local"
    assert "hidden" not in json.dumps(found[0])


def test_api_calls_are_found_by_caller(secrets: Any, make: Make, trail: Any) -> None:
    """CloudTrail's API:LookupEvents: Username is an attribute; ReadOnly is the text true or false."""
    arn = make()
    secrets.describe_secret(SecretId=arn)
    event, record = trail("Username", "developer")[0]
    assert (event["EventName"], record["requestParameters"]) == ("DescribeSecret", {"secretId": arn})
    assert {event["ReadOnly"] for event, _ in trail("ReadOnly", "false")} == {"false"}


def recorded(operation: str, request: bytes, status: str, answer: bytes, calls: ApiCalls) -> None:
    """Record one call of a service that answers this."""

    def service(_: Any, start_response: Any) -> list[bytes]:
        start_response(status, [])
        return [answer]

    environ = {
        "HTTP_AUTHORIZATION": "Credential=local/20270101/us-east-1/secretsmanager/aws4_request",
        "HTTP_X_AMZ_TARGET": f"secretsmanager.{operation}",
        "CONTENT_LENGTH": str(len(request)),
        "wsgi.input": io.BytesIO(request),
    }
    assert calls.recorded(service, environ, lambda *_: None) == [answer]


def test_old_calls_are_forgotten() -> None:
    """Our choice: the newest 5,000, so that a long run does not fill the memory."""
    calls = ApiCalls(lambda _arn, _region: None)
    for number in range(5_010):
        recorded("DescribeSecret", json.dumps({"SecretId": str(number)}).encode(), "200 OK", b"{}", calls)
    names = [record["Resources"][0]["ResourceName"] for record in calls.records()]
    assert (len(names), names[0], names[-1]) == (5_000, "10", "5009")


MODEL = botocore.session.get_session().get_service_model("secretsmanager")


def filled(shape: Any, value: str, public: Mapping[str, Any]) -> Any:
    """A document of a shape: the value in sensitive members, and something public in all others."""
    if shape.metadata.get("sensitive"):
        return value
    if shape.type_name == "structure":
        return {name: filled(each, value, public) for name, each in shape.members.items()}
    if shape.type_name == "list":
        return [filled(shape.member, value, public)]
    return {shape.type_name: "public"} if shape.type_name == "map" else public[shape.type_name]


PUBLIC = {"string": "public", "integer": 7, "long": 7, "boolean": True, "timestamp": 1.5}
values = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=16, max_size=40)
hiding = st.sampled_from(
    [
        lambda value: {"secretString": value},  # spelled as no member is
        lambda value: {"Password": value},
        lambda value: {"SecretId": {"SecretString": value}},  # a member of another kind
        lambda value: {"Name": [value]},
        lambda value: {"Tags": value},
        lambda value: {"Tags": [{"Key": "k", "SecretString": value}]},
        lambda value: {"Description": {"text": value}},
    ]
)


@given(st.sampled_from(MODEL.operation_names), values, hiding, st.booleans())
@example("RotateSecret", "kept-away-from-us", lambda value: {"ExternalSecretRotationMetadata": value}, True)
def test_no_record_has_a_value(
    operation: str, value: str, hidden: Callable[[str], dict[str, Any]], refused: bool
) -> None:
    """Whatever the members of a request are called, and whatever the service answers."""
    model, calls = MODEL.operation_model(operation), ApiCalls(lambda _arn, _region: None)
    request = {**filled(model.input_shape, value, PUBLIC), **hidden(value)}
    answered = {**(filled(model.output_shape, value, PUBLIC) if model.output_shape else {}), **hidden(value)}
    answered |= {"ARN": "public", "VersionId": "public"}
    answered["SecretValues"] = [dict(answered)]
    failure = {"__type": "ValidationException", "message": f"Value '{value}' at 'secretString' is too long"}
    status, answer = ("400 Bad Request", failure) if refused else ("200 OK", answered)
    recorded(operation, json.dumps(request).encode(), status, json.dumps(answer).encode(), calls)
    (record,) = calls.records()
    assert value not in json.dumps(record)
    assert record["CloudTrailEvent"]["eventName"] == operation


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b'"text"', b"\xff"])
def test_a_call_without_members_is_recorded(body: bytes) -> None:
    calls = ApiCalls(lambda _arn, _region: None)
    recorded("CreateSecret", body, "400 Bad Request", b"{}", calls)
    (record,) = calls.records()
    assert record["CloudTrailEvent"]["requestParameters"] is None


def test_public_members_are_recorded() -> None:
    """external-secrets/reloader and elastic/integrations: members as they were sent, in lower case."""
    calls = ApiCalls(lambda _arn, _region: None)
    request = filled(MODEL.operation_model("CreateSecret").input_shape, "hidden", PUBLIC)
    recorded("CreateSecret", json.dumps(request).encode(), "200 OK", b"{}", calls)
    found = calls.records()[0]["CloudTrailEvent"]["requestParameters"]
    left_out = {"SecretString", "SecretBinary"}
    assert found.keys() == {f"{name[0].lower()}{name[1:]}" for name in request.keys() - left_out}
    assert found["tags"] == [{"key": "public", "value": "public"}]


def test_calls_to_kms_are_recorded_for_the_caller(aws: LocalAws, secrets: Any, trail: Any) -> None:
    """UG:security-encryption: GenerateDataKey and Decrypt, invoked by Secrets Manager, with the context."""
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    made = secrets.create_secret(Name=unique("keyed"), SecretString="kept-away", KmsKeyId=key)
    secrets.get_secret_value(SecretId=made["ARN"])
    found = [record for _, record in trail("ResourceName", key)]
    assert [record["eventName"] for record in found] == ["Decrypt", "GenerateDataKey"]
    for record in found:
        assert record["userIdentity"]["invokedBy"] == record["userAgent"] == "secretsmanager.amazonaws.com"
        assert record["requestParameters"]["encryptionContext"] == {
            "SecretARN": made["ARN"],
            "SecretVersionId": made["VersionId"],
        }
        assert record["resources"][0]["ARN"] == key
    assert "kept-away" not in str(found)
