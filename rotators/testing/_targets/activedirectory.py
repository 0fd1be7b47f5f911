"""The kit's target for rotators of Active Directory: a private Samba domain controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ldap3
from ldap3.utils.conv import escape_filter_chars

from rotators.local.servers.activedirectory import DOMAIN, SUFFIX, USERS, add_user, encoded, upn
from rotators.testing._target import HOSTILE_PASSWORDS, Value
from rotators.testing._targets.ldap import DirectoryTarget


class ActiveDirectoryTarget(DirectoryTarget):
    """Users of a domain, known by their user principal names."""

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

    def username(self, text: str) -> str:
        """See Target.username."""
        return upn(text)

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._admin.delete(self._entry(value)["dn"])

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        found = self._entry(value)["raw_attributes"]
        names = ("userAccountControl", "memberOf", "lockoutTime", "accountExpires", "primaryGroupID")
        return {name: found.get(name) for name in names} | {"attributes": sorted(found)}

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

    def _create(self, name: str, password: str) -> Value:
        add_user(self._admin, name, password)
        return dict(self._server.secret(name, password))

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        changes = {"unicodePwd": [(ldap3.MODIFY_REPLACE, [encoded(password)])]}
        self._admin.modify(self._entry(value)["dn"], changes)

    def _entry(self, value: Mapping[str, Any]) -> dict[str, Any]:
        condition = f"(userPrincipalName={escape_filter_chars(value['username'])})"
        self._admin.search(SUFFIX, condition, attributes=["*", "memberOf"])
        found: dict[str, Any] = self._admin.response[0]
        return found


TARGET = ActiveDirectoryTarget
