"""Rotations on a domain controller that accepts the previous password for an hour, as it does by default."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.core.errors import CredentialsRejected
from rotators.local.aws import LocalAws
from rotators.local.servers.activedirectory import ActiveDirectoryServer
from tests.activedirectory.conftest import DomainWorld
from tests.clear_text import record_samba
from tests.cli.test_doctor_repair import examined, run
from tests.world import new_password, started

CREATE, SET, TEST, FINISH = "createSecret", "setSecret", "testSecret", "finishSecret"


@pytest.fixture(scope="module")
def lenient() -> Iterator[ActiveDirectoryServer]:
    """A domain controller with its default grace."""
    with started(ActiveDirectoryServer(settings=[])) as server:
        yield server
        record_samba(server)


@pytest.fixture
def grace(aws: LocalAws, lenient: ActiveDirectoryServer) -> DomainWorld:
    """The local AWS with this domain controller."""
    return DomainWorld(aws, lenient)


def interrupted(world: DomainWorld, arn: str) -> str:
    """Begin a rotation that ends after the change of the password; return its token."""
    token = world.begun(arn)
    world.step(SET, arn, token)
    assert world.accepts(world.value(arn))  # the previous password
    return token


def test_the_grace_proves_nothing(grace: DomainWorld) -> None:
    value = grace.entry()
    arn = grace.secret(value)
    first = grace.rotate(arn)
    assert grace.accepts(value)
    assert grace.accepts(first)
    second = grace.rotate(arn)
    assert not grace.accepts(value)
    assert grace.accepts(second)
    token = grace.begun(arn)
    with pytest.raises(CredentialsRejected):
        grace.step(TEST, arn, token)


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_token_survives_a_lost_answer(grace: DomainWorld, restarted: bool) -> None:
    arn = grace.secret(grace.entry())
    token = interrupted(grace, arn)
    if restarted:
        grace.function.restart()
    for step in (SET, TEST, FINISH):
        grace.step(step, arn, token)
    assert grace.accepts(grace.value(arn))
    assert grace.read(grace.value(arn)["username"], "badPwdCount") in ([], [b"0"])


def test_a_new_token_survives_a_lost_answer(grace: DomainWorld) -> None:
    arn = grace.secret(grace.entry())
    grace.rotate(arn)
    lost = interrupted(grace, arn)
    stored = grace.of(arn).pending(lost)
    grace.of(arn).drop_pending(lost)
    rotated = grace.rotate(arn)
    assert rotated["password"] != stored["password"]
    assert grace.accepts(rotated)
    assert grace.accepts(stored)


def test_an_admin_replaces_an_unknown_password(grace: DomainWorld) -> None:
    value = grace.entry()
    grace.reset(value, new_password())
    arn = grace.secret(value)
    token = grace.begun(arn)
    with pytest.raises(CredentialsRejected):
        grace.step(SET, arn, token)
    assert grace.accepts(grace.rotate(grace.secret({**value, "masterarn": grace.admin_secret()})))


@pytest.mark.parametrize("begun", [False, True])
def test_a_repair_finds_the_newer_version(grace: DomainWorld, begun: bool) -> None:
    arn = grace.secret(grace.entry())
    lost = interrupted(grace, arn)
    newest = grace.of(arn).pending(lost)
    grace.of(arn).drop_pending(lost)
    if begun:
        grace.begun(arn)
    assert examined(arn)["state"] == "restore-newer"
    assert run("repair", arn, "--idle").exit_code == 0
    assert grace.value(arn)["password"] == newest["password"]
    assert examined(arn)["state"] == "healthy"


def test_a_failed_rotation_leaves_a_healthy_secret(grace: DomainWorld) -> None:
    arn = grace.secret(grace.entry())
    grace.of(arn).drop_pending(grace.begun(arn))
    assert examined(arn)["state"] == "healthy"
