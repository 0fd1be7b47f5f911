"""Checks that an admin makes before a reset: would a new password let the user of PostgreSQL log in?

"password authentication failed" also means that the password has expired, or that the server's access rule
does not accept the form in which it is stored. Only superusers can read hashes; properties that cannot be
read are assumed to be in order.

Sources: PostgreSQL manual, CREATE ROLE (VALID UNTIL, CONNECTION LIMIT), pg_authid, "Password Authentication";
Amazon RDS User Guide, "IAM database authentication" (rds_iam).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from rotators.core.errors import TargetRefused
from rotators.engines.postgres.roles import Connection, cannot_act, may_become, no_user
from rotators.logins.scram import matches

_NOT_BY_PASSWORD = ["rds_iam"]


class _State(NamedTuple):
    """Properties that may prevent a user from logging in.

    Attributes:
        can_login: the user's LOGIN attribute.
        limit: the user's connection limit; -1 for none.
        expired: time of expiry as text; None if the password is valid.
        no_password: role of the user whose members do not log in with passwords; None if there is none.
        readable: True if the stored hash may be read.
        role: role that the user's logins act as; None for the user itself.
    """

    can_login: bool
    limit: int
    expired: str | None
    no_password: str | None
    readable: bool
    role: str | None


def require_resettable(connection: Connection, user: str, rejected: Collection[str]) -> None:
    """Check that only the password keeps a user out, and that none of the rejected passwords is correct.

    Args:
        connection: an admin's connection, in a transaction.
        user: name of an existing user.
        rejected: passwords in clear text that the server did not accept.

    Raises:
        TargetRefused: with the reason ``no-login``, ``expired``, ``plugin``, ``role`` or
            ``correct-password``.
    """
    state = _state(connection, user)
    if not state.can_login:
        raise TargetRefused(f"user {user!r} may not log in", reason="no-login", remedy="ALTER ROLE … LOGIN.")
    if state.limit == 0:
        raise TargetRefused(
            f"user {user!r} has a connection limit of 0",
            reason="no-login",
            remedy="Raise its CONNECTION LIMIT.",
        )
    if state.expired:
        raise expired(user, f" at {state.expired} (UTC)")
    if state.no_password:
        raise TargetRefused(
            f"user {user!r} is a member of {state.no_password}, whose members do not log in with passwords",
            reason="plugin",
            remedy=f"REVOKE {state.no_password} from the user, or stop rotating its password.",
        )
    if state.role not in {None, "none", user} and not may_become(connection, user, str(state.role)):
        raise cannot_act(user, str(state.role))
    if state.readable and (stored := _hash(connection, user)):
        _require_wrong(user, stored, rejected)


def _require_wrong(user: str, stored: str, rejected: Collection[str]) -> None:
    if not any(matches(stored, user, password) for password in rejected):
        return
    if stored.startswith("md5"):
        raise TargetRefused(
            f"user {user!r} has the right password, stored as MD5; the access rule wants SCRAM",
            reason="correct-password",
            remedy="Set the same password again with password_encryption = 'scram-sha-256', or change the "
            "rule in pg_hba.conf to md5, which accepts both.",
        )
    raise correct_password(user)


def expired(user: str, at: str = "") -> TargetRefused:
    """Return the error for a user whose password has expired.

    Args:
        user: name of the user.
        at: time of the expiry, in words; empty if it is not known.
    """
    return TargetRefused(
        f"the password of user {user!r} expired{at}, and so would a new one",
        reason="expired",
        remedy="ALTER USER … VALID UNTIL a later time, or 'infinity'; then rotate again.",
    )


def correct_password(user: str) -> TargetRefused:
    """Return the error for a user whose password was rejected although it is the stored one.

    Args:
        user: name of the user.
    """
    return TargetRefused(
        f"user {user!r} has the right password, and yet its login was rejected; it was not changed",
        reason="correct-password",
        remedy="If another user or process has set it meanwhile, rotate again after ten minutes. Otherwise"
        " look at the server's log for the cause. If a pooler or proxy answers at the secret's host, give it"
        " the password, and name the server itself in the secret's admin_host.",
    )


def _state(connection: Connection, user: str) -> _State:
    row = connection.execute(
        "SELECT rolcanlogin, rolconnlimit,"
        " CASE WHEN rolvaliduntil < now() THEN rolvaliduntil::timestamp(0)::text END,"
        " (SELECT g.rolname::text FROM pg_roles g"
        "  WHERE g.rolname::text = ANY(%s) AND pg_has_role(r.oid, g.oid, 'MEMBER') AND NOT r.rolsuper"
        "  LIMIT 1),"
        " has_column_privilege('pg_authid', 'rolpassword', 'SELECT'),"
        # Not the settings for one database: the admin's database may differ from the user's.
        " (SELECT substr(c, 6) FROM pg_db_role_setting s, unnest(s.setconfig) AS c"
        "  WHERE s.setrole = r.oid AND s.setdatabase = 0 AND starts_with(c, 'role='))"
        " FROM pg_roles r WHERE rolname::text = %s",
        [_NOT_BY_PASSWORD, user],
    ).fetchone()
    if row is None:
        raise no_user(user)
    return _State(*row)


def _hash(connection: Connection, user: str) -> str | None:
    row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname::text = %s", [user]).fetchone()
    return row[0] if row else None


def rejections_allowed(connection: Connection) -> int | None:
    """Return how many logins in a row may be rejected: a limit of the module credcheck, which counts them.

    Args:
        connection: connection in a transaction.

    Returns:
        Number of logins; None if the module is not loaded, or locks no user.
    """
    row = connection.execute("SELECT current_setting('credcheck.max_auth_failure', true)").fetchone()
    limit = int(row[0]) if row and row[0] and row[0].isdigit() else 0
    return limit - 1 if limit else None
