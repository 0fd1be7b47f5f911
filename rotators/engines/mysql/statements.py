"""A login to MySQL or MariaDB: its settings, its account, and the statements that change an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymysql

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.engines.mysql.authentication import MySqlConnection
from rotators.engines.mysql.failures import (
    EXPIRED,
    invalid_password,
    no_hashes,
    number_of,
    refuses_hash,
    refuses_password,
    says_nothing,
)
from rotators.engines.mysql.rights import EXACT, Account
from rotators.logins.causes import failure
from rotators.logins.connecting import STATEMENT_SECONDS, sends_clear_text

# Longer than a session may last, so it ends only sessions whose client has disappeared.
_IDLE_SECONDS = 10
_THREADS = 2**32  # the handshake shows the lower half of a connection's number


class ServerAccount(str):
    """An account as a session names it: ``user@host``, with the two parts kept separate.

    Only a session creates one. A name from a secret is always a user name, whatever characters it contains: a
    user may be called ``app@%``.

    Args:
        parts: user and host.
    """

    __slots__ = ("parts",)
    parts: Account

    def __new__(cls, parts: Account) -> ServerAccount:
        """Create it from user and host."""
        made = super().__new__(cls, str(parts))
        made.parts = parts
        return made


class DatabaseSession:
    """Common base of all sessions; the operations on accounts are in ``accounts.py``.

    Args:
        connection: connection whose login was accepted; no statement was run.
        secret: value that the connection logged in with.

    Attributes:
        behind_pooler: True if the greeting's number differs from that of the server's connection.
    """

    mode = "STRICT_ALL_TABLES"
    time_limit = f"SESSION max_execution_time = {STATEMENT_SECONDS * 1000:.0f}"

    def __init__(self, connection: MySqlConnection, secret: Secret) -> None:
        self._connection = connection
        self._user = secret.text("username")
        self._clear_text = sends_clear_text(secret)
        self._chosen: Account | None = None
        self._seen = ""
        self.behind_pooler = False
        self._begin()

    @property
    def account(self) -> ServerAccount:
        """Return the account that the server chose for this login.

        Raises:
            TargetRefused: it belongs to another user than requested; nothing may be done in its name.
        """
        return ServerAccount(self._own())

    def check(self, other: str = "") -> None:
        """See Session.check. A server may treat an unknown user as its anonymous one.

        Objects have no owners here, so ``other`` has no effect.
        """
        del other
        self._own()

    def _own(self) -> Account:
        if self._chosen is None:
            # In the sandbox of an expired password this fails with an error that says so.
            self._identify()
        chosen = self._chosen
        if chosen is None or chosen.user != self._user:
            raise TargetRefused(
                f"the server logged {self._user!r} in as another user, {str(chosen)!r}", reason="user"
            )
        return chosen

    @property
    def _expired(self) -> bool:
        """Return True if the session is in the sandbox of a user whose password has expired."""
        return self._chosen is None

    def _begin(self) -> None:
        """Set every setting that affects the statements of a rotation, then read the account of the session.

        Users, init_connect and the server's options may set them otherwise: fewer rows than there are,
        another character set, quotes with another meaning, or transactions that may not write. Roles are
        left alone: they can only add rights.
        """
        try:
            self._rows(
                "SET NAMES utf8mb4, SESSION autocommit = 1, SESSION lc_messages = 'en_US',"
                f" SESSION sql_mode = '{self.mode}', SESSION sql_quote_show_create = 1,"
                " SESSION sql_select_limit = 18446744073709551615,"
                f" SESSION lock_wait_timeout = {STATEMENT_SECONDS:.0f},"
                # A lock of a client that disappeared is held until the server ends the session.
                f" SESSION wait_timeout = {_IDLE_SECONDS}, {self.time_limit}"
            )
            self._rows("SET SESSION TRANSACTION READ WRITE")
            self._identify()
        except pymysql.Error as error:
            if number_of(error) != EXPIRED:
                raise

    def _identify(self) -> None:
        rows = self._rows("SELECT CURRENT_USER(), USER(), CONNECTION_ID()")
        try:
            [(chosen, asked, number)] = rows
            user, _, host = text_of(chosen).rpartition("@")
            self._seen = text_of(asked).rpartition("@")[2]
            self.behind_pooler = int(number) % _THREADS != self._connection.number % _THREADS
        except (AttributeError, TypeError, ValueError):
            raise failure("protocol", f"asking who {self._user!r} is") from None
        self._chosen = Account(user, host)

    def _change(self, statement: Callable[[bool], str], account: Account | None = None) -> None:
        """Run a statement that sets a password.

        Args:
            statement: function that returns the statement with a hash or, given True, with the password in
                clear text: used if the server accepts no hash and the secret allows clear text.
            account: account to alter; None for the session's own.

        Raises:
            TargetRefused: the server's password validation refused the password.
        """
        refused = self._refusal(statement(False), account, clear=False)
        if refused is None:
            return
        takes_clear = self._clear_text and self._connection.protected
        if not takes_clear or statement(True) == statement(False):
            raise refused
        refused = self._refusal(statement(True), account, clear=True)
        if refused is not None:
            raise refused

    def _refusal(self, statement: str, account: Account | None, *, clear: bool) -> TargetRefused | None:
        """Run a statement; return the refusal of the password validation, if there is one."""
        try:
            self._run(statement)
        except pymysql.Error as error:
            if refuses_hash(error):
                return no_hashes(self._validators())
            if refuses_password(error):
                return invalid_password(error, self._validators())
            # MariaDB gives the same error for a missing user and for a refused password.
            if not says_nothing(error) or account is None:
                raise
            if account not in self._accounts(account.user):
                raise missing(str(account)) from None
            validators = self._validators()
            if not validators:
                raise
            return invalid_password(error, validators) if clear else no_hashes(validators)
        return None

    def _validators(self) -> tuple[str, ...]:
        """Return the names of the server's active plugins that validate passwords."""
        rows = self._rows(
            "SELECT PLUGIN_NAME FROM information_schema.PLUGINS"
            " WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE'"
        )
        return tuple(text_of(name) for (name,) in rows)

    def _accounts(self, user: str) -> list[Account]:
        """Return the accounts of a user. The server's default comparison ignores trailing blanks."""
        rows = self._rows(
            "SELECT User, Host FROM mysql.user"
            " WHERE Host <> '' AND CAST(User AS BINARY) = CAST(%(user)s AS BINARY)",
            user=user,
        )
        return sorted(Account(*map(text_of, row)) for row in rows)

    def _account(self, name: str) -> Account:
        """Return the account that a session named, or the only account of a user."""
        user = name.parts.user if isinstance(name, ServerAccount) else name
        found = self._accounts(user)
        if isinstance(name, ServerAccount):
            found = [account for account in found if account == name.parts]
        if not found:
            raise missing(name)
        if len(found) > 1:
            raise TargetRefused(
                f"user {name!r} has several accounts: {', '.join(str(account) for account in found)}",
                reason="ambiguous",
                remedy="Store a password with which it logs in: the login tells which account is meant.",
            )
        return found[0]

    def _is_own(self, user: str) -> bool:
        return not isinstance(user, ServerAccount) and user == self._user

    def _literal(self, text: str) -> str:
        with self._connection.cursor() as cursor:
            return str(cursor.mogrify("%s", (text,)))

    def _rows(self, query: str, **values: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def _rows_of(self, account: Account, query: str, condition: str = "", **values: str) -> list[Any]:
        """Return the rows of one account, by the columns User and Host.

        The default comparison of these columns ignores trailing blanks.
        """
        where = f"{EXACT} AND {condition}" if condition else EXACT
        return self._rows(f"{query} WHERE {where}", **values, **account._asdict())

    def _run(self, statement: str) -> None:
        self._rows(statement)


def missing(name: str) -> TargetRefused:
    """Return the refusal for a user that does not exist.

    Args:
        name: name of the user.
    """
    return TargetRefused(f"there is no user {name!r} on the server", reason="no-user", remedy="Create it.")


def text_of(value: str | bytes) -> str:
    """Return a column's text.

    Args:
        value: text, or the bytes that some servers return.
    """
    return value.decode() if isinstance(value, bytes) else value
