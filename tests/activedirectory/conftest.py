"""Users of a real domain controller (Samba)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ldap3
import pytest
from ldap3.utils.conv import escape_filter_chars

from rotators.local.servers.activedirectory import SUFFIX, ActiveDirectoryServer, add_user, encoded, upn
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws


class DomainWorld(World):
    """The local AWS with a domain controller, whose administrator arranges and inspects."""

    def __init__(self, aws: LocalAws, server: ActiveDirectoryServer) -> None:
        super().__init__(aws, server)
        self.controller = server

    def entry(self, name: str | None = None) -> dict[str, Any]:
        """Create a user, and return its value for a secret."""
        name, password = upn(name or unique("app")), new_password()
        connection = self.controller.connect()
        add_user(connection, name, password)
        connection.unbind()
        return self.controller.secret(name, password)

    def set(self, user: str, **attributes: str | bytes) -> None:
        """Replace attributes of a user, or of the domain if the name is empty; an empty text removes one."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [text] if text else [])] for name, text in attributes.items()
        }
        connection = self.controller.connect()
        name = self._read(connection, user)["dn"] if user else SUFFIX
        assert connection.modify(name, changes), connection.result
        connection.unbind()

    def reset(self, value: dict[str, Any], password: str) -> None:
        """Set the password of a user by hand."""
        self.set(value["username"], unicodePwd=encoded(password))

    def read(self, user: str, attribute: str) -> list[bytes]:
        """The values of an attribute of a user."""
        connection = self.controller.connect()
        found: list[bytes] = self._read(connection, user)["raw_attributes"].get(attribute, [])
        connection.unbind()
        return found

    def join(self, user: str, group: str, place: str = "Users") -> None:
        """Make a user a member of a group, which is made if it is missing."""
        connection = self.controller.connect()
        name = f"CN={group},CN={place},{SUFFIX}"
        connection.add(name, ["group"], {"sAMAccountName": group})
        member = self._read(connection, user)["dn"]
        assert connection.modify(name, {"member": [(ldap3.MODIFY_ADD, [member])]}), connection.result
        connection.unbind()

    @contextmanager
    def policy(self, user: str) -> Iterator[None]:
        """Give a user a fine-grained policy: a minimum age of a day, and a lockout after seven logins."""
        connection = self.controller.connect()
        name = f"CN={unique('policy')},CN=Password Settings Container,CN=System,{SUFFIX}"
        rules = {
            "msDS-PasswordSettingsPrecedence": "1",
            "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
            "msDS-PasswordHistoryLength": "0",
            "msDS-PasswordComplexityEnabled": "FALSE",
            "msDS-MinimumPasswordLength": "7",
            "msDS-MinimumPasswordAge": "-864000000000",
            "msDS-MaximumPasswordAge": "-9223372036854775808",
            "msDS-LockoutThreshold": "7",
            "msDS-LockoutObservationWindow": "-18000000000",
            "msDS-LockoutDuration": "-18000000000",
            "msDS-PSOAppliesTo": self._read(connection, user)["dn"],
        }
        assert connection.add(name, ["msDS-PasswordSettings"], rules), connection.result
        try:
            yield
        finally:
            connection.delete(name)
            connection.unbind()

    def accepts(self, value: dict[str, Any]) -> bool:
        """True if user and password of a value log in."""
        connection = self.controller.connect(value["username"], value["password"])
        try:
            return bool(connection.bound)
        finally:
            connection.unbind()

    @staticmethod
    def _read(connection: ldap3.Connection, user: str) -> dict[str, Any]:
        connection.search(SUFFIX, f"(userPrincipalName={escape_filter_chars(user)})", attributes=["*"])
        found: dict[str, Any] = connection.response[0]
        return found


@pytest.fixture
def domain(aws: LocalAws, activedirectory: ActiveDirectoryServer) -> Iterator[DomainWorld]:
    """The local AWS with a domain, whose policy is reset after the test."""
    world = DomainWorld(aws, activedirectory)
    yield world
    world.set("", minPwdAge="0", lockoutThreshold="0", pwdHistoryLength="0")
