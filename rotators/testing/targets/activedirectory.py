"""The kit's target for rotators of Active Directory: a private Samba domain controller."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

import ldap3
from ldap3.utils.conv import escape_filter_chars

from rotators.local.servers.activedirectory import DOMAIN, SUFFIX, USERS, add_user, encoded, upn
from rotators.testing.target import HOSTILE_PASSWORDS, Target, Value
from rotators.testing.targets.ldap import LDAP_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.servers.activedirectory import ActiveDirectoryServer
    from rotators.testing.recorder import Hook


class ActiveDirectoryTarget(Target):
    """Users of a domain, known by their user principal names.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = LDAP_OPERATIONS
    commits: ClassVar[str] = "modify"
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "ünïcødé-日本語",
        "*)(cn",
        "#hash <less> +plus,",
        "two  blanks",
    )
    hostile_passwords: ClassVar[Sequence[str]] = HOSTILE_PASSWORDS

    def __init__(self, server: ActiveDirectoryServer) -> None:
        self._server = server
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._admin = server.connect()

    def close(self) -> None:
        """See Target.close."""
        self._admin.unbind()

    def username(self, text: str) -> str:
        """See Target.username."""
        return upn(text)

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        local = (name or "kit").removesuffix(f"@{DOMAIN}")
        return self._create(f"{local}_{self._run}_{next(self._numbers)}x", password)

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self._create(name, None)

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        connection = self._server.connect(value["username"], value["password"])
        try:
            return bool(connection.bound)
        finally:
            connection.unbind()

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        password = _password()
        self._modify(value, "unicodePwd", encoded(password))
        return {**value, "password": password}

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._admin.delete(self._entry(value)["dn"])

    def admin(self) -> Value:
        """See Target.admin."""
        return self._server.secret()

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        found = self._entry(value)["raw_attributes"]
        names = ("userAccountControl", "memberOf", "lockoutTime", "accountExpires", "primaryGroupID")
        return {name: found.get(name) for name in names} | {"attributes": sorted(found)}

    def port(self, value: Mapping[str, Any]) -> int:
        """See Target.port."""
        return int(value["port"])

    def takes_name(self, name: str) -> bool:
        """See Target.takes_name. Samba looks for another kind of name if there is an equals sign."""
        return name.isprintable() and not set(name) & set("@\\/=")

    def takes_password(self, password: str) -> bool:
        """See Target.takes_password."""
        return len(password) >= 7  # noqa: PLR2004 - the domain's minimum length

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        member = {"member": [(ldap3.MODIFY_ADD, [self._entry(value)["dn"]])]}
        self._admin.modify(f"CN=Domain Admins,{USERS}", member)

    def lookalikes(self, name: str) -> Sequence[str]:
        """See Target.lookalikes. The case makes no difference."""
        local = name.removesuffix(f"@{DOMAIN}")
        return (f"{local}x@{DOMAIN}", f"*@{DOMAIN}", f"{local}@other.test", local, f" {name}")

    def _create(self, name: str, password: str | None) -> Value:
        password = password or _password()
        add_user(self._admin, upn(name), password)
        return self._server.secret(name, password)

    def _entry(self, value: Mapping[str, Any]) -> dict[str, Any]:
        condition = f"(userPrincipalName={escape_filter_chars(value['username'])})"
        self._admin.search(SUFFIX, condition, attributes=["*", "memberOf"])
        found: dict[str, Any] = self._admin.response[0]
        return found

    def _modify(self, value: Mapping[str, Any], attribute: str, *values: bytes) -> None:
        self._admin.modify(self._entry(value)["dn"], {attribute: [(ldap3.MODIFY_REPLACE, list(values))]})


def _password() -> str:
    return f"pw-{secrets.token_hex(12)}"


TARGET = ActiveDirectoryTarget
