"""Transactions that no setting of a user, database or environment affects.

A user, or the owner of a database, may store settings that apply from the login on: time limits, a search
path, another role, read-only transactions. Every statement of a rotation runs in a transaction that sets all
of them again, LOCAL to it, because behind a pooler the server's connection serves another client next. One
message begins the transaction and sets them, so that no limit on idle transactions can end it in between.

Sources: PostgreSQL manual, "Client Connection Defaults", ALTER ROLE, "Version and Platform Compatibility".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors

from rotators.logins.connecting import SESSION_SECONDS, STATEMENT_SECONDS

READ, WRITE = "READ ONLY", "READ WRITE"

_ATTEMPTS = 5
_PINNED = {
    "statement_timeout": f"'{STATEMENT_SECONDS:.0f}s'",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": f"'{SESSION_SECONDS:.0f}s'",
    # pg_temp is named last; if it is not named, it comes first.
    "search_path": "pg_catalog, pg_temp",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "DateStyle": "'ISO'",
    "TimeZone": "'UTC'",
}
_SINCE = (  # by the release that introduced it
    (160000, "createrole_self_grant", "''"),
    (170000, "transaction_timeout", "0"),
)
_OWN_ROLE = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;"
# A password must survive a crash of the server, even if the user's settings permit the loss of its data.
_DURABLE = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'local', true)"
    " WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off';"
)


@contextmanager
def pinned(connection: psycopg.Connection[Any], access: str, *, acting: bool = False) -> Iterator[None]:
    """Run the block in a transaction in which only its own settings apply.

    It commits unless the block raises.

    Args:
        connection: connection in autocommit mode.
        access: READ, which also works on a standby, or WRITE.
        acting: True to keep the role that the login set; False to act as the logged-in user.

    Raises:
        psycopg.Error: the server refused the transaction.
    """
    _begin(connection, _opening(connection, access, acting=acting))
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            connection.rollback()
        raise
    connection.commit()


def _begin(connection: psycopg.Connection[Any], opening: bytes) -> None:
    """Begin; repeat if the user's time limit, which applies until it is replaced, ends this message."""
    for attempt in range(_ATTEMPTS):
        try:
            connection.execute(opening)
        except (errors.QueryCanceled, errors.LockNotAvailable):
            connection.rollback()
            if attempt == _ATTEMPTS - 1:
                raise
        except psycopg.Error:
            with suppress(psycopg.Error):
                connection.rollback()
            raise
        else:
            return


def _opening(connection: psycopg.Connection[Any], access: str, *, acting: bool) -> bytes:
    version = connection.info.server_version
    settings = _PINNED | {name: value for since, name, value in _SINCE if version >= since}
    return (
        f"BEGIN ISOLATION LEVEL READ COMMITTED, {access}, NOT DEFERRABLE;"
        + "".join(f"SET LOCAL {name} = {value};" for name, value in settings.items())
        + ("" if acting else _OWN_ROLE)
        + (_DURABLE if access == WRITE else "")
    ).encode()
