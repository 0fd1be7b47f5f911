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
from tests.mysql.conftest import MariaDbWorld
from tests.mysql.fake_server import fake_server, greeting
from tests.world import new_password


@pytest.fixture
def three_errors(world: MariaDbWorld) -> Iterator[None]:
    """The server refuses every login of a user after three wrong passwords in a row."""
    [(before,)] = world.run("SELECT @@global.max_password_errors")
    world.run("SET GLOBAL max_password_errors = 3")
    yield
    world.run(f"SET GLOBAL max_password_errors = {before}")
    world.run("FLUSH PRIVILEGES")  # clears the counts


@pytest.mark.usefixtures("three_errors")
@pytest.mark.parametrize("container", ["warm", "fresh"])
def test_a_lost_password_is_found_before_the_account_is_locked(world: MariaDbWorld, container: str) -> None:
    arn = world.secret({**world.account(), "strategy": "single"})
    for _ in range(3):
        world.rotate(arn)
    lost = world.begin(arn)
    for step in ("createSecret", "setSecret"):
        world.step(step, arn, lost)
    world.drop_pending(arn, lost)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    if container == "fresh":
        InProcessFunction().restart()
    for step in ("setSecret", "testSecret", "finishSecret"):
        world.step(step, arn, token)
    assert world.logs_in(world.value(arn))


@pytest.mark.usefixtures("three_errors")
def test_with_an_admin_the_account_is_not_locked_by_wrong_versions(world: MariaDbWorld) -> None:
    """The admin reads the limit after the first rejection, so the user is still admitted afterwards."""
    user = {**world.account(), "strategy": "single", "masterarn": world.admin_secret()}
    arn = world.secret(user)
    for _ in range(6):
        value = json.dumps({**user, "password": new_password()})
        world.secrets.put_secret_value(SecretId=arn, SecretString=value)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.step("setSecret", arn, token)
    assert world.logs_in(
        json.loads(world.secrets.get_secret_value(SecretId=arn, VersionId=token)["SecretString"])
    )


@pytest.fixture
def six_errors(world: MariaDbWorld) -> Iterator[None]:
    """As above, after six."""
    [(before,)] = world.run("SELECT @@global.max_password_errors")
    world.run("SET GLOBAL max_password_errors = 6")
    yield
    world.run(f"SET GLOBAL max_password_errors = {before}")
    world.run("FLUSH PRIVILEGES")


@pytest.mark.usefixtures("six_errors")
def test_repeated_steps_do_not_lock_the_account(world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an admin nobody can read the limit; the rotation repeats as Secrets Manager does."""
    first = SimpleNamespace(choice=lambda values: values[0])  # one that is wrong
    monkeypatch.setattr("rotators.core.tries.secrets", first)
    works = {**world.account(), "strategy": "single"}
    arn = world.secret(works)
    for _ in range(6):
        wrong = json.dumps({**works, "password": new_password()})
        world.secrets.put_secret_value(SecretId=arn, SecretString=wrong)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    for _ in range(4):
        with pytest.raises(CredentialsRejected):
            world.step("setSecret", arn, token)
    assert world.logs_in(works)


@pytest.mark.parametrize("strategy", ["single", "dual"])
def test_setsecret_may_be_repeated_after_an_admins_reset(world: MariaDbWorld, strategy: str) -> None:
    """The first call spent all tries on wrong versions, so the second one makes none."""
    user = {**world.account(), "strategy": strategy, "masterarn": world.admin_secret()}
    arn = world.secret(user)
    for _ in range(6):
        wrong = json.dumps({**user, "password": new_password()})
        world.secrets.put_secret_value(SecretId=arn, SecretString=wrong)
    token = world.begin(arn)
    for step in ("createSecret", "setSecret", "setSecret", "testSecret", "finishSecret"):
        world.step(step, arn, token)
    assert world.logs_in(world.value(arn))


@pytest.mark.usefixtures("six_errors")
def test_a_value_that_is_stored_after_a_failed_rotation_is_tried_at_once(world: MariaDbWorld) -> None:
    works = {**world.account(), "strategy": "single"}
    arn = world.secret({**works, "password": new_password()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            world.step("setSecret", arn, token)
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(works))
    world.step("setSecret", arn, token)
    world.step("testSecret", arn, token)


SALT = b"a" * 8 + b"b" * 12


def proof(password: str) -> bytes:
    """What a client answers with mysql_native_password."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    twice = hashlib.sha1(SALT + hashlib.sha1(once, usedforsecurity=False).digest(), usedforsecurity=False)
    return bytes(one ^ other for one, other in zip(once, twice.digest(), strict=True))


@pytest.mark.parametrize("engine", ["mysql", "aurora-mysql", "mariadb"])
def test_a_server_elsewhere_gets_nothing_made_from_a_stored_password(
    world: MariaDbWorld, engine: str
) -> None:
    """It rejects everybody, so that the rotation goes on to the next password."""
    greeted = greeting("mysql_native_password")
    with fake_server(lambda channel: channel.error(1045), greeted, connections=9) as (port, received):
        real = {"engine": engine, "host": "db.internal", "username": "app", "password": new_password()}
        older = {**real, "password": new_password()}
        planted: dict[str, Any] = {
            **real,
            "host": "127.0.0.1",
            "port": port,
            "ssl": False,
            "password": new_password(),
        }
        arn = world.secret(older)
        for value in (real, planted):
            world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
        token = world.begin(arn)
        world.step("createSecret", arn, token)
        with pytest.raises(CredentialsRejected, match="stored for another target"):
            world.step("setSecret", arn, token)
    said = b"".join(received)
    assert proof(planted["password"]) in said, "the value that was stored with the address was tried"
    assert proof(real["password"]) not in said
    assert proof(older["password"]) not in said
