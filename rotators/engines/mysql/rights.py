"""Accounts, rights and roles of MySQL and MariaDB as records, and differences between two accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rotators.engines.mysql.hosts import like
from rotators.strategies.preflight import Demands

# Global privileges of an ordinary user; a user with any other is an administrator.
_ORDINARY = frozenset({"USAGE", "SHOW DATABASES", "CREATE TEMPORARY TABLES", "LOCK TABLES", "PROCESS"})
_SIMPLE = "simple_password_check"
# The administrators' own database.
_SYSTEM = "mysql"

EXACT = "CAST(User AS BINARY) = CAST(%(user)s AS BINARY) AND CAST(Host AS BINARY) = CAST(%(host)s AS BINARY)"
"""Condition on the columns of an account. The columns' default comparison ignores trailing blanks."""

# One kind of object each. The server builds GRANTEE from user and host, so it is compared as a whole, byte by
# byte. A right may remain after its table was dropped, and cannot be granted then. MariaDB looks for columns
# in all tables of the server, so the last query looks for none if the account has no rights on columns.
RIGHTS = (
    """
    SELECT '', '', '', '', PRIVILEGE_TYPE, IS_GRANTABLE = 'YES' FROM information_schema.USER_PRIVILEGES
    WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY)
    """,
    """
    SELECT '', TABLE_SCHEMA, '', '', PRIVILEGE_TYPE, IS_GRANTABLE = 'YES'
    FROM information_schema.SCHEMA_PRIVILEGES
    WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY)
    """,
    """
    SELECT '', TABLE_SCHEMA, TABLE_NAME, '', PRIVILEGE_TYPE, IS_GRANTABLE = 'YES'
    FROM information_schema.TABLE_PRIVILEGES p
    WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY)
    AND EXISTS (SELECT 1 FROM information_schema.TABLES t
                WHERE t.TABLE_SCHEMA = p.TABLE_SCHEMA AND t.TABLE_NAME = p.TABLE_NAME)
    """,
    """
    SELECT '', TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE, IS_GRANTABLE = 'YES'
    FROM information_schema.COLUMN_PRIVILEGES p
    WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY)
    AND EXISTS (SELECT 1 FROM information_schema.COLUMN_PRIVILEGES
                WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY))
    AND EXISTS (SELECT 1 FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = p.TABLE_SCHEMA
                AND c.TABLE_NAME = p.TABLE_NAME AND c.COLUMN_NAME = p.COLUMN_NAME)
    """,
    """
    SELECT Routine_type, Db, Routine_name, '', UPPER(names.name), FIND_IN_SET('Grant', Proc_priv) > 0
    FROM mysql.procs_priv
    JOIN (SELECT 'Execute' AS name UNION ALL SELECT 'Alter Routine') names
    WHERE CAST(User AS BINARY) = CAST(%(user)s AS BINARY) AND CAST(Host AS BINARY) = CAST(%(host)s AS BINARY)
    AND FIND_IN_SET(names.name, Proc_priv)
    """,
    """
    SELECT 'PROXY', Proxied_user, Proxied_host, '', 'PROXY', With_grant = 1 FROM mysql.proxies_priv
    WHERE CAST(User AS BINARY) = CAST(%(user)s AS BINARY) AND CAST(Host AS BINARY) = CAST(%(host)s AS BINARY)
    """,
)
"""Queries that return an account's rights, as the fields of Right."""


class Account(NamedTuple):
    """A user with its host pattern."""

    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


class Right(NamedTuple):
    """One privilege; ``kind`` is empty for databases and tables, else PROCEDURE, PROXY and the like."""

    kind: str
    place: str
    object: str
    column: str
    privilege: str
    grantable: bool


class MySqlRole(NamedTuple):
    """A role that an account has, with or without the right to grant it; MariaDB's roles have no host."""

    name: str
    host: str
    admin: bool


class Profile(NamedTuple):
    """Properties that a clone copies: TLS requirement and limits, rights, roles, default roles."""

    requirements: tuple[Any, ...]
    rights: frozenset[Right]
    roles: frozenset[MySqlRole]
    defaults: frozenset[tuple[str, str]]


class Place(NamedTuple):
    """Object of a right: everything, a database, a table, a routine, or an account to act for (PROXY)."""

    kind: str
    place: str
    object: str


