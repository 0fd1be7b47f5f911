from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def functions_of_these_tests(aws: LocalAws) -> None:
    """The local AWS of the run, with small functions of these tests; `well` is a rotation that works."""
    aws.register("well", "tests.local.handlers.rotate")
    aws.register("echo", "tests.local.handlers.echo")
    aws.register("misbehave", "tests.local.handlers.misbehave")


@pytest.fixture(scope="module")
def secrets(aws: LocalAws) -> Any:
    return aws.client("secretsmanager")


@pytest.fixture(autouse=True)
def settings_put_back(aws: LocalAws) -> Iterator[None]:
    yield
    aws.on_step, aws.event_deliveries = None, 1


@pytest.fixture
def make(secrets: Any) -> Callable[..., str]:
    """Create a secret whose JSON has a password and the given keys; return its ARN."""

    def create(**keys: Any) -> str:
        value = json.dumps({"password": "first", **keys})
        return str(secrets.create_secret(Name=f"local/{next(_numbers)}", SecretString=value)["ARN"])

    return create


@pytest.fixture
def rotate(aws: LocalAws, secrets: Any) -> Callable[..., str]:
    """Call RotateSecret, by default with the function that works; return the token."""

    def call(arn: str, **params: Any) -> str:
        params.setdefault("RotationLambdaARN", aws.function_arn("well"))
        params.setdefault("ClientRequestToken", str(uuid.uuid4()))
        return str(secrets.rotate_secret(SecretId=arn, **params)["VersionId"])

    return call


@pytest.fixture
def stages(secrets: Any) -> Callable[[str], dict[str, list[str]]]:
    """The stages of each version, from DescribeSecret."""

    def read(arn: str) -> dict[str, list[str]]:
        found = secrets.describe_secret(SecretId=arn).get("VersionIdsToStages", {})
        return {version: sorted(held) for version, held in found.items()}

    return read


@pytest.fixture
def raw(secrets: Any) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Send a request of Secrets Manager without an SDK; return status and body of the answer."""

    def send(operation: str, **params: Any) -> tuple[int, dict[str, Any]]:
        headers = {
            "X-Amz-Target": f"secretsmanager.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/secretsmanager/aws4_request",
        }
        connection = http.client.HTTPConnection(secrets.meta.endpoint_url.removeprefix("http://"))
        with contextlib.closing(connection):
            connection.request("POST", "/", json.dumps(params), headers)
            answer = connection.getresponse()
            return answer.status, json.load(answer)

    return send


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call and expect a refusal; return `Code: message`."""

    def call(operation: Callable[..., Any], **params: Any) -> str:
        with pytest.raises(ClientError) as caught:
            operation(**params)
        error = caught.value.response["Error"]
        return f"{error['Code']}: {error['Message']}"

    return call
