"""MariaDB locks accounts after wrong passwords: rotations stay below that limit, and recover."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected
from rotators.local.inprocess import InProcessFunction
from rotators.testing._case import STEPS
from tests.mysql.conftest import MariaDbWorld
from tests.mysql.fake_server import fake_server, greeting
from tests.world import new_password


@pytest.fixture(autouse=True)
def limit(request: pytest.FixtureRequest, world: MariaDbWorld) -> Iterator[None]:
    """A server that refuses every login of a user after a number of consecutive wrong passwords."""
    world.run(f"SET GLOBAL max_password_errors = {getattr(request, 'param', 'DEFAULT')}")
    yield
    world.run("SET GLOBAL max_password_errors = DEFAULT")
    world.run("FLUSH PRIVILEGES")  # resets the counts


def with_wrong_versions(world: MariaDbWorld, value: dict[str, Any]) -> str:
    """A secret whose six newest versions contain wrong passwords; the oldest one works."""
    arn = world.secret(value)
    for _ in range(6):
        wrong = json.dumps({**value, "password": new_password()})
        world.secrets.put_secret_value(SecretId=arn, SecretString=wrong)
    return arn


@pytest.mark.parametrize("limit", [3], indirect=True)
@pytest.mark.parametrize("container", ["warm", "fresh"])
def test_a_lost_password_is_found_before_account_locking(world: MariaDbWorld, container: str) -> None:
    arn = world.secret({**world.account(), "strategy": "single"})
    for _ in range(3):
        world.rotate(arn)
    lost = world.begun(arn)
    world.step("setSecret", arn, lost)
    world.of(arn).drop_pending(lost)
    token = world.begun(arn)
    if container == "fresh":
        InProcessFunction().restart()
    for step in STEPS[1:]:
        world.step(step, arn, token)
    assert world.logs_in(world.value(arn))


@pytest.mark.parametrize("limit", [3], indirect=True)
def test_with_an_admin_wrong_versions_never_lock_accounts(world: MariaDbWorld) -> None:
    """The admin reads the limit after the first rejection, so the user can still log in afterwards."""
    user = {**world.account(), "strategy": "single", "masterarn": world.admin_secret()}
    arn = with_wrong_versions(world, user)
    world.step("setSecret", arn, world.begun(arn))
    assert world.logs_in(world.value(arn, "AWSPENDING"))


@pytest.mark.parametrize("limit", [6], indirect=True)
def test_repeated_steps_do_not_lock_the_account(world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an admin, the rotation cannot read the limit. Steps are repeated as by Secrets Manager."""
    first = SimpleNamespace(choice=lambda values: values[0])  # a wrong password
    monkeypatch.setattr("rotators.core.tries.secrets", first)
    works = {**world.account(), "strategy": "single"}
    arn = with_wrong_versions(world, works)
    token = world.begun(arn)
    for _ in range(4):
        with pytest.raises(CredentialsRejected):
            world.step("setSecret", arn, token)
    assert world.logs_in(works)


SALT = b"a" * 8 + b"b" * 12


def proof(password: str) -> bytes:
    """A client's answer with mysql_native_password."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    twice = hashlib.sha1(SALT + hashlib.sha1(once, usedforsecurity=False).digest(), usedforsecurity=False)
    return bytes(one ^ other for one, other in zip(once, twice.digest(), strict=True))


@pytest.mark.parametrize("engine", ["mysql", "aurora-mysql", "mariadb"])
def test_another_server_receives_no_stored_password_proof(world: MariaDbWorld, engine: str) -> None:
    """It rejects every login, so that the rotation continues with the next password."""
    greeted = greeting("mysql_native_password")
    with fake_server(lambda channel: channel.error(1045), greeted, connections=9) as (port, received):
        real = {"engine": engine, "host": "db.internal", "username": "app", "password": new_password()}
        older = {**real, "password": new_password()}
        there = {"host": "127.0.0.1", "port": port, "ssl": False}
        planted: dict[str, Any] = {**real, **there, "password": new_password()}
        arn = world.secret(older)
        for value in (real, planted):
            world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
        token = world.begun(arn)
        with pytest.raises(CredentialsRejected, match="stored for another target"):
            world.step("setSecret", arn, token)
    said = b"".join(received)
    assert proof(planted["password"]) in said, "the value stored with this address must be tried"
    assert proof(real["password"]) not in said
    assert proof(older["password"]) not in said
