from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws

_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    functions = {name: f"tests.local.handlers.{name}" for name in ("rotate", "echo", "misbehave")}
    with LocalAws(functions=functions, environment={"FROM_STACK": "yes"}) as started:
        yield started


@pytest.fixture(scope="module")
def secrets(aws: LocalAws) -> Any:
    return aws.client("secretsmanager")


@pytest.fixture(autouse=True)
def _unchanged(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "aws" in request.fixturenames:
        started: LocalAws = request.getfixturevalue("aws")
        started.pending_in_test, started.on_step = "empty", None


@pytest.fixture
def make(secrets: Any) -> Callable[..., str]:
    """Create a secret whose JSON has a password and the given keys; gives its ARN."""

    def create(**keys: Any) -> str:
        value = json.dumps({"password": "first", **keys})
        return str(secrets.create_secret(Name=f"secret/{next(_numbers)}", SecretString=value)["ARN"])

    return create


@pytest.fixture
def rotate(aws: LocalAws, secrets: Any) -> Callable[..., str]:
    """Call RotateSecret with the well-behaved function unless told otherwise; gives the token."""

    def call(arn: str, **params: Any) -> str:
        params.setdefault("RotationLambdaARN", aws.function_arn("rotate"))
        params.setdefault("ClientRequestToken", str(uuid.uuid4()))
        return str(secrets.rotate_secret(SecretId=arn, **params)["VersionId"])

    return call


@pytest.fixture
def stages(secrets: Any) -> Callable[[str], dict[str, list[str]]]:
    """The labels of each version, as DescribeSecret has them."""

    def read(arn: str) -> dict[str, list[str]]:
        found = secrets.describe_secret(SecretId=arn).get("VersionIdsToStages", {})
        return {version: sorted(labels) for version, labels in found.items()}

    return read


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call and expect a refusal; gives `Code: message`."""

    def call(operation: Callable[..., Any], **params: Any) -> str:
        with pytest.raises(ClientError) as caught:
            operation(**params)
        error = caught.value.response["Error"]
        return f"{error['Code']}: {error['Message']}"

    return call
