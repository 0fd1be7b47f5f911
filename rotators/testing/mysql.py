"""The kit's target for rotators of MariaDB and MySQL: a private server."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

import pymysql

from rotators.testing.recorder import Hook, Kind, words
from rotators.testing.target import Target, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.mariadb import MariaDbServer

_SUFFIX = "_clone"
_REJECTED = 1045


def _statement(arguments: tuple[Any, ...]) -> str:
    query = arguments[1]
    return words(query.decode(errors="replace") if isinstance(query, bytes) else str(query))


MYSQL_OPERATIONS = (
    Hook("pymysql.connections:Connection.connect", Kind.CONNECT, lambda _: "connect"),
    Hook("pymysql.connections:Connection.query", Kind.STATEMENT, _statement),
    Hook("pymysql.connections:Connection.commit", Kind.COMMIT, lambda _: "COMMIT"),
)
"""Statements about accounts commit by themselves, so COMMIT occurs with strangers' rotators only."""


class MariaDbTarget(Target):
    """Users of a MariaDB server, with the host pattern ``%``.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = MYSQL_OPERATIONS
    # MySQL takes 32 bytes, of which the kit's numbers and the twin's suffix need some.
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent%s",
        "Camel Case",
        "ünïcødé",
        "back\\slash;--",
        "back`tick@x",
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        "quote'pass\"word",
        "per%cent%s%(x)s",
        "back\\slash\\word",
        "  spaces  ",
        "日本語のパスワード",
        "semi;colon--`",
    )

    def __init__(self, server: MariaDbServer) -> None:
        self._server = server
        self._run = secrets.token_hex(2)
        self._numbers = itertools.count(1)
        self._admin: pymysql.Connection[Any] | None = None

    def close(self) -> None:
        """Give up the administrator's session."""
        if self._admin is not None:
            self._admin.close()

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        # Closed by a letter, so that no user's name begins with another's.
        return self._create(f"{name or 'kit'}_{self._run}{next(self._numbers)}x", password)

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self._create(name, None)

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        try:
            self._connect(value).close()
        except pymysql.OperationalError as error:
            if error.args[0] == _REJECTED:
                return False
            raise
        return True

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        password = _password()
        self._execute(f"ALTER USER %s@'%%' {self._identified(password)}", value["username"])
        return {**value, "password": password}

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        for name in self._users(value):
            for role in self._marks(name):
                self._execute(f"DROP ROLE {role}")
            self._execute("DROP USER %s@'%%'", name)

    def admin(self) -> Value:
        """See Target.admin."""
        return self._server.secret()

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint: requirements, limits, number of passwords, and grants without hashes."""
        found = []
        for name in self._users(value):
            requirements = self._execute(
                "SELECT ssl_type, ssl_cipher, x509_issuer, x509_subject, max_questions, max_updates,"
                " max_connections, max_user_connections FROM mysql.user WHERE User = %s",
                name,
            )
            grants = sorted(
                self._relative(str(row[0]), value) for row in self._execute("SHOW GRANTS FOR %s@'%%'", name)
            )
            found.append(
                (self._relative(name, value), [str(row) for row in requirements], self._two(name), grants)
            )
        return found

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        start = _original(value)
        rows = self._execute(
            "SELECT count(*) FROM information_schema.processlist WHERE LEFT(USER, CHAR_LENGTH(%s)) = %s",
            start,
            start,
        )
        return int(rows[0][0])

    def port(self, value: Mapping[str, Any]) -> int:
        """See Target.port."""
        return int(value["port"])

    def _create(self, name: str, password: str | None) -> Value:
        password = password or _password()
        self._execute(f"CREATE USER %s@'%%' {self._identified(password)}", name)
        return self._server.secret(name, password)

    def _identified(self, password: str) -> str:
        """The clause that sets a password, as a hash."""
        once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
        twice = hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
        return f"IDENTIFIED VIA mysql_native_password USING '*{twice}'"

    def _two(self, name: str) -> bool:
        """Whether a user has two passwords."""
        return bool(
            self._execute(
                "SELECT 1 FROM mysql.global_priv WHERE User = %s AND JSON_EXISTS(Priv, '$.auth_or')", name
            )
        )

    def _marks(self, name: str) -> list[str]:
        """The roles that a rotation made to mark a twin, as SQL writes them."""
        rows = self._execute(
            "SELECT Role FROM mysql.roles_mapping WHERE User = %s AND Role LIKE 'rotators\\_twin\\_%%'", name
        )
        return [f"`{row[0]}`" for row in rows]

    def _users(self, value: Mapping[str, Any]) -> list[str]:
        start = _original(value)
        rows = self._execute(
            "SELECT User FROM mysql.user WHERE Host <> '' AND LEFT(User, CHAR_LENGTH(%s)) = %s ORDER BY User",
            start,
            start,
        )
        return [str(row[0]) for row in rows]

    @staticmethod
    def _relative(text: str, value: Mapping[str, Any]) -> str:
        text = re.sub(r" IDENTIFIED (VIA|BY|WITH) .*?(?= REQUIRE| WITH GRANT| WITH MAX|$)", "", text)
        return re.sub(r"rotators_twin_\w+", "mark", text).replace(_original(value), "~")

    def _execute(self, statement: str, *params: object) -> list[Any]:
        if self._admin is None or not self._admin.open:
            self._admin = self._connect(self._server.secret())
        with self._admin.cursor() as cursor:
            cursor.execute(statement, params or None)
            return list(cursor.fetchall())

    @staticmethod
    def _connect(value: Mapping[str, Any]) -> pymysql.Connection[Any]:
        roots = value.get("sslrootcert")
        tls: dict[str, Any] = (
            {"ssl_ca": roots, "ssl_verify_identity": True} if roots else {"ssl_disabled": True}
        )
        return pymysql.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"].encode(),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=10,
            **tls,
        )


class MySqlTarget(MariaDbTarget):
    """Users of a MySQL server; it hides clear text in its logs by itself."""

    def _identified(self, password: str) -> str:
        literal = pymysql.converters.escape_string(password).replace("%", "%%")
        return f"IDENTIFIED WITH caching_sha2_password BY '{literal}'"

    def _two(self, name: str) -> bool:
        return bool(
            self._execute(
                "SELECT 1 FROM mysql.user WHERE User = %s"
                " AND JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password')",
                name,
            )
        )

    def _marks(self, name: str) -> list[str]:
        del name  # a twin is marked by an attribute of its own
        return []


def _original(value: Mapping[str, Any]) -> str:
    return str(value["username"]).removesuffix(_SUFFIX)


def _password() -> str:
    return f"pw-{secrets.token_hex(12)}"
