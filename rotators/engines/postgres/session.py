"""A login to PostgreSQL and what is done in it; `rotators/engines/postgres/` says how this target differs.

Apart from the engine, because it needs the driver, which the steps that touch no target are not to import.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import errors, sql

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.engines.postgres.bridge import Bridge
from rotators.engines.postgres.login import Request
from rotators.engines.postgres.passwords import (
    Form,
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
    cut_after,
    resolved,
    sends_clear_text,
    trusted_roots,
)
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine
    from rotators.strategies.preflight import Demands

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
    form = Form.CLEAR if sends_clear_text(secret) else settings.password_encryption
    port = port_of(secret, engine.default_port)
    bridge = _connected(Request(secret, port, secret.text("dbname", engine.target_defaults["dbname"]), roots))
    connection = bridge.connection
    try:
        with cut_after(SESSION_SECONDS, connection.fileno()) as silent:
            yield PostgresSession(connection, user, form)
    except psycopg.Error as error:
        if silent.is_set():
            raise TargetUnavailable("the server fell silent during a statement", reason="silent") from None
        raise _statement_failure(error, user) from None
    finally:
        bridge.close()


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


# PostgreSQL manual, Appendix A: the idle-session, idle-in-transaction and transaction time-outs.
_TIME_LIMITS = frozenset({"57P05", "25P03", "25P04"})


def _passing(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later: no SQLSTATE, connection, resources, or two at once."""
    state = error.sqlstate
    return state is None or state[:2] in {"08", "40", "53", "57", "XX"} or state in {"42710", "23505"}


class PostgresSession:
    """One login to PostgreSQL; see strategies/engine.py for the moves.

    Args:
        connection: in autocommit mode.
        user: who was asked for.
        form: in which form new passwords are sent.
    """

    def __init__(self, connection: Connection, user: str, form: str = Form.SCRAM) -> None:
        self._connection = connection
        self._user = user
        self._form = form
        self.account = user

    @property
    def behind_pooler(self) -> bool:
        """See Session.behind_pooler. A pooler names a process of its own for cancelling."""
        with self._reading():
            row = self._connection.execute("SELECT pg_backend_pid()").fetchone()
        return row is None or row[0] != self._connection.info.backend_pid

    def set_credential(self, user: str, password: str) -> None:
        """See Session.set_credential. A verifier is sent, unless the secret asks for clear text.

        A user's own is changed only if testSecret, which checks the same, can pass afterwards.
        """
        if user == self._user:
            self.check()
        with self._writing():
            self._change_password("ALTER ROLE {} PASSWORD {}", user, password)

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Session.require_resettable. Access rules that need TLS have an error of their own."""
        del tls
        with self._reading():
            require_resettable(self._connection, user, rejected)

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed. The limit is the same for all users."""
        del user
        with self._reading():
            return rejections_allowed(self._connection)

    def check(self, other: str = "") -> None:
        """See Session.check. A role that the server could not set at the login is only a warning there."""
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
        with self._reading():
            existing(read_roles(self._connection, user), user)
            administrator = is_administrator(self._connection, user)
        if administrator:
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
                prove_clone(of, one, clone, other)
            require_resettable(self._connection, clone, ())

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        """See Session.ensure_clone. One transaction: a clone without its rights is never seen."""
        with self._writing():
            roles = read_roles(self._connection, of, clone)
            original = existing(roles, of)
            # The clone gets the limits of the original: the end of its password, the number of connections.
            require_resettable(self._connection, of, ())
            if clone in roles:
                prove_clone(of, original, clone, existing(roles, clone))
                self._change_password("ALTER ROLE {} PASSWORD {}", clone, password)
            else:
                names = sql.Identifier(clone), sql.Identifier(of)
                self._change_password("CREATE ROLE {} LOGIN PASSWORD {}", clone, password)
                self._connection.execute(sql.SQL("GRANT {1} TO {0}").format(*names))
                roles |= read_roles(self._connection, clone)
            synchronise(self._connection, of, original, clone, roles[clone])

    def writable(self) -> bool:
        """See Preflight.writable."""
        with self._reading():
            row = self._connection.execute("SELECT pg_is_in_recovery()").fetchone()
        return bool(row and not row[0])

    def demands(self) -> Demands:
        """See Preflight.demands. Of the known modules, only credcheck refuses the verifier that is sent."""
        with self._reading():
            return demands(self._connection, clear=self._form == Form.CLEAR)

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        with self._reading():
            target = existing(read_roles(self._connection, user), user)
            return missing_for_reset(self._connection, user, target)

    def missing_for_clone(self, of: str) -> str:
        """See Preflight.missing_for_clone."""
        with self._reading():
            original = existing(read_roles(self._connection, of), of)
            return missing_for_clone(self._connection, of, original)

    def _reading(self, *, acting: bool = False) -> AbstractContextManager[None]:
        return pinned(self._connection, READ, acting=acting)

    def _writing(self) -> AbstractContextManager[None]:
        return pinned(self._connection, WRITE)

    def _change_password(self, statement: LiteralString, user: str, password: str) -> None:
        """Run a statement with a user's name and its new password, in the form that the server is to get."""
        reported = self._connection.info.parameter_status("scram_iterations") or ""
        iterations = int(reported) if reported.isascii() and reported.isdigit() else None
        if self._form == Form.CLEAR:
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
