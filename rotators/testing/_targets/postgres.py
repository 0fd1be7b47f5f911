"""Target of the kit for rotators of PostgreSQL: a private server, or the user's own server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, LiteralString

import psycopg
from psycopg import sql

from rotators.local.servers.postgres import ExternalPostgres, PostgresServer
from rotators.testing._recorder import Hook, Kind, words
from rotators.testing._target import HOSTILE_PASSWORDS, ServerTarget, Value


def _text(arguments: tuple[Any, ...]) -> str:
    query = arguments[1]
    if isinstance(query, sql.Composable):
        return words(query.as_string(None))
    return words(query.decode() if isinstance(query, bytes) else str(query))


def _ends_well(arguments: tuple[Any, ...]) -> str | None:
    """Return the name of a commit; None if the transaction fails.

    A failed transaction is rolled back, as after a crash.
    """
    return "COMMIT" if arguments[1] is None else None


POSTGRES_OPERATIONS = (
    Hook("psycopg:connect", Kind.CONNECT, lambda _: "connect"),
    Hook("psycopg:Transaction.__enter__", Kind.STATEMENT, lambda _: "BEGIN"),
    Hook("psycopg:Cursor.execute", Kind.STATEMENT, _text),
    Hook("psycopg:Transaction.__exit__", Kind.COMMIT, _ends_well),
    Hook("psycopg:Connection.commit", Kind.COMMIT, lambda _: "COMMIT"),
)

_ROLES = """
SELECT r.rolname::text, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
  r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text,
  ARRAY(SELECT g.rolname::text || ' ' || m.admin_option FROM pg_auth_members m
    JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1),
  ARRAY(SELECT s.setdatabase::text || ' ' || c FROM pg_db_role_setting s, unnest(s.setconfig) c
    WHERE s.setrole = r.oid ORDER BY 1)
FROM pg_roles r WHERE starts_with(r.rolname::text, %s) ORDER BY 1
"""


class PostgresTarget(ServerTarget):
    """Users of a PostgreSQL server.

    Args:
        server: running server.
    """

    operations: ClassVar[Sequence[Hook]] = POSTGRES_OPERATIONS
    commits: ClassVar[str] = "COMMIT"
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent %s %(x)s",
        "CamelCase with space",
        "ünïcødé-日本語",
        "back\\slash;semi--",
        "$$dollar{brace}",
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        *HOSTILE_PASSWORDS,
        "semi;colon--$$",
    )

    _server: PostgresServer | ExternalPostgres
    _admin: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        """See Target.close."""
        if self._admin is not None:
            self._admin.close()

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        return self._server.logs_in(value)

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        rows = self._execute(_ROLES, [self._original(value)])
        for row in rows:
            self._execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(row[0])))

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        name = self._original(value)
        return [
            [str(column).replace(name, "~") if isinstance(column, str | list) else column for column in row]
            for row in self._execute(_ROLES, [name])
        ]

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        found = self._execute(
            "SELECT count(*) FROM pg_stat_activity WHERE starts_with(usename::text, %s)",
            [self._original(value)],
        )
        return int(found[0][0])

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        self._execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(value["username"])))

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. An expired password is rejected like a wrong one."""
        return self._valid_until(value, "2001-01-01")

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._valid_until(value, "infinity")

    def _valid_until(self, value: Mapping[str, Any], until: str) -> bool:
        self._execute(
            sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(
                sql.Identifier(value["username"]), sql.Literal(until)
            )
        )
        return True

    def _create(self, name: str, password: str) -> Value:
        self._with_password("CREATE ROLE {} LOGIN PASSWORD {}", name, password)
        return self._server.secret(name, password)

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._with_password("ALTER ROLE {} PASSWORD {}", value["username"], password)

    def _with_password(self, statement: LiteralString, name: str, password: str) -> None:
        self._execute(self._server.with_verifier(statement, name, password, self._session()))

    def _execute(self, statement: str | sql.Composed, params: Sequence[object] | None = None) -> list[Any]:
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = self._session().execute(query, params)
        return cursor.fetchall() if cursor.description else []

    def _session(self) -> psycopg.Connection[Any]:
        if self._admin is None or self._admin.closed:
            self._admin = self._server.connect()
        return self._admin


TARGET = PostgresTarget
