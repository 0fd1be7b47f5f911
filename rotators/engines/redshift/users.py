"""Users of Amazon Redshift: their properties in the catalogue, and the marks of a pair.

The catalogue of PostgreSQL 8.0 and the ``svv_…`` views are read. PostgreSQL, which the tests use instead of
Redshift, does not have these views and their roles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString, NamedTuple

from psycopg import errors, sql

from rotators.core.errors import TargetRefused
from rotators.engines.postgres.roles import Connection, no_user

_PERMANENT: LiteralString = (
    "relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace"
    " WHERE strpos(CAST(nspname AS varchar), 'pg_') = 1)"
)
# Catalogue, column with the name, column with the owner, column with the rights, condition on owned objects.
_OBJECTS: tuple[tuple[LiteralString, LiteralString, LiteralString, LiteralString, LiteralString], ...] = (
    ("pg_class", "relname", "relowner", "relacl", _PERMANENT),
    ("pg_namespace", "nspname", "nspowner", "nspacl", "true"),
    ("pg_database", "datname", "datdba", "datacl", "true"),
    ("pg_proc", "proname", "proowner", "proacl", "true"),
)
_OWNED: LiteralString = " UNION ALL ".join(
    f"SELECT CAST({name} AS varchar) FROM pg_catalog.{catalogue}, pg_catalog.pg_user"  # noqa: S608 - names of ours
    f" WHERE {owner} = usesysid AND usename = %(user)s AND strpos(CAST({name} AS varchar), 'pg_') <> 1"
    f" AND {condition}"
    for catalogue, name, owner, _, condition in _OBJECTS
)
_GRANTED: LiteralString = " UNION ALL ".join(
    f"SELECT CAST({name} AS varchar) FROM pg_catalog.{catalogue}"  # noqa: S608 - names of ours
    f" WHERE strpos('|' || array_to_string({rights}, '|'), %(plain)s) > 0"
    f" OR strpos('|' || array_to_string({rights}, '|'), %(quoted)s) > 0"
    for catalogue, name, _, rights, _ in _OBJECTS
)
_FIRST: LiteralString = " LIMIT 1"  # one object is named, of perhaps very many
# View, column with the object, and prefix of the columns with the user.
_PRIVILEGES: tuple[tuple[LiteralString, LiteralString, LiteralString], ...] = (
    ("svv_relation_privileges", "relation_name", "identity"),
    ("svv_column_privileges", "column_name", "identity"),
    ("svv_schema_privileges", "namespace_name", "identity"),
    ("svv_database_privileges", "database_name", "identity"),
    ("svv_function_privileges", "function_name", "identity"),
    ("svv_language_privileges", "language_name", "identity"),
    ("svv_default_privileges", "object_type", "grantee"),
    ("svv_default_privileges", "object_type", "owner"),
)
# Statements that grant and revoke a group or role.
_CHANGES: dict[str, tuple[LiteralString, LiteralString]] = {
    "GROUP": ("ALTER GROUP {} ADD USER {}", "ALTER GROUP {} DROP USER {}"),
    "ROLE": ("GRANT ROLE {} TO {}", "REVOKE ROLE {} FROM {}"),
}
_HARMLESS_SYSTEM_ROLE = "sys:monitor"
_MARK = "pair: "  # as many bytes as the suffix of a clone, so the name of a mark fits in an identifier


class RedshiftUser(NamedTuple):
    """A user as recorded in the catalogue. The defaults are those of a user that was just created.

    Attributes:
        name: its name.
        superuser: True if the user may do everything.
        traits: right to create databases, expiry of the password, and settings; a clone needs equal ones.
        expired: True if the password has expired.
        groups: names of the groups with the user.
        roles: names of the roles granted to the user.
    """

    name: str
    superuser: bool = False
    traits: tuple[bool, str, str] = (False, "infinity", "")
    expired: bool = False
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def mark(self) -> str:
        """Name of the group that holds the second users of this user."""
        return f"{_MARK}{self.name}"

    @property
    def rights(self) -> frozenset[tuple[str, str]]:
        """Groups and roles that give the user its rights, without the groups that mark a clone."""
        groups = {("GROUP", each) for each in self.groups if not each.startswith(_MARK)}
        return frozenset(groups | {("ROLE", each) for each in self.roles})


def find_user(connection: Connection, name: str) -> RedshiftUser | None:
    """Return a user; None if there is none of that name.

    Args:
        connection: connection in autocommit mode.
        name: name of the user.
    """
    row = connection.execute(
        # abstime, the type on Redshift, has a cast to timestamptz and none to varchar.
        "SELECT usesuper, usecreatedb, coalesce(CAST(CAST(valuntil AS timestamptz) AS varchar), 'infinity'),"
        " coalesce(array_to_string(useconfig, '|'), ''),"
        " coalesce(CAST(valuntil AS timestamptz) < CURRENT_TIMESTAMP, false)"
        " FROM pg_catalog.pg_user WHERE usename = %s",
        [name],
    ).fetchone()
    if row is None:
        return None
    groups = connection.execute(
        "SELECT groname FROM pg_catalog.pg_group, pg_catalog.pg_user"
        " WHERE usename = %s AND usesysid = ANY(grolist)",
        [name],
    ).fetchall()
    roles = _rows(connection, "SELECT role_name FROM svv_user_grants WHERE user_name = %s", name)
    names = (frozenset(each[0] for each in rows) for rows in (groups, roles))
    return RedshiftUser(name, row[0], (row[1], row[2], row[3]), row[4], *names)


def read_user(connection: Connection, name: str) -> RedshiftUser:
    """Return a user that must exist.

    Args:
        connection: connection in autocommit mode.
        name: name of the user.

    Raises:
        TargetRefused: there is no such user.
    """
    user = find_user(connection, name)
    if user is None:
        raise no_user(name)
    return user


def _rows(connection: Connection, query: LiteralString, *params: str) -> list[tuple[Any, ...]]:
    """Return the rows of one of Redshift's views; none on PostgreSQL, which does not have it."""
    try:
        return connection.execute(query, params).fetchall()
    except errors.UndefinedTable:
        row = connection.execute("SELECT version()").fetchone()
        if row and "Redshift" in row[0]:
            raise
        return []


