"""A session of PostgreSQL; `rotators/engines/postgres/__init__.py` lists the differences from other targets.

Separate from the engine because it needs the driver, which steps that touch no target must not import.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import LiteralString

import psycopg
from psycopg import errors, sql

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres.bridge import Bridge
from rotators.engines.postgres.login import AuthenticationRequest
from rotators.engines.postgres.passwords import (
    PasswordForm,
    demands,
    keep_out_of_logs,
    stored_form,
    validation_failure,
)
from rotators.engines.postgres.pinning import READ, WRITE, pinned
from rotators.engines.postgres.resets import rejections_allowed, require_resettable
from rotators.engines.postgres.roles import (
    Connection,
    cannot_act,
    existing,
    is_administrator,
    may_become,
    missing_for_clone,
    missing_for_reset,
    prove_clone,
    read_acting,
    read_roles,
    second_users_with_objects,
    synchronise,
)
from rotators.logins.causes import CONNECT_SECONDS, failure
from rotators.logins.connecting import (
    SESSION_SECONDS,
    STATEMENT_SECONDS,
    addresses_with_time,
    cut_after,
    sends_clear_text,
    trusted_roots,
)
from rotators.logins.target import port_of
from rotators.strategies.engine import Engine
from rotators.strategies.preflight import Demands

_SHORTEST_ATTEMPT = 1.0  # seconds


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[PostgresSession]:
    """Log in, and yield the session. See ``connected``.

    Args:
        secret: value to log in with.
        settings: settings of the function; its trusted roots.
        engine: engine with the default port and database.
    """
    form = PasswordForm.CLEAR if sends_clear_text(secret) else settings.password_encryption
    with connected(secret, settings, engine) as connection:
        yield PostgresSession(connection, secret.text("username"), form)


@contextmanager
def connected(secret: Secret, settings: Settings, engine: Engine) -> Iterator[Connection]:
    """Log in, and yield the connection, in autocommit mode.

    The login takes at most five seconds in all, name resolution and TLS included.

    Args:
        secret: value to log in with.
        settings: settings of the function; its trusted roots.
        engine: engine with the default port and database.

    Yields:
        The connection.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused: as for Engine.login, and of each statement.
    """
    user = secret.text("username")
    roots = trusted_roots(secret, settings, "PGSSLROOTCERT")
    port = port_of(secret, engine.default_port)
    bridge = _connected(
        AuthenticationRequest(secret, port, secret.text("dbname", engine.target_defaults["dbname"]), roots)
    )
    connection = bridge.connection
    try:
        with cut_after(SESSION_SECONDS, connection.fileno()) as silent:
            yield connection
    except psycopg.Error as error:
        if silent.is_set():
            raise TargetUnavailable(
                "the server stopped answering during a statement", reason="silent"
            ) from None
        raise _statement_failure(error, user) from None
    finally:
        bridge.close()


def _connected(request: AuthenticationRequest) -> Bridge:
    """Try the host's addresses in turn under one deadline; the first one that answers decides."""
    deadline = time.monotonic() + CONNECT_SECONDS
    failed = failure("timeout", f"Unable to log into database at {request.where}")
    host = request.secret.text("host")
    for address, share in addresses_with_time(host, request.port, deadline, _SHORTEST_ATTEMPT):
        try:
            return Bridge(request, address, share)
        except TargetUnavailable as error:
            failed = error
    raise failed from None


