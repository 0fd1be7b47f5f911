"""The kit's target for rotators of MariaDB and MySQL: a private server."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

import pymysql

from rotators.testing.recorder import Hook, Kind, words
from rotators.testing.target import Target, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.servers.mariadb import MariaDbServer

_SUFFIX = "_clone"
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
"""Statements about accounts commit by themselves, so COMMIT occurs with strangers' rotators only."""


class MariaDbTarget(Target):
    """Users of a MariaDB server, with a host pattern, a right, a role, a limit and a requirement.

    They have one of each, so that a clone is made in many statements, between which it lacks something.

    Args:
        server: a running server.

    Attributes:
        longest: of user names, in bytes, as the rotator counts them too.
    """

    longest: ClassVar[int] = 80

    operations: ClassVar[Sequence[Hook]] = MYSQL_OPERATIONS
    # MySQL takes 32 bytes, of which the kit's numbers and the clone's suffix need some.
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent%s",
        "Camel Case",
        "ünïcødé",
        "back\\slash;--",
        "back`tick@x",
        "x'@'y",
        # Cut, so that with the suffix of its clone it is as long as a name may be.
        "é" * 80,
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
        self._role = f"kitrole_{self._run}"
        self._roles_before: dict[str, set[str]] = {}
        self._admin: pymysql.Connection[Any] | None = None

    def close(self) -> None:
        """Remove the role of the users, and give up the administrator's session."""
        if self._admin is not None and self._admin.open:
            self._execute(f"DROP ROLE IF EXISTS {self._role}")
            self._admin.close()

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        # Closed by a letter, so that no user's name begins with another's.
        tail = f"_{self._run}{next(self._numbers)}x"
        room = self.longest - len(_SUFFIX) - len(tail)
        return self._create((name or "kit").encode()[:room].decode(errors="ignore") + tail, password)

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
        self._execute(f"ALTER USER %s@%s {self._identified(password)}", value["username"], _HOST)
        return {**value, "password": password}

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        for role in self._made_roles(value):
            self._execute(f"DROP ROLE {_quoted(role)}")
        for account in self._accounts(value):
            self._execute("DROP USER %s@%s", *account)

    def admin(self) -> Value:
        """See Target.admin."""
        return self._server.secret()

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
                # What comes behind is a hash; requirements and limits are above.
                (str(row[0]).split(" IDENTIFIED ")[0],)
                for row in self._execute("SHOW GRANTS FOR %s@%s", *account)
            )
            texts = [*account, *(str(column) for row in rows for column in row)]
            found.append([self._relative(text, value, made) for text in texts])
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

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. Who has no client certificate is rejected like who has a wrong password."""
        self._execute("ALTER USER %s@%s REQUIRE X509", value["username"], _HOST)
        return True

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._execute(f"ALTER USER %s@%s {self._requirement or 'REQUIRE NONE'}", value["username"], _HOST)

    @property
    def _requirement(self) -> str:
        return "REQUIRE SSL " if self._server.ca else ""

    def _create(self, name: str, password: str | None) -> Value:
        password = password or _password()
        before = self._all_roles()
        if self._role not in before:
            self._execute(f"CREATE ROLE {self._role}")
            before.add(self._role)
        self._roles_before.setdefault(name.removesuffix(_SUFFIX), before)
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
        """The clause that sets a password, as a hash."""
        once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
        twice = hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
        return f"IDENTIFIED VIA mysql_native_password USING '*{twice}'"

    def _more(self, name: str, host: str) -> list[Any]:
        """What only this server knows of an account: its limit of time, and whether it has two passwords."""
        return self._execute(
            "SELECT max_statement_time, JSON_EXISTS(Priv, '$.auth_or') FROM mysql.user JOIN mysql.global_priv"
            " USING (User, Host) WHERE User = %s AND Host = %s",
            name,
            host,
        )

    def _all_roles(self) -> set[str]:
        return {str(row[0]) for row in self._execute("SELECT User FROM mysql.user WHERE is_role = 'Y'")}

    def _made_roles(self, value: Mapping[str, Any]) -> list[str]:
        """The roles that came after a credential and are nobody else's: rotations made them."""
        new = self._all_roles() - self._roles_before.get(_original(value), self._all_roles())
        ours = {name for name, _ in self._accounts(value)} | {self._server.superuser}
        members = self._execute("SELECT Role, User FROM mysql.roles_mapping WHERE Host <> ''")
        return sorted(new - {role for role, user in members if user not in ours})

    def _accounts(self, value: Mapping[str, Any]) -> list[tuple[str, str]]:
        start = _original(value)
        rows = self._execute(
            "SELECT User, Host FROM mysql.user WHERE Host <> '' AND LEFT(User, CHAR_LENGTH(%s)) = %s"
            " ORDER BY User, Host",
            start,
            start,
        )
        return [(str(user), str(host)) for user, host in rows]

    @staticmethod
    def _relative(text: str, value: Mapping[str, Any], made: Sequence[str]) -> str:
        for number, role in enumerate(made, 1):
            text = text.replace(role, f"made {number}")
        name = _original(value)
        return text.replace(name.replace("`", "``"), "~").replace(name, "~")

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

    longest: ClassVar[int] = 32

    def _identified(self, password: str) -> str:
        literal = pymysql.converters.escape_string(password).replace("%", "%%")
        return f"IDENTIFIED WITH caching_sha2_password BY '{literal}'"

    @property
    def _default_role(self) -> str:
        return f"ALTER USER %s@%s DEFAULT ROLE {self._role}"

    def _more(self, name: str, host: str) -> list[Any]:
        """Attributes, whether it has two passwords, and default roles, which SHOW GRANTS leaves out."""
        return [
            *self._execute(
                "SELECT User_attributes -> '$.metadata',"
                " JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password')"
                " FROM mysql.user WHERE User = %s AND Host = %s",
                name,
                host,
            ),
            *self._execute(
                "SELECT DEFAULT_ROLE_USER FROM mysql.default_roles WHERE USER = %s AND HOST = %s ORDER BY 1",
                name,
                host,
            ),
        ]

    def _all_roles(self) -> set[str]:
        # A role is an account whose name begins with nobody's, so only the kit's own is of interest.
        rows = self._execute("SELECT User FROM mysql.user WHERE User = %s", self._role)
        return {str(row[0]) for row in rows}

    def _made_roles(self, value: Mapping[str, Any]) -> list[str]:
        """None: whatever a rotation makes here is an account, and found by its name."""
        del value
        return []


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _original(value: Mapping[str, Any]) -> str:
    return str(value["username"]).removesuffix(_SUFFIX)


def _password() -> str:
    return f"pw-{secrets.token_hex(12)}"
