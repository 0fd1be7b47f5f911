"""The functions that store and retrieve, with sealed values."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from functions.operate import handler as operate
from functions.retrieve import handler as retrieve
from functions.store import handler as store
from rotators.core.errors import AccessDenied, LimitExceeded, SealedValueError
from rotators.local.inprocess import InProcessFunction
from tests.sealing.conftest import Sealed
from tests.world import World, new_password, unique


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "0")


def event(**changes: Any) -> dict[str, Any]:
    value = {"username": "app", "password": new_password()}
    return {"Name": unique("stored"), "Value": value, **changes}


def test_stored_values_are_sealed(sealed: Sealed) -> None:
    given = event()
    answer = store(given)
    assert json.loads(sealed.raw(answer["ARN"])).keys() == {"rotators-sealed"}
    assert retrieve({"SecretId": given["Name"]})["Value"] == given["Value"]
    many = retrieve({"SecretIds": [given["Name"]], "Fields": ["username"]})
    assert many["Secrets"][0]["Value"] == {"username": "app"}
    assert store({**given, "Value": {"password": new_password()}})["Action"] == "updated"


def test_a_repeated_token_completes_the_work(sealed: Sealed) -> None:
    given = event(ClientRequestToken=str(uuid.uuid4()))
    first = store(given)
    again = store({**given, "Description": "more"})
    assert again["VersionId"] == first["VersionId"]
    assert again["Action"] == "updated"
    assert "not compared" in again["Warnings"][0]
    assert sealed.value(first["ARN"]) == given["Value"]


def test_an_old_token_stores_nothing(sealed: Sealed) -> None:
    """An event that Lambda repeats hours later: its version has lost its stages to newer ones."""
    given = event(ClientRequestToken=str(uuid.uuid4()))
    arn = store(given)["ARN"]
    newer = [event(Name=given["Name"]) for _ in range(2)]
    for each in newer:
        store(each)
    again = store(given)
    assert (again["Action"], again["VersionStages"]) == ("unchanged", [])
    assert "not compared" in again["Warnings"][0]
    assert sealed.value(arn) == newer[-1]["Value"]


def test_storing_never_opens_a_value(sealed: Sealed) -> None:
    sealed.deny("kms:Decrypt", "secretsmanager:GetSecretValue")
    given = event()
    arn = store(given)["ARN"]
    assert store({**given, "Value": {"password": new_password()}})["Action"] == "updated"
    sealed.allow()
    assert json.loads(sealed.raw(arn)).keys() == {"rotators-sealed"}


def test_a_key_that_refuses_stores_nothing(world: World, own_key: Sealed) -> None:
    own_key.deny("kms:GenerateDataKey")
    given = event()
    with pytest.raises(AccessDenied):
        store(given)
    own_key.allow()
    with pytest.raises(world.secrets.exceptions.ResourceNotFoundException):
        world.secrets.describe_secret(SecretId=given["Name"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Value": None, "SecretBinary": base64.b64encode(b"bytes").decode()}, SealedValueError),
        ({"Value": None, "SecretString": '{"rotators-sealed": "AgV4"}'}, SealedValueError),
        ({"Value": {"text": "x" * 49_000}}, LimitExceeded),
    ],
)
def test_values_that_cannot_be_sealed_are_refused(
    sealed: Sealed, changes: dict[str, Any], error: type[Exception]
) -> None:
    given = {name: value for name, value in event(**changes).items() if value is not None}
    with pytest.raises(error):
        store(given)


def test_retrieving_without_keys_is_refused(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    given = event()
    store(given)
    monkeypatch.delenv("SEALING_KEYS")
    with pytest.raises(SealedValueError):
        retrieve({"SecretId": given["Name"]})
    (failure,) = retrieve({"SecretIds": [given["Name"]]})["Errors"]
    assert failure["Code"] == "sealed-value/no-keys"
    assert given["Value"]["password"] not in str(failure)


def test_the_operate_function_opens_values(world: World, sealed: Sealed) -> None:
    arn = sealed.secret(world.user(), rotates=True)
    InProcessFunction().restart()
    assert operate({"Action": "doctor", "SecretId": arn})["healthy"]
