"""Servers of these tests, and users on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ldap3
import pytest

from rotators.local.servers.ldap import PEOPLE, SUFFIX, LdapServer, password_hash
from tests.clear_text import record_ldap
from tests.world import World, new_password, started, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

POLICY = f"cn=default,ou=policies,{SUFFIX}"


class LdapWorld(World):
    """The local AWS with a directory, whose administrator arranges and inspects."""

    def __init__(self, aws: LocalAws, server: LdapServer) -> None:
        super().__init__(aws, server)
        self.directory = server

    def entry(self, name: str | None = None, password: str | None = None) -> dict[str, Any]:
        """Create a user, and return its value for a secret."""
        password = password or new_password()
        user = f"uid={name or unique('app')},{PEOPLE}"
        attributes = {"cn": "app", "sn": "app", "userPassword": password_hash(password)}
        connection = self.directory.connect()
        assert connection.add(user, ["inetOrgPerson"], attributes), connection.result
        connection.unbind()
        return self.directory.secret(user, password)

    def set(self, user: str, **attributes: str) -> None:
        """Replace attributes of an entry; an empty text removes one."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [text] if text else [])] for name, text in attributes.items()
        }
        connection = self.directory.connect()
        assert connection.modify(user, changes), connection.result
        connection.unbind()

    def stored(self, value: dict[str, Any], attribute: str = "userPassword") -> list[bytes]:
        """The values of an attribute of a user."""
        connection = self.directory.connect()
        connection.search(value["username"], "(objectClass=*)", ldap3.BASE, attributes=[attribute])
        found: list[bytes] = connection.response[0]["raw_attributes"].get(attribute, [])
        connection.unbind()
        return found


@pytest.fixture(scope="session")
def policed_server() -> Iterator[LdapServer]:
    """A private OpenLDAP with password policies."""
    running = started(LdapServer(modules=["argon2"], policy={"pwdLockout": "TRUE", "pwdMaxFailure": "3"}))
    yield running
    record_ldap(running)
    running.stop()


@pytest.fixture(scope="session")
def hashing_server() -> Iterator[LdapServer]:
    """A private OpenLDAP with modules for more schemes."""
    running = started(LdapServer(modules=["argon2", "pw-pbkdf2"]))
    yield running
    record_ldap(running)
    running.stop()


@pytest.fixture
def plain(aws: LocalAws, ldap_server: LdapServer) -> LdapWorld:
    """The local AWS with a directory without password policies."""
    return LdapWorld(aws, ldap_server)


@pytest.fixture
def policed(aws: LocalAws, policed_server: LdapServer) -> Iterator[LdapWorld]:
    """The local AWS with a directory with password policies, which are reset after the test."""
    world = LdapWorld(aws, policed_server)
    before = dict.fromkeys(
        (
            "pwdMustChange",
            "pwdSafeModify",
            "pwdMinAge",
            "pwdMaxAge",
            "pwdGraceAuthnLimit",
            "pwdInHistory",
            "pwdCheckQuality",
            "pwdMinLength",
        ),
        "",
    )
    yield world
    world.set(POLICY, **before, pwdAllowUserChange="")


@pytest.fixture
def hashing(aws: LocalAws, hashing_server: LdapServer) -> LdapWorld:
    """The local AWS with a directory that supports more schemes."""
    return LdapWorld(aws, hashing_server)
