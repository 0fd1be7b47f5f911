"""The JSON Schemas accept the input of functions and engines, and docs/ contains the command's output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

from rotators.cli import cli
from rotators.cli.errors import SchemaNotFound
from rotators.cli.schema import EVENTS, RECORDS, schema_of, secrets
from rotators.core.contracts import ChecksValues
from rotators.core.errors import InvalidEvent, RotatorsError
from rotators.core.registry import load
from rotators.core.request import RotationRequest
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.handlers.events import RetrieveRequest, StoreRequest
from rotators.handlers.failure_events import FailureEvent
from rotators.handlers.operate import OperateRequest
from rotators.handlers.receipt import read_event
from rotators.handlers.widget import WidgetRequest
from tests.functions.inputs import bounded, events, good_members, scalars, whole

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference" / "schemas"
NAMES = [*EVENTS, *RECORDS, *secrets()]

CHECKED_BY_THE_FUNCTION_ONLY = {
    "operate-bad-option-of-another-action",
    "retrieve-bad-missing-field",
    "retrieve-bad-stage-and-version",
    "retrieve-bad-stage-of-many",
    "retrieve-bad-twice",
    "receipt-bad-time",
    "receipt-bad-without-secret",
    "retrieve-bad-unknown-secret",
    "rotate-bad-unknown-secret",
    "store-bad-base64",
    "store-bad-schedule",
    "store-bad-tags",
    "store-bad-too-large",
}
"""Events that violate a rule that their schema does not contain."""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schema", *arguments])


@cache
def validator_of(name: str) -> Draft202012Validator:
    """A schema is made from models, which takes longer than most tests."""
    return Draft202012Validator(schema_of(name))


def accepts(name: str, document: object) -> bool:
    return bool(validator_of(name).is_valid(document))


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_schema_matches_the_command(name: str) -> None:
    """After an intended change, run this test with UPDATE_DOCS=1."""
    printed, file = run(name).output, FOLDER / f"{name}.json"
    Draft202012Validator.check_schema(json.loads(printed))
    if os.environ.get("UPDATE_DOCS"):
        file.write_text(printed)
    assert printed == file.read_text(), "Run this test with UPDATE_DOCS=1."


def test_only_schemas_are_in_the_folder() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("file", sorted((ROOT / "events").glob("*.json")), ids=lambda file: file.stem)
def test_events_are_accepted_as_by_their_function(file: Path) -> None:
    name = f"{file.stem.partition('-')[0]}-event"
    wrong = "-bad-" in file.stem and file.stem not in CHECKED_BY_THE_FUNCTION_ONLY
    assert accepts(name, json.loads(file.read_text())) is not wrong


def documented_secrets() -> list[dict[str, Any]]:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").rglob("*.md")]
    # Only literals, because programs in the pages build secrets from parts.
    secret = r'\{\s*"engine": "[\w-]+"(?:,\s*"\w+": (?:"[^"]*"|[0-9]+|true|false|null))*\s*\}'
    texts = [text for page in pages for text in re.findall(secret, page.read_text())]
    stored = [json.loads(file.read_text()) for file in (ROOT / "events").glob("store-*.json")]
    values = [event["Value"] for event in stored if "Value" in event]
    return [json.loads(text) for text in texts] + values


def test_secrets_of_the_documentation_are_accepted() -> None:
    found = documented_secrets()
    assert len(found) > 10
    for secret in found:
        # A template has no password: GenerateSecretString adds it.
        assert accepts(secret["engine"], {"password": "generated", **secret}), secret


GOOD = {"engine": "postgres", "host": "db.example.com", "username": "app", "password": "p"}


@pytest.mark.parametrize(
    "changes",
    [
        {"password": None},
        {"password": 5},
        {"password": ""},
        {"host": None},
        {"host": "db.example.com:5432"},
        {"host": "postgres://db.example.com"},
        {"username": ""},
        {"username": "u" * 64},
        {"engine": "mysql"},
        {"port": 0},
        {"port": "0"},
        {"port": 65536},
        {"port": "65536"},
        {"port": True},
        {"port": "5432a"},
        {"admin_port": []},
        {"admin_host": "a b"},
        {"dbname": 5},
        {"ssl": "no"},
        {"clear_text": 1},
        {"strategy": "dual"},
        {"masterarn": {}},
        {"alternate_username": 1},
        {"sslrootcert": False},
        {"server_public_key": []},
    ],
    ids=str,
)
def test_wrong_members_are_refused_by_both(changes: dict[str, Any]) -> None:
    assert accepts("postgres", GOOD)
    assert not accepts("postgres", GOOD | changes)
    assert not checked("postgres", GOOD | changes)


@pytest.mark.parametrize("changes", [{"port": "05432"}, {"port": None, "ssl": "", "masterarn": ""}, {"x": 5}])
def test_members_that_mean_nothing_are_accepted(changes: dict[str, Any]) -> None:
    assert accepts("postgres", GOOD | changes)
    assert checked("postgres", GOOD | changes)


def test_the_names_of_aws_are_accepted() -> None:
    value = {
        "awsSeamlessDomainUsername": "app",
        "awsSeamlessDomainPassword": "p",
        "awsSeamlessDomainDirectoryId": "d-1234567890",
        "host": "dc.example.com",
        "domain": "example.com",
    }
    assert accepts("activedirectory", value)
    assert checked("activedirectory", value)
    for key in ("awsSeamlessDomainUsername", "awsSeamlessDomainPassword"):
        assert not accepts("activedirectory", value | {key: ""})
        assert not checked("activedirectory", value | {key: ""})


def checked(engine: str, value: dict[str, Any]) -> bool:
    """True if the engine's own check accepts a value."""
    rotator = load(engine)
    assert isinstance(rotator, ChecksValues)
    try:
        rotator.check_value(Secret(value), Settings())
    except RotatorsError:
        return False
    return True


