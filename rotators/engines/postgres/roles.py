"""Roles of PostgreSQL: properties of two users in the catalogue, and the changes that make one a clone.

Two users alternate. Here the *original* is the user that owns the rights, and the *clone* the user that acts
as the original; which of them is current changes with every rotation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rotators.core.errors import TargetRefused

Connection = psycopg.Connection[tuple[Any, ...]]

ATTRIBUTES = {  # column of pg_roles → keyword of ALTER ROLE
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
    "rolinherit": "INHERIT",
}
# Roles that reach beyond an application's own data: every member of one counts as an administrator.
# Members of the monitoring roles (pg_monitor and its parts), which change nothing, and owners of a database
# do not.
_ADMIN_ROLES = [
    "azure_pg_admin",
    "cloudsqlsuperuser",
    "pg_checkpoint",
    "pg_create_subscription",
    "pg_execute_server_program",
    "pg_maintain",
    "pg_read_all_data",
    "pg_read_server_files",
    "pg_signal_autovacuum_worker",
    "pg_signal_backend",
    "pg_use_reserved_connections",
    "pg_write_all_data",
    "pg_write_server_files",
    "rds_password",
    "rds_replication",
    "rds_superuser",
]
# Settings whose stored text is a quoted list; the same set as in pg_dump (variable_is_guc_list_quote).
_QUOTED_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_SET_OPTION = 160000  # the release in which a membership may lack the right to SET ROLE


@dataclass(frozen=True)
class Role:
    """A user as recorded in the catalogue.

    Attributes:
        name: its name.
        attributes: column of pg_roles to its value.
        can_login: True if the user may log in at all.
        limit: connection limit; -1 for none.
        until: expiry of the password as the server writes it; ``infinity`` for none.
        groups: names of the roles that the user is a direct member of.
        belongings: number of objects that the user owns or has rights on by its own name, in all databases.
        comment: comment on the role.
        settings: database ("" for all) to setting to its stored text.
    """

    name: str
    attributes: Mapping[str, bool]
    can_login: bool
    limit: int
    until: str
    groups: frozenset[str]
    belongings: int
    comment: str
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def acts_as(self, original: str) -> bool:
        """Return True if each of its logins becomes ``original``, or an admin declared that in a comment.

        Args:
            original: name of the other user.
        """
        mark = self.settings.get("", {}).get("role") == original
        return mark or self.comment == f"clone of {original}"


def read_roles(connection: Connection, *names: str) -> dict[str, Role]:
    """Return the named users that exist, by name.

    Args:
        connection: connection in a transaction.
        *names: names of users.

    Returns:
        Each user by its name. A name without a user has no entry.
    """
    columns = ", ".join(ATTRIBUTES)
    rows = connection.cursor(row_factory=dict_row).execute(
        f"SELECT rolname::text AS name, ARRAY[{columns}] AS flags, rolcanlogin, rolconnlimit,"  # noqa: S608 - columns of ours
        " coalesce(rolvaliduntil, 'infinity')::text AS until,"
        " ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
        "       WHERE m.member = r.oid) AS groups,"
        " (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid"
        "  AND deptype IN ('o', 'a') AND classid <> 'pg_auth_members'::regclass) AS belongings,"
        " coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment,"
        " ARRAY(SELECT ARRAY[coalesce(d.datname, '')::text, c] FROM pg_db_role_setting s"
        "       LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c"
        "       WHERE s.setrole = r.oid) AS settings"
        " FROM pg_roles r WHERE rolname::text = ANY(%s)",
        [list(names)],
    )
    return {row["name"]: _role(row) for row in rows}


def _role(row: Mapping[str, Any]) -> Role:
    settings: dict[str, dict[str, str]] = {}
    for database, pair in row["settings"]:
        name, _, text = pair.partition("=")
        settings.setdefault(database, {})[name] = text
    return Role(
        name=row["name"],
        attributes=dict(zip(ATTRIBUTES, row["flags"], strict=True)),
        can_login=row["rolcanlogin"],
        limit=row["rolconnlimit"],
        until=row["until"],
        groups=frozenset(row["groups"]),
        belongings=row["belongings"],
        comment=row["comment"],
        settings=settings,
    )


class Acting(NamedTuple):
    """User and role of a session.

    Attributes:
        session: logged-in user.
        current: role whose rights the session has.
        wanted: role that the user's role setting names; None without one.
    """

    session: str
    current: str
    wanted: str | None


def read_acting(connection: Connection) -> Acting:
    """Return the session's user and role, and the role that its user's settings name.

    Args:
        connection: connection in a transaction.
    """
    row = connection.execute(
        "SELECT session_user::text, current_user::text,"
        " (SELECT substr(c, 6) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        "  LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c"
        "  WHERE r.rolname = session_user AND coalesce(d.datname, current_database()) = current_database()"
        "  AND starts_with(c, 'role=') ORDER BY s.setdatabase DESC LIMIT 1)"
    ).fetchone()
    return Acting(*row) if row else Acting("", "", None)


def cannot_act(user: str, role: str) -> TargetRefused:
    """Return the error for a user whose logins cannot act as the role that its settings name.

    Args:
        user: name of the user.
        role: role that its settings name.
    """
    return TargetRefused(
        f"user {user!r} cannot act as {role!r}, which its role setting asks for",
        reason="role",
        remedy="Make the user a member of that role (from PostgreSQL 16 on: WITH SET TRUE), or remove the"
        " setting: ALTER ROLE … RESET role.",
    )


def second_users_with_objects(connection: Connection, original: str, users: Collection[str]) -> list[str]:
    """Return the ``users`` that act as ``original`` by a role setting and yet own objects in any database.

    Users that an admin marked by a comment (see ``Role.acts_as``) are left out: the admin is aware of them.

    Args:
        connection: connection in a transaction.
        original: name of the original.
        users: names of users to check.

    Returns:
        Their names in alphabetical order.
    """
    rows = connection.execute(
        "SELECT DISTINCT r.rolname::text FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE 'role=' || %(original)s = ANY(s.setconfig)"
        " AND r.rolname::text <> %(original)s AND r.rolname::text = ANY(%(users)s)"
        # Any user may set any role for itself; without the membership its login does not act as that role.
        " AND pg_has_role(r.oid, %(original)s::name, 'MEMBER')"
        " AND shobj_description(r.oid, 'pg_authid') IS DISTINCT FROM 'clone of ' || %(original)s"
        " AND EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid"
        "  AND deptype = 'o') ORDER BY 1",
        {"original": original, "users": list(users)},
    )
    return [row[0] for row in rows]


def no_user(name: str) -> TargetRefused:
    """Return the error for a user that the server does not have.

    Args:
        name: name of the user.
    """
    return TargetRefused(f"there is no user {name!r} on the server", reason="no-user", remedy="Create it.")


def existing(roles: Mapping[str, Role], name: str) -> Role:
    """Return the role of a user that must exist and must be able to log in.

    Args:
        roles: result of ``read_roles``.
        name: name of the user.

    Raises:
        TargetRefused: the user does not exist, or may not log in. The right to log in is never restored here.
    """
    if name not in roles:
        raise no_user(name)
    if not roles[name].can_login:
        raise TargetRefused(f"user {name!r} may not log in", reason="no-login", remedy="ALTER ROLE … LOGIN.")
    return roles[name]


def is_administrator(connection: Connection, user: str) -> bool:
    """Return True if a user has more rights than an application needs, also through a chain of memberships.

    Args:
        connection: connection in a transaction.
        user: name of the user.
    """
    row = connection.execute(
        "SELECT bool_or(pg_has_role(u.oid, r.oid, 'MEMBER')) FROM pg_roles u, pg_roles r"
        " WHERE u.rolname::text = %s AND (r.rolsuper OR r.rolcreaterole OR r.rolreplication"
        " OR r.rolbypassrls OR r.rolname::text = ANY(%s))",
        [user, _ADMIN_ROLES],
    ).fetchone()
    return bool(row and row[0])


def may_become(connection: Connection, user: str, other: str) -> bool:
    """Return True if a user may SET ROLE to another, and so gains nothing by the other's password.

    Args:
        connection: connection in a transaction.
        user: name of the user.
        other: name of the other user.
    """
    right = "SET" if connection.info.server_version >= _SET_OPTION else "MEMBER"
    row = connection.execute(
        "SELECT pg_has_role(u.oid, o.oid, %s) FROM pg_roles u, pg_roles o"
        " WHERE u.rolname::text = %s AND o.rolname::text = %s",
        [right, user, other],
    ).fetchone()
    return bool(row and row[0])


def missing_for_reset(connection: Connection, user: Role) -> str:
    """Return the right that the session's user lacks to set another user's password; empty if none.

    PostgreSQL manual, CREATE ROLE and role attributes: CREATEROLE, and from 16 on the ADMIN OPTION.

    Args:
        connection: connection in a transaction.
        user: user whose password is to be set.

    Raises:
        TargetRefused: the session's user does not exist any more.
    """
    own, admin = _own_attributes(connection, user.name)
    if own["rolsuper"]:
        return ""
    if user.attributes["rolsuper"]:
        return "SUPERUSER"
    if not own["rolcreaterole"]:
        return "CREATEROLE"
    return "" if admin else f"the ADMIN OPTION on {user.name}"


def missing_for_clone(connection: Connection, of: Role) -> str:
    """Return the right that the session's user lacks to create a second user for ``of``; empty if none.

    Args:
        connection: connection in a transaction.
        of: the original.

    Raises:
        TargetRefused: the session's user does not exist any more.
    """
    own, admin = _own_attributes(connection, of.name)
    if own["rolsuper"]:
        return ""
    lacking = [
        keyword
        for name, keyword in ATTRIBUTES.items()
        if name not in {"rolinherit", "rolcreaterole"} and of.attributes[name] and not own[name]
    ]
    if not own["rolcreaterole"]:
        lacking.insert(0, "CREATEROLE")
    if not admin:
        lacking.append(f"the ADMIN OPTION on {of.name}")
    return ", ".join(lacking)


def _own_attributes(connection: Connection, user: str) -> tuple[Mapping[str, bool], bool]:
    """Return the attributes of the session's user, and True if it may administer another one.

    Before PostgreSQL 16 the latter is always True.
    """
    columns = ", ".join(ATTRIBUTES)
    row = (
        connection.cursor(row_factory=dict_row)
        .execute(
            f"SELECT {columns}, (SELECT pg_has_role(o.oid, 'MEMBER WITH ADMIN OPTION') FROM pg_roles o"  # noqa: S608 - columns of ours
            " WHERE o.rolname::text = %s) AS admin FROM pg_roles WHERE rolname = session_user",
            [user],
        )
        .fetchone()
    )
    if row is None:
        raise TargetRefused("the logged-in user has no role in pg_roles", reason="no-user")
    return row, bool(row["admin"]) or connection.info.server_version < _SET_OPTION


def prove_clone(original: Role, clone: Role) -> None:
    """Check that an existing user is only the clone of another one.

    It must be a direct member of the original. People are also made members of an application's role, so in
    addition it must act as the original (or be so marked by a comment), or have nothing beyond the original:
    no object, no right granted by name, and no attribute or membership that the original lacks.

    Args:
        original: the original.
        clone: the clone.

    Raises:
        TargetRefused: it is not proven; the cause names the obstacle.
    """
    of, name = original.name, clone.name
    if of not in clone.groups:
        raise _stranger(
            f"user {name!r} exists and is not the clone of {of!r}: it is no member of it",
            f"If it is one: GRANT {of} TO {name}. Else set alternate_username to another user.",
        )
    more = [
        keyword
        for column, keyword in ATTRIBUTES.items()
        if column != "rolinherit" and clone.attributes[column] and not original.attributes[column]
    ]
    more += sorted(clone.groups - original.groups - {of})
    if more:
        raise _stranger(
            f"user {name!r} has rights that {of!r} lacks ({', '.join(more)}), so it is not its clone",
            "Revoke them, or set alternate_username to another user.",
        )
    if clone.belongings and not clone.acts_as(of):
        raise _stranger(
            f"user {name!r} owns objects or has rights by its own name, so it may be somebody",
            f"If it is a clone: REASSIGN OWNED BY {name} TO {of} in each database and revoke its own "
            f"rights; or mark it: COMMENT ON ROLE {name} IS 'clone of {of}'.",
        )


def _stranger(cause: str, remedy: str) -> TargetRefused:
    return TargetRefused(cause, reason="stranger", remedy=remedy)


def synchronise(connection: Connection, original: Role, clone: Role) -> None:
    """Give the clone the original's attributes and settings; equal ones are left unchanged.

    Args:
        connection: connection in a writing transaction.
        original: the original.
        clone: the clone.
    """
    alter = sql.SQL("ALTER ROLE {}").format(sql.Identifier(clone.name))
    if options := _differing_options(original, clone):
        connection.execute(sql.SQL(" ").join([alter, *options]))
    of_all = {"role": original.name, **original.settings.get("", {})}
    wanted = {**original.settings, "": of_all}
    for database in sorted(wanted.keys() | clone.settings.keys()):
        values = wanted.get(database, {})
        if values == clone.settings.get(database, {}):
            continue
        place = alter + sql.SQL(" IN DATABASE {}").format(sql.Identifier(database)) if database else alter
        connection.execute(place + sql.SQL(" RESET ALL"))
        for name, text in values.items():
            setting = sql.SQL(" SET {} = {}").format(sql.Identifier(name), _setting(name, text))
            connection.execute(place + setting)


def _differing_options(original: Role, clone: Role) -> list[sql.Composable]:
    """Return the options of ALTER ROLE that differ: naming SUPERUSER at all requires a superuser."""
    options: list[sql.Composable] = [
        sql.SQL(keyword if original.attributes[column] else f"NO{keyword}")
        for column, keyword in ATTRIBUTES.items()
        if original.attributes[column] != clone.attributes[column]
    ]
    if original.limit != clone.limit:
        options.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(original.limit)))
    if original.until != clone.until:
        options.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(original.until)))
    return options


def _setting(name: str, text: str) -> sql.Composable:
    """Return a stored setting's text as it is written in ALTER ROLE … SET."""
    if name not in _QUOTED_LISTS:
        return sql.Literal(text)
    found = re.findall(r'("(?:[^"]|"")*")|([^",\s]+)', text)
    # Unquoted items stand for their lower-case form (manual, SQL syntax, identifiers).
    items = [quoted[1:-1].replace('""', '"') if quoted else plain.lower() for quoted, plain in found]
    return sql.SQL(", ").join(sql.Literal(item) for item in items or [""])
