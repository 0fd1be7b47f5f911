"""PostgreSQL and Aurora PostgreSQL: engines ``postgres`` and ``aurora-postgresql``.

How this target differs from others:

- Passwords are stored as SCRAM verifiers, and libpq can compute one. Only the verifier is sent
  (``ALTER ROLE … PASSWORD 'SCRAM-SHA-256$…'``): the server's log, its statistics and its error messages
  never hold a password, whatever they are set to record.
- Changes of roles are transactional: a twin is made with its rights, settings and password in one commit.
- ``ALTER ROLE twin SET role = original`` makes the twin act as the original from its login on, so that
  what it creates belongs to the original.
- One user has one password: the strategies are ``single`` and ``alternating``.
- A failed login has no SQLSTATE in libpq, so the cause is told by the text (``_PATTERNS``). A text that
  nobody knows counts as *unavailable*, never as *rejected*: it must not send a walk to the next password.
- Every setting is LOCAL to its transaction: behind a pooler, the server connection is somebody else's next.

Sources: PostgreSQL manual, ALTER ROLE, libpq PQencryptPasswordConn, Appendix A (SQLSTATE).
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.core.passwords import PasswordRules
from rotators.strategies.causes import CONNECT_SECONDS, failure, login_failure
from rotators.strategies.connecting import (
    SESSION_SECONDS,
    STATEMENT_SECONDS,
    cut_after,
    resolved,
    trusted_roots,
)
from rotators.strategies.database import DatabaseRotator
from rotators.strategies.identity import dbname_of, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]

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
_ATTRIBUTES = {  # column of pg_roles → keyword of ALTER ROLE
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
    "rolinherit": "INHERIT",
}
_POWERS = [name for name in _ATTRIBUTES if name != "rolinherit"]
# The administrators of managed services; they are no superusers to PostgreSQL.
_ADMIN_ROLES = frozenset({"rds_superuser", "cloudsqlsuperuser", "azure_pg_admin"})

# What the server or libpq says when a login fails, and the cause (strategies/causes.py) that it means.
_PATTERNS = (
    (r"(password|SASL|LDAP|PAM|RADIUS) authentication failed", "password"),
    (r"role \".*\" does not exist", "password"),
    (r"pg_hba\.conf", "access-rule"),
    (r"authentication method requirement", "auth-method"),
    (r"not permitted to log in", "no-login"),
    (r"too many connections|too many clients|remaining connection slots", "connections"),
    (r"database \".*\" does not exist|not currently accepting connections", "database"),
    (r"permission denied for database", "database"),
    (r"starting up|shutting down|recovery mode|not yet accepting", "starting"),
    (r"does not match host name", "tls-host"),
    (r"certificate verify failed", "tls-untrusted"),
    (r"does not support SSL", "tls-unsupported"),
    (r"SSL|certificate", "tls"),
    (r"Connection refused", "closed-port"),
    (r"timeout expired", "timeout"),
    (r"closed the connection|reset by peer|EOF detected", "closed"),
)


def rotator() -> DatabaseRotator:
    """The entry point: the rotator of PostgreSQL."""
    return DatabaseRotator(PostgresEngine())


class PostgresEngine:
    """PostgreSQL's limits and its login."""

    names = frozenset({"postgres", "aurora-postgresql"})
    default_port = 5432
    default_dbname = "postgres"
    longest_username = 63
    password_rules = PasswordRules(shortest=8, longest=128)
    two_passwords = False

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[PostgresSession]:
        """See Engine.login. At most five seconds in all, name resolution and TLS included."""
        user = secret.text("username")
        parameters: dict[str, Any] = {
            "host": secret.text("host"),
            "port": port_of(secret, self),
            "dbname": dbname_of(secret, self),
            "user": user,
            "password": secret.text("password"),
            "application_name": "rotators",
            "client_encoding": "utf8",
            "gssencmode": "disable",
            # Never a password in clear to a server that asks for it, never "success" where none is asked.
            "require_auth": "scram-sha-256,md5",
            "autocommit": True,
            **_tls(secret, settings),
        }
        connection = _connected(parameters)
        try:
            with cut_after(SESSION_SECONDS, connection.fileno()) as silent:
                yield PostgresSession(connection, user)
        except psycopg.Error as error:
            if silent.is_set():
                raise TargetUnavailable(
                    "the server fell silent during a statement", reason="silent"
                ) from None
            raise _statement_failure(error, user) from None
        finally:
            connection.close()


def _tls(secret: Secret, settings: Settings) -> dict[str, str]:
    roots = trusted_roots(secret, settings, "PGSSLROOTCERT")
    return {"sslmode": "verify-full", "sslrootcert": roots} if roots else {"sslmode": "disable"}


