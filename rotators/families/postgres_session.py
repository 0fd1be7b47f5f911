"""A login to PostgreSQL and what is done in it; `rotators/postgres.py` says how this target differs.

Apart from the engine, because it needs the driver, which the steps that touch no target are not to import.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors, sql

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.families.postgres_bridge import Bridge
from rotators.families.postgres_login import Request
from rotators.families.postgres_roles import (
    Connection,
    existing,
    is_administrator,
    may_become,
    missing_for_reset,
    missing_for_twin,
    prove_twin,
    read_roles,
    synchronise,
)
from rotators.strategies.causes import CONNECT_SECONDS, failure
from rotators.strategies.connecting import (
    SESSION_SECONDS,
    STATEMENT_SECONDS,
    cut_after,
    resolved,
    trusted_roots,
)
from rotators.strategies.identity import port_of
from rotators.strategies.preflight import Demands

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

_PINNED = (
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),"
    f" pg_catalog.set_config('statement_timeout', '{STATEMENT_SECONDS:.0f}s', true),"
    " pg_catalog.set_config('DateStyle', 'ISO', true), pg_catalog.set_config('TimeZone', 'UTC', true)"
)
_OWN = ", pg_catalog.set_config('role', 'none', true)"

_SHORTEST_ATTEMPT = 1.0  # seconds


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[PostgresSession]:
    """Log in, and yield the session. At most five seconds in all, name resolution and TLS included.

    Args:
        secret: whose login.
        settings: of the function; its trusted roots.
        engine: its default port and database.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused: as for Engine.login, and of each statement.
    """
    user = secret.text("username")
    roots = trusted_roots(secret, settings, "PGSSLROOTCERT")
    port = port_of(secret, engine.default_port)
    bridge = _connected(Request(secret, port, secret.text("dbname", engine.default_dbname), roots))
    connection = bridge.connection
    try:
        with cut_after(SESSION_SECONDS, connection.fileno()) as silent:
            yield PostgresSession(connection, user)
    except psycopg.Error as error:
        if silent.is_set():
            raise TargetUnavailable("the server fell silent during a statement", reason="silent") from None
        raise _statement_failure(error, user) from None
    finally:
        bridge.close()


def tls_parameters(secret: Secret, settings: Settings) -> dict[str, str]:
    """The parameters of libpq for the encryption that a secret asks for; see ``trusted_roots``."""
    roots = trusted_roots(secret, settings, "PGSSLROOTCERT")
    return {"sslmode": "verify-full", "sslrootcert": roots} if roots else {"sslmode": "disable"}


def _connected(request: Request) -> Bridge:
    """Try the host's addresses in turn under one deadline; the first that answers decides."""
    deadline = time.monotonic() + CONNECT_SECONDS
    addresses = resolved(request.secret.text("host"), request.port)
    failed = failure("timeout", f"Unable to log into database at {request.where}")
    for position, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - position)
        if position and share < _SHORTEST_ATTEMPT:
            break
        try:
            return Bridge(request, address, share)
        except TargetUnavailable as error:
            failed = error
    raise failed from None


