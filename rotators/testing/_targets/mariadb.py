"""Target of the kit for rotators of MariaDB: a private server."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pymysql

from rotators.local.servers.mariadb import MariaDbServer
from rotators.testing._recorder import Hook, Kind, words
from rotators.testing._target import HOSTILE_PASSWORDS, ServerTarget, Value

_REJECTED = 1045
_HOST = "127.%"


def _statement(arguments: tuple[Any, ...]) -> str:
    query = arguments[1]
    return words(query.decode(errors="replace") if isinstance(query, bytes) else str(query))


MYSQL_OPERATIONS = (
    Hook("pymysql.connections:Connection.connect", Kind.CONNECT, lambda _: "connect"),
    Hook("pymysql.connections:Connection.query", Kind.STATEMENT, _statement),
    Hook("pymysql.connections:Connection.commit", Kind.COMMIT, lambda _: "COMMIT"),
)
"""Account statements commit implicitly, so only third-party rotators use COMMIT."""


class MariaDbTarget(ServerTarget):
    """Users of a MariaDB server, with a host pattern, a right, a role, a limit and a requirement.

    They have one of each, so that creating a clone takes many statements, between which it is incomplete.

    Args:
        server: running server.

    Attributes:
        longest: maximum length of user names in bytes, which is also how the rotator counts.
    """

    longest: ClassVar[int] = 80

    operations: ClassVar[Sequence[Hook]] = MYSQL_OPERATIONS
    commits: ClassVar[str] = "SET PASSWORD"
    # MySQL allows 32 bytes, some of which the kit's numbers and the clone's suffix need.
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent%s",
        "Camel Case",
        "ünïcødé",
        "back\\slash;-- #",
        "at@sign@%{x}",
        "back`tick@x",
        "x'@'y",
        # Cut, so that the name with its clone's suffix has the maximum length.
        "é" * 80,
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        *HOSTILE_PASSWORDS,
        "semi;colon--`",
    )

    _server: MariaDbServer

    def __init__(self, server: MariaDbServer) -> None:
        super().__init__(server)
        self._role = f"kitrole_{self._run}"
        self._roles_before: dict[str, set[str]] = {}
        self._admin: pymysql.Connection[Any] | None = None

    def close(self) -> None:
        """See Target.close. All users have one role."""
        if self._admin is not None and self._admin.open:
            self._execute(f"DROP ROLE IF EXISTS {self._role}")
            self._admin.close()

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        try:
            self._server.connect(value).close()
        except pymysql.OperationalError as error:
            if error.args[0] == _REJECTED:
                return False
            raise
        return True

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        for role in self._made_roles(value):
            self._execute(f"DROP ROLE {_quoted(role)}")
        for account in self._accounts(value):
            self._execute("DROP USER %s@%s", *account)

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint: requirements, limits, roles, second passwords, and grants without hashes."""
        made = self._made_roles(value)
        found: list[object] = [len(made)]
        for account in self._accounts(value):
            rows = self._execute(
                "SELECT ssl_type, ssl_cipher, x509_issuer, x509_subject, max_questions, max_updates,"
                " max_connections, max_user_connections FROM mysql.user WHERE User = %s AND Host = %s",
                *account,
            )
            rows += self._more(*account)
            rows += sorted(
                # The rest is a hash; requirements and limits are above.
                (str(row[0]).split(" IDENTIFIED ")[0],)
                for row in self._execute("SHOW GRANTS FOR %s@%s", *account)
            )
            texts = [*account, *(str(column) for row in rows for column in row)]
            found.append([self._relative(text, value, made) for text in texts])
        return found

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        start = self._original(value)
        rows = self._execute(
            "SELECT count(*) FROM information_schema.processlist WHERE LEFT(USER, CHAR_LENGTH(%s)) = %s",
            start,
            start,
        )
        return int(rows[0][0])

    def takes_name(self, name: str) -> bool:
        """See Target.takes_name. A character has at most three bytes; trailing spaces are cut off."""
        return max(name) <= "\uffff" and not {"Cs", "Cc", "Zs"} & set(map(unicodedata.category, name))

    def lookalikes(self, name: str) -> Sequence[str]:
        """See Target.lookalikes. Patterns match names and hosts."""
        return (*super().lookalikes(name), f"{name}@{_HOST}", "%")

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        self._execute("GRANT ALL ON *.* TO %s@%s WITH GRANT OPTION", value["username"], _HOST)

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. A missing client certificate gives the same error as a wrong password."""
        self._execute("ALTER USER %s@%s REQUIRE X509", value["username"], _HOST)
        return True

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._execute(f"ALTER USER %s@%s {self._requirement or 'REQUIRE NONE'}", value["username"], _HOST)

    @property
    def _requirement(self) -> str:
        return "REQUIRE SSL " if self._server.ca else ""

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._execute(f"ALTER USER %s@%s {self._identified(password)}", value["username"], _HOST)

    def _create(self, name: str, password: str) -> Value:
        before = self._all_roles()
        if self._role not in before:
            self._execute(f"CREATE ROLE {self._role}")
            before.add(self._role)
        self._roles_before.setdefault(name.removesuffix("_clone"), before)
        self._execute(
            f"CREATE USER %s@%s {self._identified(password)} {self._requirement}WITH MAX_USER_CONNECTIONS 50",
            name,
            _HOST,
        )
        self._execute("GRANT SELECT, INSERT ON kit.* TO %s@%s", name, _HOST)
        self._execute(f"GRANT {self._role} TO %s@%s", name, _HOST)
        self._execute(self._default_role, name, _HOST)
        return self._server.secret(name, password)

    @property
    def _default_role(self) -> str:
        return f"SET DEFAULT ROLE {self._role} FOR %s@%s"

    def _identified(self, password: str) -> str:
        """Return the server's clause for a password, in a statement with parameters."""
        return self._server.identified(password).replace("%", "%%")

    def _more(self, name: str, host: str) -> list[Any]:
        """Return properties that only this server has: a time limit, and whether there are two passwords."""
        return self._execute(
            "SELECT max_statement_time, JSON_EXISTS(Priv, '$.auth_or') FROM mysql.user JOIN mysql.global_priv"
            " USING (User, Host) WHERE User = %s AND Host = %s",
            name,
            host,
        )

    def _all_roles(self) -> set[str]:
        return {str(row[0]) for row in self._execute("SELECT User FROM mysql.user WHERE is_role = 'Y'")}

    def _made_roles(self, value: Mapping[str, Any]) -> list[str]:
        """Return the roles that rotations created for this credential only."""
        new = self._all_roles() - self._roles_before.get(self._original(value), self._all_roles())
        ours = {name for name, _ in self._accounts(value)} | {self._server.superuser}
        members = self._execute("SELECT Role, User FROM mysql.roles_mapping WHERE Host <> ''")
        return sorted(new - {role for role, user in members if user not in ours})

    def _accounts(self, value: Mapping[str, Any]) -> list[tuple[str, str]]:
        start = self._original(value)
        rows = self._execute(
            "SELECT User, Host FROM mysql.user WHERE Host <> '' AND LEFT(User, CHAR_LENGTH(%s)) = %s"
            " ORDER BY User, Host",
            start,
            start,
        )
        return [(str(user), str(host)) for user, host in rows]

    def _relative(self, text: str, value: Mapping[str, Any], made: Sequence[str]) -> str:
        for number, role in enumerate(made, 1):
            text = text.replace(role, f"made {number}")
        name = self._original(value)
        return text.replace(name.replace("`", "``"), "~").replace(name, "~")

    def _execute(self, statement: str, *params: object) -> list[Any]:
        if self._admin is None or not self._admin.open:
            self._admin = self._server.connect()
        with self._admin.cursor() as cursor:
            cursor.execute(statement, params or None)
            return list(cursor.fetchall())


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


TARGET = MariaDbTarget