def _connected(parameters: dict[str, Any]) -> Connection:
    """Try the host's addresses in turn under one deadline; the first that answers decides."""
    deadline = time.monotonic() + CONNECT_SECONDS
    where = f"{parameters['host']}:{parameters['port']} as {parameters['user']!r}"
    addresses = resolved(parameters["host"], parameters["port"])
    failed = failure("timeout", f"Unable to log into database at {where}")
    for position, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - position)
        if share <= 0:
            break
        try:
            # psycopg counts in whole seconds, from two up.
            return psycopg.connect(hostaddr=address, connect_timeout=max(2, round(share)), **parameters)
        except psycopg.Error as error:
            failed = login_failure(str(error), _PATTERNS, where)
        if not isinstance(failed, TargetUnavailable):
            break
    raise failed from None


def _statement_failure(error: psycopg.Error, user: str) -> RotatorFailure:
    """The failure in the target's words. The statement is left out: it holds a verifier."""
    said = f"as {user!r}: {error.diag.message_primary or type(error).__name__} (SQLSTATE {error.sqlstate})"
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return TargetRefused(
            f"the server is read-only, {said}",
            reason="read-only",
            remedy="Use the writer's endpoint as the secret's host, not a reader's.",
        )
    if isinstance(error, errors.QueryCanceled | errors.LockNotAvailable):
        return TargetUnavailable(
            f"a statement did not end within {STATEMENT_SECONDS:.0f} seconds, {said}", reason="slow"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return TargetRefused(
            f"a right is missing, {said}",
            reason="privilege",
            remedy="The admin needs CREATEROLE, and from PostgreSQL 16 on the ADMIN OPTION of the original.",
        )
    if _passing(error):
        return TargetUnavailable(
            f"the connection or a concurrent change got in the way, {said}", reason="interrupted"
        )
    return TargetRefused(f"the server refused a statement, {said}", reason="statement")


def _passing(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later: no SQLSTATE, connection, resources, or two at once."""
    state = error.sqlstate
    return state is None or state[:2] in {"08", "40", "53", "57", "XX"} or state in {"42710", "23505"}


@dataclass(frozen=True)
class _Role:
    """A user as the catalogue has it.

    Attributes:
        attributes: column of pg_roles to its value.
        limit: connection limit; -1 is none.
        until: end of the password's life as the server writes it; ``infinity`` for none.
        groups: names of the roles that it is a direct member of.
        settings: database ("" for all) to setting to its stored text.
    """

    attributes: Mapping[str, bool]
    limit: int
    until: str
    groups: frozenset[str]
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class PostgresSession:
    """One login to PostgreSQL; see strategies/engine.py for the moves.

    Args:
        connection: in autocommit mode.
        user: who was asked for.
    """

    def __init__(self, connection: Connection, user: str) -> None:
        self._connection = connection
        self._user = user
        self.account = user

    def set_password(self, user: str, password: str) -> None:
        """See Session.set_password. One message, one transaction, and only a verifier in it."""
        self._run(
            sql.SQL("SET LOCAL statement_timeout = {}; ALTER ROLE {} PASSWORD {}").format(
                sql.Literal(f"{STATEMENT_SECONDS:.0f}s"), sql.Identifier(user), self._verifier(user, password)
            )
        )

    def check(self) -> None:
        """See Session.check."""
        found = self._connection.execute("SELECT session_user::pg_catalog.text").fetchone()
        if found != (self._user,):
            raise TargetRefused(
                f"the server logged {self._user!r} in as another user (a pg_ident map?)", reason="user"
            )

    def require_ordinary(self, user: str) -> None:
        """See Session.require_ordinary."""
        with self._transaction():
            role = _existing(self._roles(user), user)
        if (
            any(role.attributes[power] for power in _POWERS if power != "rolcreatedb")
            or role.groups & _ADMIN_ROLES
        ):
            raise TargetRefused(
                f"user {user!r} is an administrator, and none of its stored passwords logs in",
                reason="administrator",
                remedy="Store its working password by PutSecretValue; masterarn resets no administrators.",
            )

    def require_twin(self, of: str, twin: str) -> None:
        """See Session.require_twin."""
        with self._transaction():
            roles = self._roles(of, twin)
            self._prove(of, _existing(roles, of), twin, _existing(roles, twin))

    def ensure_twin(self, of: str, twin: str, password: str) -> None:
        """See Session.ensure_twin. One transaction: a twin without its rights is never seen."""
        verifier = self._verifier(twin, password)
        with self._transaction():
            roles = self._roles(of, twin)
            original, second = _existing(roles, of), roles.get(twin)
            if second is None:
                self._run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(twin), verifier))
                self._run(sql.SQL("GRANT {} TO {}").format(sql.Identifier(of), sql.Identifier(twin)))
                second = self._roles(twin)[twin]
            else:
                self._prove(of, original, twin, second)
                self._run(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(twin), verifier))
            if of in second.groups:
                self._sync_attributes(original, twin, second)
                self._sync_settings(of, original, twin, second)

    def _prove(self, of: str, original: _Role, twin: str, second: _Role) -> None:
        """A direct membership proves the pair, in the direction in which no right is gained by it."""
        if twin in original.groups:
            return
        if of not in second.groups:
            raise TargetRefused(
                f"user {twin!r} exists and is not the twin of {of!r}: it is no member of it",
                reason="stranger",
                remedy="If it is one, GRANT the original to it; else set alternate_username to another user.",
            )
        more = [
            _ATTRIBUTES[name] for name in _POWERS if second.attributes[name] and not original.attributes[name]
        ]
        more += sorted(second.groups - original.groups - {of})
        if more:
            raise TargetRefused(
                f"user {twin!r} has rights that {of!r} lacks ({', '.join(more)}), so it is not just its twin",
                reason="stranger",
                remedy="Revoke them, or set alternate_username to another user.",
            )

    def _sync_attributes(self, original: _Role, twin: str, second: _Role) -> None:
        """Only what differs is named: naming SUPERUSER at all needs a superuser."""
        options: list[sql.Composable] = [
            sql.SQL(keyword if original.attributes[name] else f"NO{keyword}")
            for name, keyword in _ATTRIBUTES.items()
            if original.attributes[name] != second.attributes[name]
        ]
        if original.limit != second.limit:
            options.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(original.limit)))
        if original.until != second.until:
            options.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(original.until)))
        if options:
            self._run(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(twin), sql.SQL(" ").join(options)))

    def _sync_settings(self, of: str, original: _Role, twin: str, second: _Role) -> None:
        wanted = {**original.settings, "": {"role": of, **original.settings.get("", {})}}
        for database in sorted(wanted.keys() | second.settings.keys()):
            values = wanted.get(database, {})
            if values == second.settings.get(database, {}):
                continue
            place = sql.SQL("ALTER ROLE {}").format(sql.Identifier(twin))
            if database:
                place += sql.SQL(" IN DATABASE {}").format(sql.Identifier(database))
            self._run(place + sql.SQL(" RESET ALL"))
            for name, text in values.items():
                self._run(place + sql.SQL(" SET {} = {}").format(sql.Identifier(name), _setting(name, text)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction in which names mean what they say: a database's owner may set another search_path."""
        with self._connection.transaction():
            self._connection.execute(
                "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),"
                " pg_catalog.set_config('statement_timeout', %s, true)",
                [f"{STATEMENT_SECONDS:.0f}s"],
            )
            yield

    def _roles(self, *names: str) -> dict[str, _Role]:
        """Those of the named users that exist."""
        columns = ", ".join(_ATTRIBUTES)
        rows = self._connection.execute(
            f"SELECT rolname::text, rolconnlimit, coalesce(rolvaliduntil, 'infinity')::text,"  # noqa: S608 - columns of ours
            f" ARRAY[{columns}],"
            " ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
            "       WHERE m.member = r.oid),"
            " ARRAY(SELECT ARRAY[coalesce(d.datname, '')::text, c] FROM pg_db_role_setting s"
            "       LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c"
            "       WHERE s.setrole = r.oid)"
            " FROM pg_roles r WHERE rolname::text = ANY(%s)",
            [list(names)],
        )
        return {row[0]: _role_of(*row[1:]) for row in rows}

    def _verifier(self, user: str, password: str) -> sql.Literal:
        encrypted = self._connection.pgconn.encrypt_password(
            password.encode(), user.encode(), b"scram-sha-256"
        )
        return sql.Literal(encrypted.decode())

    def _run(self, statement: sql.Composed) -> None:
        self._connection.execute(statement)


def _existing(roles: Mapping[str, _Role], name: str) -> _Role:
    if name not in roles:
        raise TargetRefused(f"there is no user {name!r} on the server", reason="no-user", remedy="Create it.")
    return roles[name]


def _role_of(
    limit: int, until: str, flags: list[bool], groups: list[str], pairs: list[tuple[str, str]]
) -> _Role:
    settings: dict[str, dict[str, str]] = {}
    for database, pair in pairs:
        name, _, text = pair.partition("=")
        settings.setdefault(database, {})[name] = text
    return _Role(dict(zip(_ATTRIBUTES, flags, strict=True)), limit, until, frozenset(groups), settings)


def _setting(name: str, text: str) -> sql.Composable:
    """A stored setting's text as it is written in ALTER ROLE … SET."""
    if name not in _QUOTED_LISTS:
        return sql.Literal(text)
    found = re.findall(r'"((?:[^"]|"")*)"|([^",\s]+)', text)
    return sql.SQL(", ").join(sql.Literal(quoted.replace('""', '"') or plain) for quoted, plain in found)
