"""A store event that stops between two calls reports the completed part, and completes when sent again."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions import store
from rotators.aws import clients
from rotators.core.errors import (
    AccessDenied,
    InvalidEvent,
    KeyUnusable,
    RotatorsError,
    ServiceThrottled,
    ServiceUnavailable,
    UnexpectedError,
)
from tests.world import World, unique

TAGS = [{"Key": "team", "Value": "shop"}]


def wanted(world: World, **changes: Any) -> dict[str, Any]:
    """An event that needs every call of the function."""
    return {
        "Name": unique("stored"),
        "Value": world.user(),
        "Description": "of the shop",
        "Tags": TAGS,
        "Rotation": {
            "FunctionArn": world.aws.function_arn("rotate"),
            "AutomaticallyAfterDays": 30,
            "RotateImmediately": False,
        },
        **changes,
    }


@contextmanager
def failing(operation: str, code: str, message: str = "no") -> Iterator[None]:
    """Makes one operation of Secrets Manager fail with an error of the service."""

    def fail(**_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": message}}, operation)

    client: Any = clients.secrets_manager()
    event = f"before-call.secrets-manager.{operation}"
    client.meta.events.register(event, fail)
    try:
        yield
    finally:
        client.meta.events.unregister(event, fail)


def complete(world: World, event: dict[str, Any]) -> None:
    """Check that the event is completed and the value is stored once."""
    found = world.secrets.describe_secret(SecretId=event["Name"])
    assert found["Description"] == event["Description"]
    assert found["Tags"] == TAGS
    assert found["RotationEnabled"]
    assert found["RotationLambdaARN"] == event["Rotation"]["FunctionArn"]
    assert world.value(event["Name"]) == event["Value"]
    # RotateImmediately is false, so the service creates a temporary version to test the credential.
    versions = [stages for stages in world.stages(event["Name"]).values() if "AWSPENDING" not in stages]
    assert sorted(map(sorted, versions)) in ([["AWSCURRENT"]], [["AWSCURRENT"], ["AWSPREVIOUS"]])


FAILURES = [
    ("ThrottlingException", "Rate exceeded", ServiceThrottled),
    ("AccessDeniedException", "not authorized", AccessDenied),
    ("InternalServiceError", "later", ServiceUnavailable),
    ("EncryptionFailure", "the key is disabled", KeyUnusable),
]


@pytest.mark.parametrize(("code", "message", "kind"), FAILURES, ids=[each[0] for each in FAILURES])
@pytest.mark.parametrize("operation", ["CreateSecret", "RotateSecret"])
def test_the_same_event_completes_a_new_secret(
    world: World, operation: str, code: str, message: str, kind: type[RotatorsError]
) -> None:
    event = wanted(world)
    with failing(operation, code, message), pytest.raises(kind) as told:
        store.handler(event)
    if operation == "RotateSecret":
        arn = world.secrets.describe_secret(SecretId=event["Name"])["ARN"]
        assert f"the secret {arn} was created" in told.value.cause
        token = re.search(r"ClientRequestToken ([0-9a-f-]{36})", told.value.remedy)
        assert token
        event["ClientRequestToken"] = token[1]
    store.handler(event)
    complete(world, event)


@pytest.mark.parametrize("operation", ["PutSecretValue", "UpdateSecret", "TagResource", "RotateSecret"])
def test_the_same_event_completes_a_changed_secret(world: World, operation: str) -> None:
    event = wanted(world)
    world.secrets.create_secret(Name=event["Name"], SecretString=json.dumps({"old": "value"}))
    with failing(operation, "ThrottlingException"), pytest.raises(ServiceThrottled) as told:
        store.handler(event)
    if operation != "PutSecretValue":
        assert "was stored" in told.value.cause
        token = re.search(r"ClientRequestToken ([0-9a-f-]{36})", told.value.remedy)
        assert token
        event["ClientRequestToken"] = token[1]
    store.handler(event)
    complete(world, event)


def test_an_interrupted_store_error_shows_no_value(world: World) -> None:
    event = wanted(world)
    with (
        failing("RotateSecret", "AccessDeniedException", "not authorized"),
        pytest.raises(AccessDenied) as told,
    ):
        store.handler(event)
    assert told.value.full_code.startswith("access-denied")
    assert event["Value"]["password"] not in str(told.value)


@pytest.mark.parametrize(
    ("arn", "told"),
    [
        ("arn:aws:lambda:us-east-1:123456789012:function:no-such-function", "no function"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:rotators-rotate", "Region"),
        ("arn:aws:sns:us-east-1:123456789012:topic", "Lambda function"),
        ("rotators-rotate", "Lambda function"),
    ],
)
def test_an_unusable_function_stops_before_storing(world: World, arn: str, told: str) -> None:
    event = wanted(world)
    event["Rotation"]["FunctionArn"] = arn
    with pytest.raises(InvalidEvent, match=told):
        store.handler(event)
    with pytest.raises(world.secrets.exceptions.ResourceNotFoundException):
        world.secrets.describe_secret(SecretId=event["Name"])


def test_other_store_errors_report_what_was_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event = wanted(world)
    password = event["Value"]["password"]

    def fail(**_: object) -> None:
        raise RuntimeError(f"broken by {password}")

    monkeypatch.setattr(clients.secrets_manager(), "rotate_secret", fail)
    with pytest.raises(UnexpectedError, match="was created") as caught:
        store.handler(event)
    assert "RuntimeError: broken by ***" in str(caught.value)
    assert password not in "".join(traceback.format_exception(caught.value))
