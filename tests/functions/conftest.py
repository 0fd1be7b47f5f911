"""A local Secrets Manager for the functions' tests, and a check of everything that they print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from rotators.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from rotators.local.aws import LocalAws

SENSITIVE = ("s3cr3t-Pa55", "Initial-Pa55", "kq7Zw", "BQIAAABH")
"""Parts of every value in these tests and in events/."""


@pytest.fixture
def endpoint(aws: LocalAws) -> str:
    return aws.endpoint


@pytest.fixture
def manager(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerClient:
    """Secrets Manager in an empty Region, with the client that the functions use and empty caches."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "0")
    client = clients.secrets_manager()
    for page in client.get_paginator("list_secrets").paginate(IncludePlannedDeletion=True):
        for secret in page["SecretList"]:
            _delete(client, secret["ARN"])
    return client


def _delete(client: SecretsManagerClient, arn: str) -> None:
    """Delete a secret of another test, which may have replicas, or be one."""
    described = client.describe_secret(SecretId=arn)
    replicas = [each["Region"] for each in described.get("ReplicationStatus", [])]
    if described.get("PrimaryRegion", client.meta.region_name) != client.meta.region_name:
        client.stop_replication_to_replica(SecretId=arn)
    elif replicas:
        client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=replicas)
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def calls(manager: SecretsManagerClient) -> Iterator[list[str]]:
    """The names of the called operations, in order."""
    names: list[str] = []

    def record(model: Any, **_: object) -> None:
        names.append(model.name)

    events = [manager.meta.events, clients.secrets_reader().meta.events]
    for each in events:
        each.register("before-call.secrets-manager", record)
    yield names
    for each in events:
        each.unregister("before-call.secrets-manager", record)


@pytest.fixture
def functions(aws: LocalAws) -> None:
    """Rotation functions in the Region of `manager`."""
    from rotators.local.functions.own import create_function  # noqa: PLC0415 - it imports moto

    for name in ("rotate", "rotators-rotate"):
        create_function("eu-west-1", name, "functions.rotate.handler", {})


@pytest.fixture
def rotations(manager: SecretsManagerClient, functions: None) -> Iterator[list[dict[str, Any]]]:
    """The parameters of each RotateSecret. The fixture answers it, so no rotation runs."""
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append({name: value for name, value in params.items() if name != "ClientRequestToken"})

    def answer(**_: object) -> tuple[Any, dict[str, Any]]:
        return type("Response", (), {"status_code": 200})(), {"VersionId": "v" * 32}

    manager.meta.events.register("provide-client-params.secrets-manager.RotateSecret", note)
    # botocore-stubs do not declare that a returned answer replaces the service's.
    manager.meta.events.register("before-call.secrets-manager.RotateSecret", answer)  # type: ignore[arg-type]
    yield asked
    manager.meta.events.unregister("provide-client-params.secrets-manager.RotateSecret", note)
    manager.meta.events.unregister("before-call.secrets-manager.RotateSecret", answer)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nothing_printed(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if a test of this folder prints or logs a part of a value."""
    yield
    captured = capsys.readouterr()
    for part in SENSITIVE:
        assert part not in captured.out + captured.err + caplog.text
