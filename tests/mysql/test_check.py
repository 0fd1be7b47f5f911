"""`rotators check` on MariaDB: replicas, rights of admins, and the password rules of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.core.passwords import PasswordPolicy
from rotators.engines.mysql.rights import demanded
from tests.mysql.conftest import MariaDbWorld
from tests.world import failed_check


def checked(world: MariaDbWorld, value: dict[str, Any]) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["check", world.secret(value), "--json"])
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def assert_ready(document: dict[str, Any]) -> None:
    assert document["ready"], document


def limited_admin(world: MariaDbWorld, *grants: str) -> str:
    return world.secret(world.account(grants=grants))


def test_a_right_on_a_system_table_hinders_nothing(world: MariaDbWorld) -> None:
    value = world.account(grants=("GRANT SELECT ON mysql.help_topic TO {}",))
    assert_ready(checked(world, {**value, "masterarn": world.admin_secret()}))


def test_dual_without_admin_requires_a_user_right(world: MariaDbWorld) -> None:
    plain = checked(world, {**world.account(), "strategy": "dual"})
    assert failed_check(plain) == "user rights"
    entitled = world.account(grants=("GRANT CREATE USER ON *.* TO {}",))
    assert_ready(checked(world, {**entitled, "strategy": "dual"}))


def test_a_read_only_server_is_reported(world: MariaDbWorld) -> None:
    value = world.account()
    world.run("SET GLOBAL read_only = 1")
    try:
        document = checked(world, value)
    finally:
        world.run("SET GLOBAL read_only = 0")
    assert failed_check(document) == "the server accepts changes"


def test_an_admin_without_create_user_is_reported(world: MariaDbWorld) -> None:
    admin = limited_admin(world, "GRANT SELECT ON mysql.* TO {}")
    document = checked(world, {**world.account(), "masterarn": admin})
    assert failed_check(document) == "admin rights"
    assert "CREATE USER" in document["next"]


def test_a_right_the_admin_cannot_grant_is_reported(world: MariaDbWorld) -> None:
    admin = limited_admin(world, "GRANT SELECT ON mysql.* TO {}", "GRANT CREATE USER ON *.* TO {}")
    value = world.account(grants=("GRANT INSERT ON shop.* TO {}",))
    document = checked(world, {**value, "masterarn": admin})
    assert failed_check(document) == "second user"
    assert "INSERT on shop.* WITH GRANT OPTION" in document["next"]


@pytest.fixture
def simple_check(world: MariaDbWorld) -> Iterator[None]:
    world.run("INSTALL SONAME 'simple_password_check'")
    strict = world.run("SELECT @@global.strict_password_validation")[0][0]
    world.run("SET GLOBAL strict_password_validation = 0")
    yield
    world.run("UNINSTALL SONAME 'simple_password_check'")
    world.run(f"SET GLOBAL strict_password_validation = {int(strict)}")


@pytest.mark.usefixtures("simple_check")
def test_satisfied_password_rules_pass_the_check(world: MariaDbWorld) -> None:
    assert_ready(checked(world, world.account()))


@pytest.mark.usefixtures("simple_check")
def test_unsatisfied_password_rules_are_reported(world: MariaDbWorld) -> None:
    value = world.account()
    world.run("SET GLOBAL simple_password_check_digits = 3")
    document = checked(world, value)
    assert failed_check(document) == "password rules"
    assert "EXCLUDE_NUMBERS" in json.dumps(document)


@pytest.mark.usefixtures("simple_check")
def test_a_server_that_refuses_hashes_is_reported(world: MariaDbWorld) -> None:
    value = world.account()
    world.run("SET GLOBAL strict_password_validation = 1")
    document = checked(world, value)
    assert failed_check(document) == "password rules"
    assert "hashes" in json.dumps(document)


MYSQL = {
    "validate_password_length": "8",
    "validate_password_mixed_case_count": "1",
    "validate_password_number_count": "1",
    "validate_password_policy": "MEDIUM",
    "validate_password_special_char_count": "1",
}
"""Variables of MySQL's component, with the defaults in its manual. No MySQL server is needed."""


@pytest.mark.parametrize(
    ("changes", "policy", "met"),
    [
        ({}, PasswordPolicy(), True),
        ({}, PasswordPolicy(punctuation=False), False),
        ({}, PasswordPolicy(require_each=False), False),
        ({"validate_password_policy": "LOW"}, PasswordPolicy(punctuation=False), True),
        ({"validate_password_policy": "0"}, PasswordPolicy(punctuation=False), True),
        ({"validate_password_length": "40"}, PasswordPolicy(), False),
        ({"validate_password_mixed_case_count": "2"}, PasswordPolicy(), False),
    ],
)
def test_mysql_s_component_is_understood(changes: dict[str, str], policy: PasswordPolicy, met: bool) -> None:
    assert (demanded({**MYSQL, **changes}, ()).unmet(policy) == "") is met
