"""A value that names an installed engine is checked by the engine's rules before any call."""

from __future__ import annotations

import json
import traceback
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from functions.store import handler
from rotators.core import registry
from rotators.core.errors import (
    ConfigurationError,
    IdentityMismatch,
    InvalidEvent,
    RotatorsError,
    SecretFormatError,
)

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

VALUE = {"engine": "postgres", "host": "db", "username": "app", "password": "s3cr3t-Pa55"}


def stored(value: object, **more: Any) -> dict[str, Any]:
    return handler({"Name": "app/db", "Value": value, **more})


def without(member: str) -> dict[str, Any]:
    return {key: value for key, value in VALUE.items() if key != member}


@pytest.mark.parametrize(
    ("value", "member"),
    [
        (without("host"), "host"),
        (without("username"), "username"),
        (without("password"), "password"),
        (VALUE | {"password": ""}, "password"),
        (VALUE | {"password": ["s3cr3t-Pa55"]}, "password"),
        (VALUE | {"port": "s3cr3t-Pa55"}, "port"),
        (VALUE | {"host": "s3cr3t-Pa55/"}, "host"),
        (VALUE | {"ssl": "s3cr3t-Pa55"}, "ssl"),
        (VALUE | {"masterarn": 5}, "masterarn"),
        (without("password") | {"strategy": "s3cr3t-Pa55", "password": "x"}, "strategy"),
        (VALUE | {"strategy": "dual"}, "strategy"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_wrong_member_is_named_and_nothing_called(
    calls: list[str], value: dict[str, Any], member: str, as_text: bool
) -> None:
    content = {"SecretString": json.dumps(value)} if as_text else {"Value": value}
    with pytest.raises(SecretFormatError) as caught:
        handler({"Name": "app/db", **content})
    assert f"'{member}'" in caught.value.cause
    assert "VALIDATE_SECRETS=false" in caught.value.remedy
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert calls == []


def test_a_complete_value_is_stored(manager: SecretsManagerClient) -> None:
    assert stored(VALUE | {"port": "5432", "masterarn": None, "more": [1]})["Warnings"] == []
    assert json.loads(manager.get_secret_value(SecretId="app/db")["SecretString"])["more"] == [1]


@pytest.mark.usefixtures("manager")
def test_targets_that_are_not_allowed_are_refused(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    monkeypatch.setenv("ALLOWED_TARGETS", "db.example.com")
    with pytest.raises(IdentityMismatch, match="ALLOWED_TARGETS"):
        stored(VALUE)
    assert calls == []
    assert stored(VALUE | {"host": "DB.example.com"})["Action"] == "created"


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize("value", [{"a": "b"}, without("engine"), VALUE | {"engine": ""}, {"engine": 5}, {}])
def test_values_that_name_no_engine_are_stored(value: dict[str, Any]) -> None:
    answer = stored(value)
    assert (answer["Action"], answer["Warnings"]) == ("created", [])


@pytest.mark.usefixtures("manager")
def test_an_unknown_engines_value_is_stored_with_warning() -> None:
    answer = stored({"engine": "kq7Zw-nobodys-engine"})
    assert answer["Action"] == "created"
    assert [warning for warning in answer["Warnings"] if "not checked" in warning and "kq7Zw" not in warning]


@pytest.mark.usefixtures("manager")
def test_a_value_is_stored_without_the_engines_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.load.cache_clear()
    monkeypatch.setattr("rotators.strategies.rotator.find_spec", lambda _: None)
    assert "not checked" in stored({"engine": "postgres"})["Warnings"][0]


class Unchecking:
    """A rotator that cannot check a value without a login."""

    def propose(self, rotation: Any) -> Any: ...
    def apply(self, rotation: Any) -> None: ...
    def verify(self, rotation: Any) -> None: ...


class Failing(Unchecking):
    """A rotator with a defect in its check."""

    def check_value(self, value: Any, settings: Any) -> None:
        del settings
        raise ValueError(f"bad {value['password']}")


def installed(monkeypatch: pytest.MonkeyPatch, rotator: type[Unchecking]) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: rotator)
    entry = EntryPoint("others", "nowhere:rotator", "rotators")
    monkeypatch.setattr(registry, "registered", lambda: [entry])
    registry.load.cache_clear()


@pytest.mark.usefixtures("manager")
def test_a_rotator_without_a_check_accepts_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, Unchecking)
    answer = stored({"engine": "others"})
    assert (answer["Action"], answer["Warnings"]) == ("created", [])


@pytest.mark.usefixtures("manager")
def test_a_check_that_fails_shows_no_value(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    installed(monkeypatch, Failing)
    with pytest.raises(RotatorsError) as caught:
        stored(VALUE | {"engine": "others"})
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    assert calls == []


@pytest.mark.usefixtures("manager")
def test_the_environment_turns_the_check_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALIDATE_SECRETS", "false")
    answer = stored({"engine": "postgres"})
    assert (answer["Action"], answer["Warnings"]) == ("created", [])


def test_an_event_cannot_turn_the_check_off(calls: list[str]) -> None:
    with pytest.raises(InvalidEvent):
        stored({"engine": "postgres"}, ValidateSecrets=False)
    assert calls == []


def test_the_environment_must_be_true_or_false(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    monkeypatch.setenv("VALIDATE_SECRETS", "maybe")
    with pytest.raises(ConfigurationError, match="VALIDATE_SECRETS"):
        stored({"a": "b"})
    assert calls == []


@pytest.fixture(autouse=True)
def forget_rotators() -> Any:
    """Remove the rotators that a test has loaded."""
    yield
    registry.load.cache_clear()