members = st.fixed_dictionaries(
    {},
    optional={
        "alternate_username": scalars,
        "admin_host": st.sampled_from(["h", "h:1", "[::1]:5", "a\n", "", "é"]) | scalars,
        "admin_port": st.sampled_from(["1", "65535", "00001", "70000", "1\n", 5.0]) | scalars,
        "clear_text": st.sampled_from(["True", "FALSE", True, "", None]) | scalars,
        "ssl": st.sampled_from(["True", "FALSE", True, "", None]) | scalars,
        "strategy": st.sampled_from(["single", "alternating", "dual", None, ""]),
        "server_public_key": scalars,
        "api_key": st.text(min_size=1),
        "password": scalars,
        "engine": st.sampled_from(["", None, "postgres", "mariadb", "mysql", "acme-keys"]),
    },
)


@pytest.fixture
def with_another_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine of the scaffold is installed too, as acme-keys."""
    another = EntryPoint("acme-keys", "rotators.cli.example.acme_keys.rotator:rotator", "rotators")
    installed = [*entry_points(group="rotators"), another]
    for place in ("rotators.cli.schema", "rotators.core.registry"):
        monkeypatch.setattr(f"{place}.registered", lambda: installed)
    yield
    load.cache_clear()


@pytest.mark.usefixtures("with_another_engine")
@pytest.mark.parametrize("engine", [*secrets(), "acme-keys"])
def test_the_schema_accepts_values_of_the_engine(engine: str) -> None:
    validator = validator_of(engine)

    @bounded(60)
    @given(good_members, members)
    @example(GOOD | {"engine": engine}, {"api_key": "k", "strategy": "dual"})
    @example(GOOD | {"engine": engine}, {"api_key": "k"})
    def agree(value: dict[str, Any], changes: dict[str, Any]) -> None:
        document = whole(value | changes)
        if checked(engine, document):
            assert validator.is_valid(document), [*validator.iter_errors(document)]

    agree()


READ = {
    "rotate": RotationRequest.from_event,
    "store": StoreRequest.from_event,
    "retrieve": RetrieveRequest.from_event,
    "operate": OperateRequest.from_event,
    "notify": FailureEvent.from_event,
    "receipt": read_event,
    "widget": WidgetRequest.from_event,
}


@pytest.mark.parametrize("function", READ)
def test_the_schema_accepts_events_of_the_function(function: str) -> None:
    validator = validator_of(f"{function}-event")

    @bounded(60)
    @given(events(function))
    def agree(event: object) -> None:
        document = whole(event)
        try:
            READ[function](document)
        except InvalidEvent:
            return
        assert validator.is_valid(document)

    agree()


@pytest.mark.usefixtures("with_another_engine")
def test_an_entry_point_engine_has_a_schema() -> None:
    assert "acme-keys" in run().output
    value = {"host": "h", "username": "u", "api_key": "k"}
    assert accepts("acme-keys", value)
    assert accepts("acme-keys", value | {"strategy": "dual"})
    for missing in value:
        assert not accepts("acme-keys", {key: each for key, each in value.items() if key != missing})


def test_the_names_are_listed() -> None:
    shown = run()
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()[: len(NAMES)]] == NAMES
    assert json.loads(run("--json").output) == {
        "events": [*EVENTS],
        "records": [*RECORDS],
        "secrets": secrets(),
    }
    assert json.loads(run("postgres", "--json").output) == schema_of("postgres")


@pytest.mark.parametrize(
    ("name", "meant"), [("postgress", "postgres"), ("pg", "postgres"), ("store", "store-event")]
)
def test_an_unknown_name_suggests_one(name: str, meant: str) -> None:
    with pytest.raises(SchemaNotFound, match=f"did you mean '{meant}'"):
        schema_of(name)


def test_a_rotator_without_an_engine_has_no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.cli.schema.load", lambda _: object())
    with pytest.raises(SchemaNotFound, match="declares no engine"):
        schema_of("postgres")
