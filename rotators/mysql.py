"""MySQL and Aurora MySQL: engines ``mysql`` and ``aurora-mysql``.

How this target differs from others:

- An account is a user *and* a host pattern: ``'app'@'%'`` and ``'app'@'10.%'`` have their own passwords and
  rights. The account that a login's ``CURRENT_USER()`` names is the one that changes; a twin has its host.
- An admin sends hashes only (``IDENTIFIED WITH caching_sha2_password AS 0x…``). A user without CREATE USER
  may change its own password in clear text alone: that needs TLS. The server writes ``<secret>`` in its
  place into its logs, unless it runs with ``--log-raw``.
- There are no transactions around accounts: a twin is made with a password that nobody has and with its mark
  in one statement, is given all rights, and only then a password. So no crash leaves a login with less.
- A twin is proven by a mark that only an administrator can set: an attribute of the account (8.0.21).
- An account may have two passwords (8.0.14): the strategy ``dual``. To set both takes two statements, so
  sessions that set those of one account wait for each other (GET_LOCK).
- REQUIRE SSL is refused like a wrong password (error 1045); the server does not tell them apart.

Sources: MySQL 8.4 manual, ALTER USER, CREATE USER, GRANT, "Password Management".
"""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rotators.core.errors import TargetRefused, TargetUnavailable
from rotators.core.passwords import PasswordRules
from rotators.families.mysql_accounts import AccountSession
from rotators.families.mysql_rights import Account, Right, Role
from rotators.strategies.database import DatabaseRotator, require_driver
from rotators.strategies.hashes import caching_sha2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

_MARK = "rotators_twin_of"
_WAIT_SECONDS = 4
# Longer than a session may last, so that only one whose client has vanished is ended by it.
_IDLE_SECONDS = 10


def rotator() -> DatabaseRotator:
    """The entry point: the rotator of MySQL."""
    require_driver("pymysql")
    return DatabaseRotator(MySqlEngine())


class MySqlEngine:
    """MySQL's limits and its login."""

    names = frozenset({"mysql", "aurora-mysql"})
    default_port = 3306
    # Every server has it and every user may connect to it.
    default_dbname = "information_schema"
    longest_username = 32
    password_rules = PasswordRules(shortest=8, longest=128)
    two_passwords = True

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[MySqlSession]:
        """See Engine.login."""
        from rotators.families.mysql_connection import connected  # noqa: PLC0415 - the driver, when first needed

        with connected(secret, settings, self) as connection:
            yield MySqlSession(connection, secret.text("username"))


class MySqlSession(AccountSession):
    """One login to MySQL."""

    own_pair_rights = ("APPLICATION_PASSWORD_ADMIN", "CREATE USER")

    def _identified(self, password: str) -> str:
        return f"IDENTIFIED WITH caching_sha2_password AS 0x{caching_sha2(password).hex()}"

    def _set_own(self, password: str) -> None:
        self._require_tls()
        self._run(f"ALTER USER CURRENT_USER() IDENTIFIED BY {self._literal(password)}")

    def _set_two(self, target: str, old: str, new: str) -> None:
        self._wait_for_others(target)
        # The first makes the old one the primary password, whichever it was: what comes next retains that.
        self._run(f"ALTER USER {target} {self._identified(old)}")
        self._run(f"ALTER USER {target} {self._identified(new)} RETAIN CURRENT PASSWORD")

    def _set_own_two(self, old: str, new: str) -> None:
        self._wait_for_others(self._sql(self._own()))
        self._set_own(old)
        self._run(f"ALTER USER CURRENT_USER() IDENTIFIED BY {self._literal(new)} RETAIN CURRENT PASSWORD")

    def _wait_for_others(self, target: str) -> None:
        """Be the only one of our sessions that sets this account's pair, until this session ends.

        Between one session's statements another one's would make the new password both of the two.
        """
        # A lock outlives a client that vanished without a word, until the server ends the session.
        self._run(f"SET SESSION wait_timeout = {_IDLE_SECONDS}")
        name = "rotators_" + hashlib.sha256(target.encode()).hexdigest()[:32]
        if self._rows(f"SELECT GET_LOCK(%(name)s, {_WAIT_SECONDS})", name=name) != [(1,)]:
            raise TargetUnavailable(
                f"another session is setting the passwords of {target}, as {self._user!r}",
                reason="interrupted",
            )

    def _require_tls(self) -> None:
        if not self._rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]:
            raise TargetRefused(
                "a user's own change of password goes to MySQL in clear text, and this connection has no TLS",
                reason="clear-text",
                remedy='Remove "ssl": false from the secret, or let an admin rotate (masterarn).',
            )

    def _rights(self, account: Account) -> frozenset[Right]:
        rows = self._rows(
            "SELECT User_attributes -> '$.Restrictions' FROM mysql.user"
            " WHERE User = %(user)s AND Host = %(host)s AND User_attributes -> '$.Restrictions' IS NOT NULL",
            **account._asdict(),
        )
        if rows:
            raise TargetRefused(
                f"user {str(account)!r} has partial revokes, which its twin would lack",
                reason="partial-revokes",
                remedy="Use dual, or set alternate_username to a second user of your own.",
            )
        return super()._rights(account)

    def _create(self, twin: Account, of: Account) -> None:
        self._run(
            f"CREATE USER {self._sql(twin)} {self._identified(secrets.token_urlsafe(32))}"
            f" ATTRIBUTE {self._literal(json.dumps({_MARK: str(of)}))}"
        )

    def _is_marked(self, twin: Account, of: Account) -> bool:
        rows = self._rows(
            f"SELECT ATTRIBUTE ->> '$.{_MARK}' FROM information_schema.USER_ATTRIBUTES"  # noqa: S608 - a constant
            " WHERE CAST(USER AS BINARY) = CAST(%(user)s AS BINARY) AND HOST = %(host)s",
            **twin._asdict(),
        )
        return rows == [(str(of),)]

    def _marking(self, twin: Account, of: Account) -> str:
        return f"ALTER USER {self._sql(twin)} ATTRIBUTE {self._literal(json.dumps({_MARK: str(of)}))}"

    def _roles(self, account: Account) -> frozenset[Role]:
        rows = self._rows(
            "SELECT FROM_USER, FROM_HOST, WITH_ADMIN_OPTION = 'Y' FROM mysql.role_edges"
            " WHERE TO_USER = %(user)s AND TO_HOST = %(host)s",
            **account._asdict(),
        )
        return frozenset(Role(name, host, bool(admin)) for name, host, admin in rows)

    def _default_roles(self, account: Account) -> frozenset[tuple[str, str]]:
        rows = self._rows(
            "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles"
            " WHERE USER = %(user)s AND HOST = %(host)s",
            **account._asdict(),
        )
        return frozenset((name, host) for name, host in rows)

    def _set_default_roles(self, target: str, roles: frozenset[tuple[str, str]]) -> None:
        names = ", ".join(self._role(*role) for role in sorted(roles))
        self._run(f"ALTER USER {target} DEFAULT ROLE {names or 'NONE'}")

    def _role(self, name: str, host: str) -> str:
        return self._sql(Account(name, host))