def _statement_failure(error: psycopg.Error, user: str) -> RotatorFailure:
    """Return the failure with the target's message, without the statement: it contains a verifier."""
    said = f"as {user!r}: {error.diag.message_primary or type(error).__name__} (SQLSTATE {error.sqlstate})"
    if isinstance(error, errors.ReadOnlySqlTransaction) or "during recovery" in str(error):
        return TargetRefused(
            f"the server is read-only, {said}",
            reason="read-only",
            remedy="Use the writer's endpoint as the secret's host, not a reader's.",
        )
    if error.sqlstate in _TIME_LIMITS or "idle-session timeout" in str(error):
        return TargetRefused(
            f"a time limit of the user's own ended the session, {said}",
            reason="time-limit",
            remedy="ALTER ROLE … RESET idle_session_timeout, or raise it to a minute.",
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


# PostgreSQL manual, Appendix A: time-outs of idle sessions, idle transactions and transactions.
_TIME_LIMITS = frozenset({"57P05", "25P03", "25P04"})


def _passing(error: psycopg.Error) -> bool:
    """Return True if the statement may succeed later: no SQLSTATE, connection, resources, or a conflict."""
    state = error.sqlstate
    return state is None or state[:2] in {"08", "40", "53", "57", "XX"} or state in {"42710", "23505"}


class PostgresSession:
    """One login to PostgreSQL; see strategies/engine.py for the operations.

    Args:
        connection: connection in autocommit mode.
        user: user that was requested.
        form: form in which new passwords are sent.
    """

    def __init__(self, connection: Connection, user: str, form: str = PasswordForm.SCRAM) -> None:
        self._connection = connection
        self._user = user
        self._form = form
        self.account = user

    @property
    def behind_pooler(self) -> bool:
        """See Session.behind_pooler. A pooler reports its own process id for cancelling."""
        with self._reading():
            row = self._connection.execute("SELECT pg_backend_pid()").fetchone()
        return row is None or row[0] != self._connection.info.backend_pid

    def set_credential(self, user: str, password: str) -> None:
        """See Session.set_credential. A verifier is sent, unless the secret asks for clear text.

        A user's own password is changed only if testSecret, which makes the same checks, can pass afterwards.
        """
        if user == self._user:
            self.check()
        with self._writing():
            self._change_password("ALTER ROLE {} PASSWORD {}", user, password)

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Session.require_resettable. Access rules that require TLS cause a different error."""
        del tls
        with self._reading():
            require_resettable(self._connection, user, rejected)

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed. The limit is the same for all users."""
        del user
        with self._reading():
            return rejections_allowed(self._connection)

    def check(self, other: str = "") -> None:
        """See Session.check. If the server cannot set a role at the login, it only warns there."""
        with self._reading(acting=True):
            acting = read_acting(self._connection)
            owners = (
                second_users_with_objects(self._connection, acting.current, (self._user, other))
                if other
                else []
            )
        if acting.session != self._user:
            raise TargetRefused(
                f"the server logged {self._user!r} in as another user (a pg_ident map?)", reason="user"
            )
        if acting.wanted not in {None, "none", acting.current}:
            raise cannot_act(self._user, str(acting.wanted))
        if owners:
            raise TargetRefused(
                f"user {owners[0]!r} acts as {acting.current!r} and yet owns objects itself, which "
                f"{acting.current!r} cannot use",
                reason="ownership",
                remedy=f"In each database: REASSIGN OWNED BY {owners[0]} TO {acting.current}. Then find the "
                "cause: on some versions a pooler's DISCARD ALL ends the role (docs/reference/postgres.md).",
            )

    def require_ordinary(self, user: str) -> None:
        """See Session.require_ordinary."""
        if self._is_administrator(user):
            raise TargetRefused(
                f"user {user!r} is an administrator, and none of its stored passwords logs in",
                reason="administrator",
                remedy="Store its working password by PutSecretValue; masterarn resets no administrators.",
            )

    def require_clone(self, of: str, clone: str) -> None:
        """See Session.require_clone. Either of the two may be the original."""
        with self._reading():
            roles = read_roles(self._connection, of, clone)
            one, other = existing(roles, of), existing(roles, clone)
            if not (clone in one.groups and may_become(self._connection, of, clone)):
                prove_clone(one, other)
            require_resettable(self._connection, clone, ())

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        """See Session.ensure_clone. It uses one transaction: a clone without its rights is never visible."""
        with self._writing():
            roles = read_roles(self._connection, of, clone)
            original = existing(roles, of)
            # The clone gets the original's expiry of the password and limit of connections.
            require_resettable(self._connection, of, ())
            if clone in roles:
                prove_clone(original, existing(roles, clone))
                self._change_password("ALTER ROLE {} PASSWORD {}", clone, password)
            else:
                names = sql.Identifier(clone), sql.Identifier(of)
                self._change_password("CREATE ROLE {} LOGIN PASSWORD {}", clone, password)
                self._connection.execute(sql.SQL("GRANT {1} TO {0}").format(*names))
                roles |= read_roles(self._connection, clone)
            synchronise(self._connection, original, roles[clone])

    def writable(self) -> bool:
        """See Preflight.writable."""
        with self._reading():
            row = self._connection.execute("SELECT pg_is_in_recovery()").fetchone()
        return bool(row and not row[0])

    def demands(self) -> Demands:
        """See Preflight.demands. Of the known modules, only credcheck refuses the verifier that is sent."""
        with self._reading():
            return demands(self._connection, clear=self._form == PasswordForm.CLEAR)

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        with self._reading():
            return missing_for_reset(self._connection, existing(read_roles(self._connection, user), user))

    def missing_for_clone(self, of: str) -> str:
        """See Preflight.missing_for_clone."""
        with self._reading():
            return missing_for_clone(self._connection, existing(read_roles(self._connection, of), of))

    def _is_administrator(self, user: str) -> bool:
        with self._reading():
            existing(read_roles(self._connection, user), user)
            return is_administrator(self._connection, user)

    def _reading(self, *, acting: bool = False) -> AbstractContextManager[None]:
        return pinned(self._connection, READ, acting=acting)

    def _writing(self) -> AbstractContextManager[None]:
        return pinned(self._connection, WRITE)

    def _change_password(self, statement: LiteralString, user: str, password: str) -> None:
        """Run a statement with a user's name and its new password, in the form that the server is to get."""
        reported = self._connection.info.parameter_status("scram_iterations") or ""
        iterations = int(reported) if reported.isascii() and reported.isdigit() else None
        if self._form == PasswordForm.CLEAR:
            keep_out_of_logs(self._connection)
        try:
            self._connection.execute(
                sql.SQL(statement).format(
                    sql.Identifier(user), sql.Literal(stored_form(self._form, user, password, iterations))
                )
            )
        except psycopg.Error as error:
            refused = validation_failure(error, user)
            if refused is None:
                raise
            raise refused from None
