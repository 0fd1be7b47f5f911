"""Forms in which a new password is sent to PostgreSQL, and refusals by modules that validate passwords.

Sources: PostgreSQL manual, CREATE ROLE, password_encryption, "passwordcheck"; the manual of credcheck.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING

from rotators.core.errors import TargetRefused
from rotators.logins.scram import md5_verifier, verifier
from rotators.strategies.preflight import Demands

if TYPE_CHECKING:
    import psycopg

    from rotators.engines.postgres.roles import Connection

# Source files of PostgreSQL itself that can refuse ALTER ROLE; a refusal from another file is a module's.
_CORE = frozenset({"acl.c", "aclchk.c", "auth.c", "crypt.c", "guc.c", "superuser.c", "user.c"})
_VALIDATION = frozenset({"22023", "28000"})
# A superuser can keep a statement out of the server's log and statistics; others cannot change these.
_QUIET = (
    "log_statement = 'none'",
    "log_min_duration_statement = -1",
    "log_min_duration_sample = -1",
    "log_transaction_sample_rate = 0",
    "log_min_error_statement = 'panic'",
    '"pg_stat_statements.track_utility" = off',
    '"auto_explain.log_min_duration" = -1',
)


class PasswordForm(StrEnum):
    """Form of a new password."""

    SCRAM = "scram-sha-256"
    MD5 = "md5"
    CLEAR = "clear"


def stored_form(form: str, user: str, password: str, iterations: int | None) -> str:
    """Return the password as ALTER ROLE gets it.

    Args:
        form: one of Form.
        user: user of the password; part of an MD5 hash.
        password: in clear text.
        iterations: number that the server sets for new SCRAM verifiers; None if it does not report one.
    """
    if form == PasswordForm.CLEAR:
        return password
    return md5_verifier(user, password) if form == PasswordForm.MD5 else verifier(password, iterations)


def keep_out_of_logs(connection: Connection) -> None:
    """Keep the transaction's next statements out of the server's log, if the session's user may set that.

    Args:
        connection: connection in a transaction.
    """
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").fetchone()
    if row and row[0]:
        connection.execute("".join(f"SET LOCAL {setting};" for setting in _QUIET).encode())


def validation_failure(error: psycopg.Error, user: str) -> TargetRefused | None:
    """Return the failure if a module of the server refused a password; None for any other error.

    The server names the source file that raised the error, and thereby the module.

    Args:
        error: error of the driver.
        user: user of the password; shown in the message.
    """
    source = error.diag.source_file or ""
    if error.sqlstate not in _VALIDATION or not source or source in _CORE:
        return None
    module = PurePath(source).stem
    return TargetRefused(
        f"the server's module {module} did not accept the new password of {user!r}: "
        f"{error.diag.message_primary}",
        reason="validation",
        remedy="Adapt the function's password settings (PASSWORD_LENGTH, EXCLUDE_…) or the module's rules. "
        'If it accepts no hashes: set credcheck.encrypted_password_allowed to on, or "clear_text": true in '
        "the secret (docs/reference/postgres.md).",
    )


def demands(connection: Connection, *, clear: bool) -> Demands:
    """Return the requirements of the module credcheck for new passwords; it checks only clear text.

    Args:
        connection: connection in a transaction.
        clear: True if new passwords are sent in clear text.
    """
    names = ("length", "digit", "lower", "upper", "special")
    columns = ", ".join(f"current_setting('credcheck.password_min_{name}', true)" for name in names)
    row = connection.execute(
        f"SELECT current_setting('credcheck.encrypted_password_allowed', true), {columns}".encode()
    ).fetchone()
    hashes, *least = row or (None,) * 6
    if not clear:
        return Demands(takes_hashes=hashes != "off")
    length, digits, lower, upper, special = (int(value) if value else 0 for value in least)
    return Demands(length, digits, lower, upper, special)
