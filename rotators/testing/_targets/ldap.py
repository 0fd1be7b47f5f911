"""The kit's target for rotators of OpenLDAP: a private server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ldap3
from ldap3.utils.dn import escape_rdn

from rotators.local.servers.ldap import ADMINS, PEOPLE, SUFFIX, password_hash
from rotators.testing._recorder import Hook, Kind
from rotators.testing._target import HOSTILE_PASSWORDS, ServerTarget, Value

LDAP_OPERATIONS = (
    Hook("ldap3:Connection.bind", Kind.CONNECT, lambda _: "bind", "unbind"),
    Hook("ldap3:Connection.search", Kind.STATEMENT, lambda _: "search"),
    Hook("ldap3:Connection.extended", Kind.STATEMENT, lambda _: "extended"),
    Hook("ldap3:Connection.modify", Kind.STATEMENT, lambda _: "modify"),
)


class DirectoryTarget(ServerTarget):
    """Users of a directory.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = LDAP_OPERATIONS

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self._admin = server.connect()

    def close(self) -> None:
        """See Target.close."""
        self._admin.unbind()

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        connection = self._server.connect(value["username"], value["password"])
        try:
            return bool(connection.bound)
        finally:
            connection.unbind()


class LdapTarget(DirectoryTarget):
    """Users of an OpenLDAP server."""

    commits: ClassVar[str] = "extended"
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "comma, plus+ semi;colon",
        "ünïcødé-日本語",
        "back\\slash",
        "*)(uid=*",
        "#hash <less> =equal",
        "two  blanks",
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        *HOSTILE_PASSWORDS,
        "line\r\nbreaks",
        "{SSHA}no-hash",
    )

    def username(self, text: str) -> str:
        """See Target.username."""
        return text if text.endswith(f",{SUFFIX}") else f"uid={escape_rdn(text)},{PEOPLE}"

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._admin.delete(value["username"])

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint. Passwords are counted only."""
        self._admin.search(value["username"], "(objectClass=*)", ldap3.BASE, attributes=["*"])
        found = self._admin.response[0]["raw_attributes"]
        return {
            name: len(values) if name == "userPassword" else values
            for name, values in found.items()
            if name not in {"uid", "cn", "sn"}
        }

    def takes_name(self, name: str) -> bool:
        """See Target.takes_name. The text is part of a DN, in which most other characters are permitted."""
        return name.isprintable()

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        self._admin.modify(ADMINS, {"member": [(ldap3.MODIFY_ADD, [value["username"]])]})

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. An access rule keeps the user out, as if its password were wrong."""
        self._modify(value, "description", "barred")
        return True

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._modify(value, "description")

    def lookalikes(self, name: str) -> Sequence[str]:
        """See Target.lookalikes. Other case and blanks are spellings of the same DN."""
        first, _, rest = name.partition(",")
        return (f"{first}x,{rest}", f"{first}\\*,{rest}", f"{first},ou=groups,{SUFFIX}", first)

    def _create(self, name: str, password: str) -> Value:
        entry = {"cn": "app", "sn": "app", "userPassword": password_hash(password)}
        if not self._admin.add(name, ["inetOrgPerson"], entry):
            raise ValueError(f"{name!r} was not created: {self._admin.result['message']}")
        return dict(self._server.secret(name, password))

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._modify(value, "userPassword", password_hash(password))

    def _modify(self, value: Mapping[str, Any], attribute: str, *values: str) -> None:
        self._admin.modify(value["username"], {attribute: [(ldap3.MODIFY_REPLACE, list(values))]})


TARGET = LdapTarget