def refuse_owner(connection: Connection, *users: str) -> None:
    """Check that no user owns an object of this database, or a database.

    Args:
        connection: connection in autocommit mode.
        *users: names of users.

    Raises:
        TargetRefused: one does; the user that takes turns with it could not change the object.
    """
    for user in users:
        if row := connection.execute(_OWNED + _FIRST, {"user": user}).fetchone():
            raise TargetRefused(
                f"user {user!r} owns {row[0]!r}, which the user that takes turns with it cannot change",
                reason="ownership",
                remedy="ALTER … OWNER TO a third user, and grant the rights to a group or role of both users;"
                " or use strategy single.",
            )


def require_shared(connection: Connection, user: RedshiftUser) -> None:
    """Check that another user can have all rights of this one by its groups and roles.

    Args:
        connection: connection in autocommit mode.
        user: the user.

    Raises:
        TargetRefused: it is a superuser, owns objects, or has rights by its own name.
    """
    if user.superuser:
        raise TargetRefused(
            f"user {user.name!r} is a superuser, whose rights come from no group or role",
            reason="administrator",
            remedy="Rotate it with strategy single.",
        )
    refuse_owner(connection, user.name)
    if right := next(_own_rights(connection, user.name), None):
        raise TargetRefused(
            f"user {user.name!r} has rights on {right[0]!r} by its own name, which a second user would lack",
            reason="own-rights",
            remedy=f"GRANT the rights to a group or role of {user.name}, REVOKE them from {user.name}, and"
            " rotate.",
        )


def _own_rights(connection: Connection, user: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows with the names of objects on which a user has rights by its own name."""
    quoted = '"' + user.replace('"', '""') + '"'
    yield from connection.execute(_GRANTED + _FIRST, {"plain": f"|{user}=", "quoted": f"|{quoted}="})
    for view, column, prefix in _PRIVILEGES:
        query = f"SELECT {column} FROM {view} WHERE {prefix}_type = 'user' AND {prefix}_name = %s LIMIT 1"  # noqa: S608 - names of ours
        yield from _rows(connection, query, user)


def require_pair(original: RedshiftUser, clone: RedshiftUser) -> None:
    """Check that the group that only a superuser can change marks the clone, and that nothing sets it apart.

    Args:
        original: the original.
        clone: the clone.

    Raises:
        TargetRefused: the clone is not marked, or differs from the original.
    """
    mark = original.mark
    if mark not in clone.groups:
        raise TargetRefused(
            f"user {clone.name!r} exists and is not the clone of {original.name!r}: the group that marks it"
            " is missing",
            reason="stranger",
            remedy=f'If it is one: CREATE GROUP "{mark}", and ALTER GROUP "{mark}" ADD USER {clone.name}.'
            " Else set alternate_username to another user.",
        )
    if original.traits != clone.traits:
        raise TargetRefused(
            f"users {original.name!r} and {clone.name!r} differ in CREATEDB, VALID UNTIL or settings",
            reason="settings",
            remedy=f"Give both the same (ALTER USER). If {clone.name} does not exist, create it, put it into "
            f'the group "{original.mark}", and rotate.',
        )


def require_no_more(clone: RedshiftUser, original: RedshiftUser) -> None:
    """Check that the application loses no right when the original becomes current again.

    Args:
        clone: the user in use.
        original: the user that follows.

    Raises:
        TargetRefused: the clone has a group or role that the original lacks.
    """
    if more := clone.rights - original.rights:
        kind, name = min(more)
        raise TargetRefused(
            f"user {clone.name!r} has the {kind.lower()} {name!r}, which {original.name!r} lacks",
            reason="own-rights",
            remedy=f"Give it to {original.name} too, or take it from {clone.name}, and rotate.",
        )


def synchronise(connection: Connection, original: RedshiftUser, clone: RedshiftUser) -> None:
    """Give the clone its mark and the groups and roles of the original, and revoke others.

    Args:
        connection: connection in a transaction.
        original: the original.
        clone: the clone.
    """
    marks = {("GROUP", original.mark)} if original.mark not in clone.groups else set()
    given, taken = marks | (original.rights - clone.rights), clone.rights - original.rights
    for position, rights in enumerate((given, taken)):
        for kind, name in sorted(rights):
            names = sql.Identifier(name), sql.Identifier(clone.name)
            connection.execute(sql.SQL(_CHANGES[kind][position]).format(*names))


def is_administrator(connection: Connection, user: RedshiftUser) -> bool:
    """Return True if a user is a superuser, or has a system right by its roles.

    Args:
        connection: a superuser's connection, in autocommit mode.
        user: the user.
    """
    grants = _rows(connection, "SELECT role_name, granted_role_name FROM svv_role_grants")
    reached, found = set(user.roles), set(user.roles)
    while found:
        found = {granted for role, granted in grants if role in found} - reached
        reached |= found
    query: LiteralString = "SELECT identity_name FROM svv_system_privileges WHERE identity_type = 'role'"
    powerful = {row[0] for row in _rows(connection, query)}
    system = {each for each in reached if each.startswith("sys:")} - {_HARMLESS_SYSTEM_ROLE}
    return user.superuser or bool(reached & powerful) or bool(system)
