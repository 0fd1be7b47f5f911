"""Every event file of store and retrieve has the effect that its name states."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions import retrieve, store
from rotators.core.errors import InvalidEvent, InvalidInput, SecretNotFound

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

EVENTS = Path(__file__).parents[2] / "events"


def files(pattern: str, *, bad: bool) -> list[Any]:
    found = sorted(path for path in EVENTS.glob(pattern) if ("-bad-" in path.name) == bad)
    assert found
    return [pytest.param(path, id=path.stem) for path in found]


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def create_key(alias: str) -> None:
    """Create the key that an event names, as `rotators up` does."""
    with contextlib.closing(boto3.client("kms", region_name="eu-west-1")) as kms:
        kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])


@pytest.mark.usefixtures("rotations")
@pytest.mark.parametrize("path", files("store-*.json", bad=False))
def test_a_store_event_stores_its_value(path: Path, manager: SecretsManagerClient) -> None:
    # The events name a function in the default Region of `rotators up`.
    event = json.loads(path.read_text().replace("us-east-1", "eu-west-1"))
    if "KmsKeyId" in event:
        create_key(event["KmsKeyId"])
    answer = store.handler(event)
    stored = manager.get_secret_value(SecretId=event["Name"], VersionId=answer["VersionId"])
    assert answer["Action"] == "created"
    assert answer["RotationEnabled"] == ("Rotation" in event)
    if "Value" in event:
        assert json.loads(stored["SecretString"]) == event["Value"]
    else:
        assert "SecretString" in event or "SecretBinary" in event
    assert store.handler(event)["VersionStages"] == ["AWSCURRENT"]


@pytest.mark.parametrize("path", files("store-*.json", bad=True))
def test_a_bad_store_event_calls_nothing(path: Path, calls: list[str]) -> None:
    with pytest.raises(InvalidEvent):
        store.handler(read(path))
    assert calls == []


@pytest.fixture
def shop(manager: SecretsManagerClient) -> SecretsManagerClient:
    """The secrets that the retrieve events name; shop/db has a previous version."""
    for name in ("store-json", "store-update", "store-string", "store-binary"):
        store.handler(read(EVENTS / f"{name}.json"))
    return manager


@pytest.mark.parametrize("path", files("retrieve-*.json", bad=False))
def test_a_retrieve_event_returns_the_requested_members(path: Path, shop: SecretsManagerClient) -> None:
    event = read(path)
    if event.get("SecretId", "").startswith("arn:"):
        # The service chooses the last six characters.
        event["SecretId"] = shop.describe_secret(SecretId="shop/db")["ARN"]
    answer = retrieve.handler(event)
    if "SecretIds" in event:
        assert len(answer["Secrets"]) + len(answer["Errors"]) == len(event["SecretIds"])
        assert answer["Secrets"]
        return
    assert answer["Name"] == "shop/db"
    assert event.get("VersionStage", "AWSCURRENT") in answer["VersionStages"] or "VersionId" in event
    assert answer["VersionId"] == event.get("VersionId", answer["VersionId"])
    assert list(answer["Value"]) == event.get("Fields", list(answer["Value"]))


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("path", files("retrieve-*.json", bad=True))
def test_a_bad_retrieve_event_is_refused(path: Path) -> None:
    with pytest.raises((InvalidInput, SecretNotFound)):
        retrieve.handler(read(path))
