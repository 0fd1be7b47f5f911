"""Passwords that AWS Directory Service resets: the local API in front of a real domain controller."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rotators.core.errors import CredentialsRejected
from rotators.local.servers.activedirectory import DOMAIN
from tests.activedirectory.conftest import DomainWorld
from tests.activedirectory.directories import create_directory
from tests.world import new_password

CREATE, SET, TEST = "createSecret", "setSecret", "testSecret"


@pytest.fixture
def directory(domain: DomainWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory of the domain in AWS, whose server DIRECTORY_HOSTS names."""
    monkeypatch.setenv("DIRECTORY_HOSTS", domain.controller.host)
    created = create_directory(domain.aws, domain.controller).rpartition("/")[2]
    yield created
    domain.aws.directories.clear()


def test_aws_resets_in_spite_of_the_minimum_age(domain: DomainWorld, directory: str) -> None:
    value = {**domain.entry(), "directory_id": directory}
    domain.set("", minPwdAge=str(-24 * 60 * 60 * 10_000_000))
    rotated = domain.rotate(domain.secret(value))
    assert domain.accepts(rotated)
    assert not domain.accepts(value)


def test_the_shape_of_aws_is_rotated(
    domain: DomainWorld, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = domain.entry()
    account = domain.read(user["username"], "sAMAccountName")[0].decode()
    shape = {
        "awsSeamlessDomainDirectoryId": directory,
        "awsSeamlessDomainUsername": account,
        "awsSeamlessDomainPassword": user["password"],
    }
    where = {key: user[key] for key in ("host", "port", "sslrootcert")}
    monkeypatch.setenv("ROTATOR", "activedirectory")
    rotated = domain.rotate(domain.secret({**shape, **where, "domain": DOMAIN}))
    assert list(rotated) == [*shape, *where, "domain"]
    changed = {**user, "password": rotated["awsSeamlessDomainPassword"]}
    assert domain.accepts(changed)
    assert changed["password"] != user["password"]
    assert not domain.accepts(user)


def test_a_server_that_is_not_allowed_proves_nothing(
    domain: DomainWorld, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {**domain.entry(), "directory_id": directory}
    for targets in ("", "elsewhere.example.org"):
        monkeypatch.setenv("DIRECTORY_HOSTS", targets)
        assert domain.refused(value, CREATE).full_code == "identity-mismatch/not-allowed"
    assert domain.accepts(value)


def test_a_target_outside_directory_hosts_is_refused(
    domain: DomainWorld, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {**domain.entry(), "directory_id": directory}
    host = domain.controller.host
    monkeypatch.setenv("ALLOWED_TARGETS", f"{host},127.0.0.1")
    elsewhere = {**value, "admin_host": "127.0.0.1"}
    assert domain.refused(elsewhere, CREATE).full_code == "identity-mismatch/not-allowed"
    monkeypatch.setenv("DIRECTORY_HOSTS", "dc.example.org")
    assert domain.refused(value, CREATE).full_code == "identity-mismatch/not-allowed"
    assert domain.accepts(value)


def test_a_directory_of_another_domain_is_refused(domain: DomainWorld, directory: str) -> None:
    value = {
        **domain.entry(),
        "directory_id": create_directory(domain.aws, domain.controller, "other.test").rpartition("/")[2],
    }
    assert domain.refused(value).full_code == "identity-mismatch/directory"
    missing = {**value, "directory_id": "d-0123456789"}
    assert domain.refused(missing).full_code == "target-refused/no-directory"
    assert "directory_id" in domain.refused({**value, "directory_id": "corp"}, CREATE).cause
    assert domain.accepts(value)
    assert directory


def test_the_role_resets_no_wrong_password(domain: DomainWorld, directory: str) -> None:
    value = {**domain.entry(), "directory_id": directory}
    error = domain.refused({**value, "password": new_password()})
    assert isinstance(error, CredentialsRejected)
    assert domain.accepts(value)


def test_each_refusal_of_the_api_has_a_code(
    domain: DomainWorld, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {**domain.entry(), "directory_id": directory}
    monkeypatch.setenv("PASSWORD_LENGTH", "8")
    domain.set("", minPwdLength="12")
    assert domain.refused(value).full_code == "target-refused/quality"
    domain.set("", minPwdLength="7")
    monkeypatch.delitem(domain.aws.directories, DOMAIN)
    error = domain.refused(value)
    assert error.full_code == "target-unavailable/starting"
    assert error.retryable
    assert domain.accepts(value)


def test_the_functions_log_shows_no_password(domain: DomainWorld, directory: str) -> None:
    value = {**domain.entry(), "directory_id": directory}
    rotated = domain.rotate(domain.secret(value))
    assert rotated["password"] not in json.dumps(domain.aws.logs("rotate"))
