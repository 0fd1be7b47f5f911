"""A session of Amazon Redshift; `rotators/engines/redshift/__init__.py` lists the differences.

Separate from the engine because it needs the driver, which steps that touch no target must not import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres.resets import correct_password, expired
from rotators.engines.postgres.roles import Connection
from rotators.engines.postgres.session import PostgresSession, connected
from rotators.engines.redshift.passwords import form_of, stored_form
from rotators.engines.redshift.users import (
    RedshiftUser,
    find_user,
    is_administrator,
    read_user,
    refuse_owner,
    require_no_more,
    require_pair,
    require_shared,
    synchronise,
)
from rotators.logins.causes import failure
from rotators.logins.connecting import STATEMENT_SECONDS
from rotators.logins.scram import matches
from rotators.strategies.engine import Engine
from rotators.strategies.preflight import Demands

_MOST_FAILED = 5
"""Default of max_failed_login_attempts."""
_SUPERUSER = "CREATEUSER, which makes a superuser"
_NO_LOCKOUT = (errors.SyntaxError, errors.UndefinedObject, errors.InsufficientPrivilege)


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[RedshiftSession]:
    """Log in, and yield the session. See ``connected`` of PostgreSQL.

    Args:
        secret: value to log in with.
        settings: settings of the function; its trusted roots.
        engine: engine with the default port and database.

    Raises:
        TargetRefused: also with the reason ``blocked``, for a user that is locked (NOLOGIN).
    """
    form = form_of(secret)
    if "for_dbname" in secret:
        # An admin looks at the rights and objects of the users' database: the views show no other one.
        secret = secret.replace(dbname=secret.text("for_dbname"))
    try:
        with connected(secret, settings, engine) as connection:
            connection.prepare_threshold = None  # the driver discards prepared statements with DEALLOCATE ALL
            connection.execute(f"SET statement_timeout TO {STATEMENT_SECONDS * 1000:.0f}".encode())
            yield RedshiftSession(connection, secret.text("username"), form)
    except TargetRefused as refused:
        if refused.reason != "no-login":
            raise
        raise failure("blocked", f"Unable to log in as {secret.text('username')!r}") from None


class RedshiftSession(PostgresSession):
    """One login to Amazon Redshift; see strategies/engine.py for the operations.

    Args:
        connection: connection in autocommit mode.
        user: user that was requested.
        form: form in which new passwords are sent.

    Attributes:
        account: name of the user.
        behind_pooler: False; nothing in the protocol shows a pooler in front of Redshift.
    """

    behind_pooler = False

    def __init__(self, connection: Connection, user: str, form: str) -> None:
        super().__init__(connection, user, form)
        self._pairs: dict[
            str, tuple[RedshiftUser, RedshiftUser]
        ] = {}  # proven originals and clones, by the clone's name

    def check(self, other: str = "") -> None:
        """See Session.check. Of two users that take turns, none may own objects of this database."""
        row = self._connection.execute("SELECT current_user").fetchone()
        if row is None or row[0] != self._user:
            raise TargetRefused(f"the server logged {self._user!r} in as another user", reason="user")
        if other:
            refuse_owner(self._connection, self._user, other)

    def set_credential(self, user: str, password: str) -> None:
        """See Session.set_credential. A reset by an admin unlocks the user.

        The clone of a pair that was proven before also gets the original's groups and roles.
        """
        statement = self._alter(user)
        with self._connection.transaction():
            self._change_password(statement, user, password)
            if user in self._pairs:
                synchronise(self._connection, *self._pairs[user])

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool = True) -> None:
        """See Session.require_resettable. A lock that the server itself has set does not prevent a reset."""
        del tls
        if read_user(self._connection, user).expired:
            raise expired(user)
        lock = self._lock(user)
        if lock == "manual":
            raise TargetRefused(
                f"user {user!r} was locked by an administrator",
                reason="locked",
                remedy="Ask who locked it. To unlock it: ALTER USER … LOGIN PASSWORD, as administrator.",
            )
        query = "SELECT passwd FROM pg_catalog.pg_shadow WHERE usename = %s"
        row = self._connection.execute(query, [user]).fetchone()
        stored = str(row[0] or "") if row else ""  # empty if the server does not show it
        if lock is None and any(_belongs(stored, user, password) for password in rejected):
            raise correct_password(user)

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed. The limit is the same for all users."""
        del user
        with suppress(psycopg.Error, ValueError):
            [limit] = self._connection.execute("SHOW max_failed_login_attempts").fetchone() or [_MOST_FAILED]
            return int(limit) - 1
        return _MOST_FAILED - 1

    def require_clone(self, of: str, clone: str) -> None:
        """See Session.require_clone. Either of the two may be the original."""
        self._require_insight()
        one, two = read_user(self._connection, of), read_user(self._connection, clone)
        if two.mark in one.groups:
            require_pair(two, one)
            require_no_more(one, two)
        else:
            require_pair(one, two)
            self._pairs[clone] = one, two
        for user in (one, two):
            require_shared(self._connection, user)
        self.require_resettable(clone, ())

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        """See Session.ensure_clone. It uses one transaction: a clone without its rights is never visible."""
        self._require_insight()
        one, found = read_user(self._connection, of), find_user(self._connection, clone)
        require_pair(one, found or RedshiftUser(clone, groups=frozenset({one.mark})))
        for user in (one, found) if found else (one,):
            require_shared(self._connection, user)
            self.require_resettable(user.name, ())
        statement = self._alter(clone) if found else "CREATE USER {} PASSWORD {}"
        marks = self._connection.execute("SELECT 1 FROM pg_catalog.pg_group WHERE groname = %s", [one.mark])
        marked = marks.fetchone() is not None
        with self._connection.transaction():
            self._change_password(statement, clone, password)
            if not marked:
                self._connection.execute(sql.SQL("CREATE GROUP {}").format(sql.Identifier(one.mark)))
            synchronise(self._connection, one, found or RedshiftUser(clone))

    def writable(self) -> bool:
        """See Preflight.writable. A cluster has no read-only nodes."""
        return True

    def demands(self) -> Demands:
        """See Preflight.demands. The server checks them only in clear text, so they are checked here."""
        return Demands(length=8, digits=1, lower=1, upper=1)

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        read_user(self._connection, user)
        return "" if read_user(self._connection, self._user).superuser else _SUPERUSER

    def missing_for_clone(self, of: str) -> str:
        """See Preflight.missing_for_clone. Only superusers change groups."""
        return self.missing_for_reset(of)

    def _is_administrator(self, user: str) -> bool:
        self._require_insight()
        return is_administrator(self._connection, read_user(self._connection, user))

    def _require_insight(self) -> None:
        """Check that the views show the rights of other users, which they do for superusers only."""
        if self.missing_for_reset(self._user):
            raise TargetRefused(
                f"the admin {self._user!r} may not see the rights of other users, or change groups",
                reason="admin-rights",
                remedy=f"Name a superuser in masterarn ({_SUPERUSER}).",
            )

    def _lock(self, user: str) -> str | None:
        """Return the kind of lock (``automatic``, ``manual``); None without one or if it cannot be seen."""
        try:
            rows = self._connection.cursor(row_factory=dict_row).execute("SHOW USER LOCKOUT").fetchall()
        except _NO_LOCKOUT:
            return None
        return {row["user_name"]: row["lock_reason"] for row in rows}.get(user) or None

    def _alter(self, user: str) -> LiteralString:
        """Return the statement that sets a password. For another user, it also ends a lock."""
        locked = user != self._user and self._lock(user) is not None
        return "ALTER USER {} LOGIN PASSWORD {}" if locked else "ALTER USER {} PASSWORD {}"

    def _change_password(self, statement: LiteralString, user: str, password: str) -> None:
        stored = sql.Literal(stored_form(self._form, user, password))
        self._connection.execute(sql.SQL(statement).format(sql.Identifier(user), stored))


def _belongs(stored: str, user: str, password: str) -> bool:
    """Return True if a stored hash is the password's. Form of sha256: CREATE USER, ``sha256|digest|salt``."""
    form, _, rest = stored.partition("|")
    if form != "sha256":
        return bool(matches(stored, user, password))
    digest, _, salt = rest.partition("|")
    try:
        salted = password.encode() + bytes.fromhex(salt)
    except ValueError:
        return False
    return hashlib.sha256(salted).hexdigest() == digest.lower()
