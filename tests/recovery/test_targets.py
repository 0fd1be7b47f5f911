"""`rotators doctor` and `repair` send a stored password only to the target that it was stored for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotators.local.servers.postgres import PostgresServer
from rotators.recovery.errors import RepairRefused
from tests.cli.test_doctor_repair import examined, put, run, without_stage
from tests.world import World, new_password

Value = dict[str, Any]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[PostgresServer]:
    """Another server, without the user. It records all login attempts."""
    with PostgresServer(settings={"log_connections": "on"}) as running:
        yield running


def led_away(world: World, elsewhere: PostgresServer, **changes: Any) -> tuple[str, Value]:
    """A secret whose address was changed by someone who cannot read it; its ARN and the real value."""
    user = world.user()
    arn = world.secret({**user, "password": new_password()})
    without_stage(world, arn, {**user, "password": new_password()})
    put(world, arn, user, "AWSCURRENT")
    there = {"host": "localhost", "port": elsewhere.port, "sslrootcert": elsewhere.ca}
    put(world, arn, {**user, **there, "password": new_password(), **changes}, "AWSCURRENT")
    return arn, user


def passwords_tried(server: PostgresServer, user: str) -> int:
    return server.log().count(f'password authentication failed for user "{user}"')


@pytest.mark.parametrize("command", ["doctor", "repair"])
def test_a_changed_address_gets_no_stored_password(
    world: World, elsewhere: PostgresServer, command: str
) -> None:
    arn, user = led_away(world, elsewhere)
    put(world, arn, {**user, "password": new_password()}, "AWSPENDING")
    run(command, arn, "--idle")
    assert passwords_tried(elsewhere, user["username"]) == 1, "only its own value may be tried"


def test_versions_for_other_targets_name_differing_keys(world: World, elsewhere: PostgresServer) -> None:
    arn, user = led_away(world, elsewhere)
    document = examined(arn)
    assert document["state"] == "other-target"
    older = [each for each in document["versions"] if "AWSCURRENT" not in each["stages"]]
    assert {each["trial"] for each in older} == {"foreign"}
    assert all(each["detail"].startswith("stored for another target (") for each in older)
    assert all("host, port" in each["detail"] for each in older if user["host"] != "localhost")
    assert all("port" in each["detail"] and "sslrootcert" in each["detail"] for each in older)
    assert "ALLOWED_TARGETS" in document["action"]
    assert "PutSecretValue" in document["action"]
    assert isinstance(run("repair", arn, "--idle").exception, RepairRefused)


def test_two_spellings_of_a_target_are_one_login(world: World) -> None:
    """Servers lock a user after some rejected logins, so no value is tried twice."""
    user = world.user()
    arn = world.secret(user)
    wrong = {**user, "password": new_password()}
    put(world, arn, {**wrong, "port": str(wrong["port"])}, "AWSPENDING")
    put(world, arn, {**wrong, "host": str(wrong["host"]).upper()}, "AWSCURRENT")
    before = world.logins()
    document = examined(arn)
    assert document["state"] != "other-target", document
    assert world.logins() - before == 2, "the wrong password once, and the right one"


@pytest.mark.parametrize(
    "key", ["host", "port", "ssl", "sslrootcert", "admin_host", "admin_port", "server_public_key"]
)
def test_each_part_of_the_target_counts(world: World, key: str, tmp_path: Path) -> None:
    user = world.user()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(Path(user["sslrootcert"]).read_bytes())
    changed: Value = {
        "host": "127.0.0.1" if user["host"] == "localhost" else "localhost",
        "port": 1,
        "ssl": False,
        "sslrootcert": str(roots),
        "admin_host": "127.0.0.1" if user["host"] == "localhost" else "localhost",
        "admin_port": 1,
        "server_public_key": "another",
    }
    stored = {**user, "ssl": False} if key == "server_public_key" else user
    arn = world.secret(stored)
    put(world, arn, {**stored, "password": new_password(), key: changed[key]}, "AWSCURRENT")
    before = world.logins()
    document = examined(arn)
    trials = {version["stages"][0]: version["trial"] for version in document["versions"]}
    assert trials["AWSPREVIOUS"] == "foreign", document
    assert world.logins() - before <= 2, "only the current value, at each of its addresses"


@pytest.mark.parametrize("stage", ["AWSPENDING", "AWSPREVIOUS"])
@pytest.mark.parametrize("key", ["host", "port"])
def test_another_spelling_is_the_same_target(world: World, key: str, stage: str) -> None:
    user = world.user()
    spelt = {**user, key: {"host": user["host"].upper(), "port": str(user["port"])}[key]}
    lost = {**user, "password": new_password()}
    arn = world.secret(spelt if stage == "AWSPREVIOUS" else lost)
    put(world, arn, *((lost, "AWSCURRENT") if stage == "AWSPREVIOUS" else (spelt, "AWSPENDING")))
    document = examined(arn)
    trials = {version["stages"][0]: version["trial"] for version in document["versions"]}
    assert trials[stage] == "accepted", document
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["password"] == user["password"], "the version must be promoted, and nothing reset"


def test_a_password_follows_within_allowed_targets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = world.secret({**user, "host": "before-the-move.example"})
    put(world, arn, {**user, "password": new_password()}, "AWSCURRENT")
    assert examined(arn)["state"] == "other-target"
    monkeypatch.setenv("ALLOWED_TARGETS", f"before-the-move.example,{user['host']}")
    assert examined(arn)["state"] == "reset-by-older"
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["host"] == user["host"]
    assert world.logs_in(world.value(arn))


def test_a_forbidden_target_gets_no_login(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = world.secret(world.user())
    before = world.logins()
    monkeypatch.setenv("ALLOWED_TARGETS", "db.example")
    document = examined(arn)
    assert document["state"] == "faulty-secret"
    assert "not in ALLOWED_TARGETS" in document["sentence"]
    assert world.logins() == before
