"""Which stored passwords setSecret tries, on a real PostgreSQL: the order, how many, and where."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected
from rotators.local.inprocess import InProcessFunction
from tests.postgres.hostile import Hostile, message, request
from tests.world import STEPS, World, new_password


def stored(world: World, arn: str, value: dict[str, Any]) -> None:
    """Store a value as AWSCURRENT, as somebody does who may write the secret."""
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))


def with_wrong_versions(world: World, count: int) -> str:
    """A secret whose newest versions hold wrong passwords; the oldest one works."""
    user = world.user()
    arn = world.secret(user)
    for _ in range(count):
        stored(world, arn, {**user, "password": new_password()})
    return arn


def begun(world: World, arn: str) -> str:
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    return token


def rejected_logins(capsys: pytest.CaptureFixture[str]) -> int:
    """What the last log line of a step counts."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "rejected_logins" in line]
    return int(lines[-1]["rejected_logins"])


def test_a_lost_version_is_tried_before_those_that_were_replaced(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = world.secret(world.user())
    for _ in range(3):
        world.rotate(arn)
    lost = begun(world, arn)
    world.step("setSecret", arn, lost)
    world.drop_pending(arn, lost)
    world.step("setSecret", arn, begun(world, arn))
    assert rejected_logins(capsys) == 1, "only the current password is known to be wrong"


def test_a_retry_in_a_new_container_tries_the_pending_value_first(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = world.secret(world.user())
    token = begun(world, arn)
    world.step("setSecret", arn, token)
    InProcessFunction().restart()
    world.step("setSecret", arn, token)
    assert rejected_logins(capsys) == 1


def test_a_step_is_rejected_four_times_and_names_what_it_did_not_try(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = with_wrong_versions(world, 6)
    world.set_password(world.value(arn)["username"], new_password())
    with pytest.raises(
        CredentialsRejected, match="not tried, to keep the account from being locked"
    ) as caught:
        world.step("setSecret", arn, begun(world, arn))
    assert rejected_logins(capsys) == 4
    assert "MAX_REJECTED_LOGINS" in caught.value.remedy


@pytest.mark.parametrize("limit", [2, 3, 9])
def test_the_limit_is_a_setting(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setenv("MAX_REJECTED_LOGINS", str(limit))
    arn = with_wrong_versions(world, 8)
    world.set_password(world.value(arn)["username"], new_password())
    with pytest.raises(CredentialsRejected):
        world.step("setSecret", arn, begun(world, arn))
    assert rejected_logins(capsys) == limit


def test_with_a_higher_limit_every_version_is_found_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "20")
    arn = with_wrong_versions(world, 8)
    assert world.logs_in(world.rotate(arn))


@pytest.mark.parametrize("change", ["host", "admin_host", "sslrootcert"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_password_does_not_follow_a_changed_target(
    world: World, tmp_path: Path, change: str, *, labelled: bool
) -> None:
    """The server answers there too, so a password that is sent there would be accepted and changed."""
    user = world.user()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(Path(user["sslrootcert"]).read_bytes())
    arn = world.secret(user)
    for _ in range(1 if labelled else 2):
        value = str(roots) if change == "sslrootcert" else "127.0.0.1"
        stored(world, arn, {**user, change: value, "password": new_password()})
    with pytest.raises(CredentialsRejected):
        world.step("setSecret", arn, begun(world, arn))
    assert world.logs_in(user)


def test_the_error_says_that_versions_belong_to_another_target_and_what_to_do(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    stored(world, arn, {**user, "host": "127.0.0.1", "password": new_password()})
    with pytest.raises(CredentialsRejected) as caught:
        world.step("setSecret", arn, begun(world, arn))
    assert "stored for another target, so not tried: previous" in caught.value.cause
    assert "ALLOWED_TARGETS" in caught.value.remedy


def test_within_allowed_targets_a_password_follows_a_database_that_moved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.user()
    old = {**user, "host": "old.db.internal"}
    arn = world.secret(old)
    stored(world, arn, {**user, "password": new_password()})
    monkeypatch.setenv("ALLOWED_TARGETS", f".db.internal,{user['host']}")
    assert world.logs_in(world.rotate(arn))


def test_a_finish_out_of_order_promotes_nothing(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    token = begun(world, arn)
    with pytest.raises(CredentialsRejected):
        world.step("finishSecret", arn, token)
    assert world.value(arn) == user
    for step in STEPS[1:]:
        world.step(step, arn, token)
    assert world.logs_in(world.value(arn))


def proof(password: str) -> bytes:
    """What a client answers to a request for MD5 (PostgreSQL manual, AuthenticationMD5Password)."""
    inner = hashlib.md5(f"{password}app".encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + b"salt", usedforsecurity=False).hexdigest().encode() + b"\0"


@pytest.mark.parametrize("engine", ["postgres", "aurora-postgresql"])
def test_a_server_elsewhere_gets_nothing_made_from_a_stored_password(world: World, engine: str) -> None:
    """It rejects everybody, so that the rotation goes on to the next password."""
    rejected = message(b"E", b"SFATAL\0C28P01\0Mpassword authentication failed\0\0")
    with Hostile([request(5, b"salt"), rejected]) as server:
        real = {"engine": engine, "host": "db.internal", "username": "app", "password": new_password()}
        older = {**real, "password": new_password()}
        there = {"host": "127.0.0.1", "port": server.port, "ssl": False}
        planted = {**real, **there, "password": new_password()}
        arn = world.secret(older)
        for value in (real, planted):
            stored(world, arn, value)
        with pytest.raises(CredentialsRejected, match="stored for another target"):
            world.step("setSecret", arn, begun(world, arn))
    assert proof(planted["password"]) in server.received, "what was stored with the address was tried"
    assert proof(real["password"]) not in server.received
    assert proof(older["password"]) not in server.received
