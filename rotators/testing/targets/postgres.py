"""The kit's target for rotators of PostgreSQL: a private server, or one of the user's own."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from psycopg import sql

from rotators.testing.recorder import Hook, Kind, words
from rotators.testing.target import Target, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.servers.postgres import ExternalPostgres, PostgresServer

_SUFFIX = "_clone"


def _text(arguments: tuple[Any, ...]) -> str:
    query = arguments[1]
    if isinstance(query, sql.Composable):
        return words(query.as_string(None))
    return words(query.decode() if isinstance(query, bytes) else str(query))


def _ends_well(arguments: tuple[Any, ...]) -> str | None:
    """A transaction that ends with an error is rolled back, which a death does as well."""
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


class PostgresTarget(Target):
    """Users of a PostgreSQL server.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = POSTGRES_OPERATIONS
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
        "quote'pass\"word",
        "per%cent%s%(x)s",
        "back\\slash\\word",
        "  spaces  ",
        "日本語のパスワード",
        "semi;colon--$$",
    )

    def __init__(self, server: PostgresServer | ExternalPostgres) -> None:
        self._server = server
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._admin: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        """Give up the administrator's session."""
        if self._admin is not None:
            self._admin.close()

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        # Closed by a letter, so that no user's name begins with another's.
        return self._create(f"{name or 'kit'}_{self._run}_{next(self._numbers)}x", password)

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self._create(name, None)

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        try:
            self._connect(value).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                return False
            raise
        return True

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        password = _password()
        self._execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(value["username"]), self._verifier(value["username"], password)
            )
        )
        return {**value, "password": password}

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        rows = self._execute(_ROLES, [_original(value)])
        for row in rows:
            self._execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(row[0])))

    def admin(self) -> Value:
        """See Target.admin."""
        return self._server.secret()

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        name = _original(value)
        return [
            [str(column).replace(name, "~") if isinstance(column, str | list) else column for column in row]
            for row in self._execute(_ROLES, [name])
        ]

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        found = self._execute(
            "SELECT count(*) FROM pg_stat_activity WHERE starts_with(usename::text, %s)", [_original(value)]
        )
        return int(found[0][0])

    def port(self, value: Mapping[str, Any]) -> int:
        """See Target.port."""
        return int(value["port"])

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

    def _create(self, name: str, password: str | None) -> Value:
        password = password or _password()
        self._execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(name), self._verifier(name, password)
            )
        )
        return self._server.secret(name, password)

    def _verifier(self, name: str, password: str) -> sql.Literal:
        pgconn = self._session().pgconn
        return sql.Literal(
            pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        )

    def _execute(self, statement: str | sql.Composed, params: Sequence[object] | None = None) -> list[Any]:
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = self._session().execute(query, params)
        return cursor.fetchall() if cursor.description else []

    def _session(self) -> psycopg.Connection[Any]:
        if self._admin is None or self._admin.closed:
            self._admin = self._connect(self._server.secret())
        return self._admin

    @staticmethod
    def _connect(value: Mapping[str, Any]) -> psycopg.Connection[Any]:
        roots = value.get("sslrootcert")
        tls: dict[str, Any] = (
            {"sslmode": "verify-full", "sslrootcert": roots} if roots else {"sslmode": "disable"}
        )
        return psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value["dbname"],
            autocommit=True,
            connect_timeout=10,
            **tls,
        )


def _original(value: Mapping[str, Any]) -> str:
    return str(value["username"]).removesuffix(_SUFFIX)


def _password() -> str:
    return f"pw-{secrets.token_hex(12)}"
