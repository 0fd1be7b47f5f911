"""A Secrets Manager on this machine for the functions' tests, and a watch on everything they print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from rotators.aws import clients

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SENSITIVE = ("s3cr3t-Pa55", "Initial-Pa55", "kq7Zw", "BQIAAABH")
"""Parts of every value in these tests and in events/."""


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerClient:
    """An empty account; gives the client that the functions use too. Nothing is remembered between calls."""
    with urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")):  # noqa: S310 - our own server
        pass
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "SECRETS_MANAGER_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "0")
    return clients.secrets_manager()


@pytest.fixture
def calls(aws: SecretsManagerClient) -> Iterator[list[str]]:
    """The names of the operations called, in order."""
    names: list[str] = []

    def record(model: Any, **_: object) -> None:
        names.append(model.name)

    aws.meta.events.register("before-call.secrets-manager", record)
    yield names
    aws.meta.events.unregister("before-call.secrets-manager", record)


@pytest.fixture
def rotations(aws: SecretsManagerClient) -> Iterator[list[dict[str, Any]]]:
    """The parameters of each RotateSecret, which is answered here: moto needs a Lambda function for it."""
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append({name: value for name, value in params.items() if name != "ClientRequestToken"})

    def answer(**_: object) -> tuple[Any, dict[str, Any]]:
        return type("Response", (), {"status_code": 200})(), {"VersionId": "v" * 32}

    aws.meta.events.register("provide-client-params.secrets-manager.RotateSecret", note)
    # botocore-stubs do not know that an answer given here stands for the service's.
    aws.meta.events.register("before-call.secrets-manager.RotateSecret", answer)  # type: ignore[arg-type]
    yield asked
    aws.meta.events.unregister("provide-client-params.secrets-manager.RotateSecret", note)
    aws.meta.events.unregister("before-call.secrets-manager.RotateSecret", answer)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nothing_printed(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test here may print or log a part of a value."""
    yield
    captured = capsys.readouterr()
    for part in SENSITIVE:
        assert part not in captured.out + captured.err + caplog.text