class RightsChange(NamedTuple):
    """A GRANT, or a REVOKE, of privileges on one place."""

    verb: str
    privileges: str
    place: Place
    grantable: bool = False


def changes(wanted: frozenset[Right], has: frozenset[Right]) -> list[RightsChange]:
    """Return the changes that make an account's rights the wanted ones; revocations come first.

    Args:
        wanted: rights that the account is to have.
        has: rights that the account has.

    Returns:
        The changes in the order in which they have to be made; empty if the rights are equal.
    """
    plain = {right._replace(grantable=False) for right in wanted}
    surplus = {right._replace(grantable=False) for right in has} - plain
    found = [
        RightsChange("REVOKE", "GRANT OPTION", place)
        for place in sorted(_grantable(has) - _grantable(wanted))
        if place.kind != "PROXY"
    ]
    found += _grouped("REVOKE", (right for right in surplus if right.privilege != "USAGE"))
    return found + _grouped("GRANT", wanted - has)


def is_administrative(right: Right) -> bool:
    """Return True if a right gives power over the server or over other users.

    Args:
        right: right of an account.
    """
    if right.kind == "PROXY":
        return True
    if not right.place:
        return right.grantable or right.privilege not in _ORDINARY
    return not right.kind and like(right.place, _SYSTEM)


def may_hand_on(ours: Iterable[Right], right: Right) -> bool:
    """Return True if a user with these rights may grant another right.

    Args:
        ours: rights of the user.
        right: right to grant.
    """
    return any(
        mine.grantable
        and mine.privilege == right.privilege
        and (not mine.place or (mine.place == right.place and mine.object in {"", right.object}))
        for mine in ours
    )


def demanded(settings: Mapping[str, str], plugins: tuple[str, ...]) -> Demands:
    """Return the requirements of the server's password validation.

    Args:
        settings: variables of the server, in lower case, with _ for the dot of MySQL's component.
        plugins: names of the active plugins of the kind PASSWORD VALIDATION.

    Sources: MySQL manual, "Password Validation Component Options and Variables"; MariaDB knowledge base,
    "Simple Password Check Plugin" and "strict_password_validation".
    """
    if "validate_password_length" in settings:
        # LOW checks the length only. Hashes are not checked at all, but a user's own change in clear text is.
        strict = settings.get("validate_password_policy", "MEDIUM").upper() not in {"0", "LOW"}
        mixed = int(settings["validate_password_mixed_case_count"]) if strict else 0
        return Demands(
            length=int(settings["validate_password_length"]),
            digits=int(settings["validate_password_number_count"]) if strict else 0,
            lower=mixed,
            upper=mixed,
            special=int(settings["validate_password_special_char_count"]) if strict else 0,
        )
    hashes = not plugins or settings.get("strict_password_validation", "OFF").upper() not in {"1", "ON"}
    unknown = tuple(name for name in plugins if name != _SIMPLE)
    if _SIMPLE not in plugins:
        return Demands(takes_hashes=hashes, unknown=unknown)
    letters = int(settings[f"{_SIMPLE}_letters_same_case"])
    return Demands(
        length=int(settings[f"{_SIMPLE}_minimal_length"]),
        digits=int(settings[f"{_SIMPLE}_digits"]),
        lower=letters,
        upper=letters,
        special=int(settings[f"{_SIMPLE}_other_characters"]),
        takes_hashes=hashes,
        unknown=unknown,
    )


def quoted(name: str) -> str:
    """Return a name quoted for SQL.

    Args:
        name: name of a database, table, routine or the like.
    """
    return "`" + name.replace("`", "``") + "`"


def _grouped(verb: str, rights: Iterable[Right]) -> list[RightsChange]:
    groups: dict[tuple[Place, bool], list[str]] = {}
    for right in sorted(rights):
        column = f" ({quoted(right.column)})" if right.column else ""
        key = (Place(right.kind, right.place, right.object), right.grantable)
        groups.setdefault(key, []).append(right.privilege + column)
    return [RightsChange(verb, ", ".join(names), *key) for key, names in groups.items()]


def _grantable(rights: Iterable[Right]) -> set[Place]:
    return {Place(right.kind, right.place, right.object) for right in rights if right.grantable}