def _statement_failure(error: psycopg.Error, user: str) -> RotatorFailure:
    """The failure in the target's words. The statement is left out: it holds a verifier."""
    said = f"as {user!r}: {error.diag.message_primary or type(error).__name__} (SQLSTATE {error.sqlstate})"
    if isinstance(error, errors.ReadOnlySqlTransaction) or "during recovery" in str(error):
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
            remedy="Grant what the message names. An admin needs CREATEROLE, from PostgreSQL 16 on the ADMIN "
            "OPTION of both users, and each attribute and SET ON PARAMETER that the original has.",
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
        """See Session.set_password. Only a verifier is sent."""
        verifier = self._verifier(user, password)
        with self._transaction(own=user == self._user):
            self._alter_password(user, verifier)

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Session.require_resettable."""

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed."""
        del user
        return None

    @property
    def behind_pooler(self) -> bool:
        """See Session.behind_pooler."""
        return False

    def check(self) -> None:
        """See Session.check. A role that the server could not set at the login is only a warning there."""
        row = self._connection.execute(
            "SELECT session_user::pg_catalog.text, current_user::pg_catalog.text,"
            " (SELECT pg_catalog.substr(c, 6) FROM pg_catalog.pg_db_role_setting s"
            "  JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole"
            "  LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase,"
            "  pg_catalog.unnest(s.setconfig) AS c"
            "  WHERE r.rolname OPERATOR(pg_catalog.=) session_user"
            "  AND coalesce(d.datname, pg_catalog.current_database())"
            "      OPERATOR(pg_catalog.=) pg_catalog.current_database()"
            "  AND pg_catalog.starts_with(c, 'role=') ORDER BY s.setdatabase DESC LIMIT 1)"
        ).fetchone()
        logged_in, acting, wanted = row or (None, None, None)
        if logged_in != self._user:
            raise TargetRefused(
                f"the server logged {self._user!r} in as another user (a pg_ident map?)", reason="user"
            )
        if wanted not in {None, "none", acting}:
            raise TargetRefused(
                f"user {self._user!r} cannot act as {wanted!r}, which its role setting asks for",
                reason="role",
                remedy=f"GRANT {wanted} TO {self._user} (from PostgreSQL 16 on: WITH SET TRUE).",
            )

    def require_ordinary(self, user: str) -> None:
        """See Session.require_ordinary."""
        with self._transaction():
            existing(read_roles(self._connection, user), user)
            administrator = is_administrator(self._connection, user)
        if administrator:
            raise TargetRefused(
                f"user {user!r} is an administrator, and none of its stored passwords logs in",
                reason="administrator",
                remedy="Store its working password by PutSecretValue; masterarn resets no administrators.",
            )

    def require_twin(self, of: str, twin: str) -> None:
        """See Session.require_twin. Either of the two may be the original."""
        with self._transaction():
            roles = read_roles(self._connection, of, twin)
            one, other = existing(roles, of), existing(roles, twin)
            if twin in one.groups and may_become(self._connection, of, twin):
                return
            prove_twin(of, one, twin, other)

    def ensure_twin(self, of: str, twin: str, password: str) -> None:
        """See Session.ensure_twin. One transaction: a twin without its rights is never seen."""
        verifier = self._verifier(twin, password)
        with self._transaction():
            roles = read_roles(self._connection, of, twin)
            original = existing(roles, of)
            if twin in roles:
                prove_twin(of, original, twin, existing(roles, twin))
                self._alter_password(twin, verifier)
            else:
                names = sql.Identifier(twin), sql.Identifier(of)
                self._connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(names[0], verifier)
                )
                self._connection.execute(sql.SQL("GRANT {1} TO {0}").format(*names))
                roles |= read_roles(self._connection, twin)
            synchronise(self._connection, of, original, twin, roles[twin])

    def writable(self) -> bool:
        """See Preflight.writable."""
        row = self._connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
        return bool(row and not row[0])

    def demands(self) -> Demands:
        """See Preflight.demands. Of the known modules, only credcheck refuses the verifier that is sent."""
        with self._transaction():
            row = self._connection.execute(
                "SELECT current_setting('credcheck.encrypted_password_allowed', true)"
            ).fetchone()
        return Demands(takes_hashes=row is None or row[0] != "off")

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        with self._transaction():
            target = existing(read_roles(self._connection, user), user)
            return missing_for_reset(self._connection, user, target)

    def missing_for_twin(self, of: str) -> str:
        """See Preflight.missing_for_twin."""
        with self._transaction():
            original = existing(read_roles(self._connection, of), of)
            return missing_for_twin(self._connection, of, original)

    @contextmanager
    def _transaction(self, *, own: bool = False) -> Iterator[None]:
        """A transaction that no setting of a user, admin or database can turn aside.

        A database's owner may set another search_path, so names are pinned. A user may be read-only by
        default: writing is asked for, and a real standby still refuses. A user that acts as another one
        has lost the right to change its own password: for that it is itself again.

        Args:
            own: whether the session changes its own password.
        """
        self._connection.read_only = False
        with self._connection.transaction():
            self._connection.execute(_PINNED + (_OWN if own else ""))
            yield

    def _alter_password(self, user: str, verifier: sql.Literal) -> None:
        self._connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), verifier))

    def _verifier(self, user: str, password: str) -> sql.Literal:
        encrypted = self._connection.pgconn.encrypt_password(
            password.encode(), user.encode(), b"scram-sha-256"
        )
        return sql.Literal(encrypted.decode())
