"""`rotators doctor` and `rotators repair` first report faults of the secret itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotators.core.errors import SecretFormatError
from rotators.recovery.errors import RepairRefused
from rotators.testing._case import STEPS
from tests.cli.test_doctor_repair import examined, put, run
from tests.world import World, new_password, unique

Value = dict[str, Any]

FAULTS: list[tuple[str, Value, str]] = [
    ("a strategy with a typing error", {"strategy": "alternate"}, "did you mean 'alternating'?"),
    ("a strategy of another engine", {"strategy": "dual"}, "this engine offers: alternating, single"),
    ("an engine by its driver's name", {"engine": "postgresql"}, "did you mean 'postgres'?"),
    ("an engine by a short name", {"engine": "pg"}, "did you mean 'postgres'?"),
    ("an engine that is not rotated", {"engine": "mssql"}, "no rotator is registered as 'mssql';"),
    ("an engine with a typing error", {"engine": "postgers"}, "did you mean 'postgres'?"),
    ("a host with a port", {"host": "localhost:5432"}, "key 'host' of the secret also contains a port"),
    ("an address with a port", {"host": "[::1]:5432"}, "key 'host' of the secret also contains a port"),
    ("a host with a blank", {"host": "localhost "}, "key 'host' of the secret contains blanks"),
    ("a URL as host", {"host": "postgresql://localhost"}, "key 'host' of the secret is a URL or a path"),
    ("a host of another kind", {"host": 5}, "key 'host' of the secret must be a non-empty string"),
    ("no host", {"host": None}, "Key is missing from secret JSON: 'host' (its value is null or empty)"),
    ("a password of another kind", {"password": 5}, "key 'password' of the secret must be"),
    ("a port that is none", {"port": "about 5432"}, "key 'port' of the secret must be a number"),
    (
        "an admin's port that is none",
        {"admin_port": 70000},
        "key 'admin_port' of the secret must be a number",
    ),
    (
        "an admin's host with a port",
        {"admin_host": "db:1"},
        "key 'admin_host' of the secret also contains a port",
    ),
    ("TLS that is neither", {"ssl": "maybe"}, "key 'ssl' of the secret must be true or false"),
    ("an engine that is missing", {"engine": ""}, "Key is missing from secret JSON: 'engine'"),
    ("a database of another kind", {"dbname": 5}, "key 'dbname' of the secret must be a non-empty string"),
]


@pytest.mark.parametrize(("changes", "said"), [pytest.param(*rest, id=name) for name, *rest in FAULTS])
def test_a_fault_is_named_before_any_login(world: World, changes: Value, said: str) -> None:
    user = world.user()
    arn = world.secret({**user, **changes})
    before = world.logins()
    document = examined(arn)
    assert document["state"] == "faulty-secret"
    assert said in document["sentence"]
    assert "administrator" not in document["action"], "the password need not change"
    assert document["repair"] == []
    result = run("repair", arn, "--idle")
    assert isinstance(result.exception, RepairRefused)
    assert said in str(result.exception)
    assert world.logins() == before
    assert world.logs_in(user)


def test_a_missing_key_is_named_with_its_typo(world: World) -> None:
    user = world.user()
    arn = world.secret({**{key: value for key, value in user.items() if key != "host"}, "Host": user["host"]})
    assert "there is 'Host'; keys are case-sensitive" in examined(arn)["sentence"]


def test_a_fault_is_named_despite_working_versions(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    put(world, arn, {**user, "strategy": "singel"}, "AWSCURRENT")
    document = examined(arn)
    assert document["state"] == "faulty-secret"
    assert "did you mean 'single'?" in document["sentence"]


def test_a_key_that_is_not_read_is_reported(world: World) -> None:
    arn = world.secret({**world.user(), "masterArn": "arn:x"})
    document = examined(arn)
    assert document["healthy"]
    assert any("'masterArn'" in note and "'masterarn' is meant" in note for note in document["notes"])


def test_a_strategy_without_its_admin_is_reported(world: World) -> None:
    arn = world.secret({**world.user(), "strategy": "alternating"})
    assert any("names no masterarn" in note for note in examined(arn)["notes"])


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(
    "key", ["dbname", "masterarn", "strategy", "alternate_username", "admin_host", "admin_port", "ssl"]
)
def test_null_or_empty_is_absent(world: World, key: str, empty: str | None) -> None:
    arn = world.secret({**world.user(), key: empty})
    assert world.rotate(arn)[key] == empty, "the rotation must store it unchanged"
    assert examined(arn)["healthy"]


def test_a_null_port_is_the_engines_default(world: World) -> None:
    arn = world.secret({**world.user(), "host": "no-such-host.invalid", "port": None})
    document = examined(arn)
    assert "no-such-host.invalid" in json.dumps(document)
    assert document["state"] == "unsure"


@pytest.mark.parametrize("host", ["localhost:5432", " localhost", "postgresql://localhost/x"])
def test_a_rotation_stores_nothing_for_a_bad_host(world: World, host: str) -> None:
    arn = world.secret({**world.user(), "host": host})
    token = world.begin(arn)
    with pytest.raises(SecretFormatError, match="key 'host'"):
        world.step(STEPS[0], arn, token)


def test_check_names_a_fault_without_any_login(world: World) -> None:
    name = unique("check")
    world.secrets.create_secret(Name=name, SecretString=json.dumps({**world.user(), "strategy": "alternate"}))
    before = world.logins()
    document = json.loads(run("check", name, "--json").stdout)
    failed = [each for each in document["checks"] if each["result"] == "failed"]
    assert [each["name"] for each in failed] == ["the value"]
    assert "did you mean 'alternating'?" in failed[0]["detail"]
    assert world.logins() == before


def test_an_accepted_value_replaces_one_without_json(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    world.secrets.put_secret_value(SecretId=arn, SecretString="not JSON")
    document = examined(arn)
    assert document["state"] == "restore-older"
    assert "is not JSON" in document["sentence"]
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["password"] == user["password"]


def test_a_value_without_json_is_reported(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "password": new_password()})
    world.secrets.put_secret_value(SecretId=arn, SecretString="not JSON")
    document = examined(arn)
    assert document["state"] == "unreadable"
    assert "administrator" not in document["action"]
