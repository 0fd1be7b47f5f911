"""Drivers of PostgreSQL in applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotators.core.errors import InvalidInput
from rotators.core.secret import Secret
from rotators.engines.postgres import PostgresEngine
from rotators.engines.postgres.messages import MESSAGES
from rotators.logins.arguments import application_settings, where
from rotators.logins.connecting import trusted_roots, wants_tls
from rotators.logins.driver import Arguments, ClientSide, Driver, common_kind, judge_of
from rotators.logins.target import port_of

_PORT = PostgresEngine.default_port
_COMMON = ("asyncpg", "pg8000")
_REQUIRE_AUTH = 160000
"""First version of libpq that supports ``require_auth``."""


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **where(secret, given, "hostaddr", "service"),
        "port": port_of(secret, _PORT),
        "dbname": secret.text("dbname", PostgresEngine.target_defaults["dbname"]),
        "user": secret.text("username"),
        "password": secret.text("password"),
        **_tls_parameters(secret),
    }


def _tls_parameters(secret: Secret) -> dict[str, Any]:
    if wants_tls(secret):
        roots = trusted_roots(secret, application_settings(), "PGSSLROOTCERT")
        return {"sslmode": "verify-full", "sslrootcert": roots}
    import psycopg  # noqa: PLC0415 - the driver, when first needed

    # An impostor of the server could ask for the password itself.
    checked = {"require_auth": "!password"} if psycopg.pq.version() >= _REQUIRE_AUTH else {}
    return {"sslmode": "disable", **checked}


def _unpacked(args: tuple[Any, ...], given: dict[str, Any]) -> Arguments:
    """Return psycopg's arguments with the parts of a connection string as keyword arguments."""
    if args and isinstance(args[0], str):
        return ("", *args[1:]), {**_conninfo_parts(args[0]), **given}
    if isinstance(conninfo := given.get("conninfo"), str):
        others = {name: value for name, value in given.items() if name != "conninfo"}
        return args, {**_conninfo_parts(conninfo), **others}
    return args, given


def _conninfo_parts(conninfo: str) -> dict[str, Any]:
    from psycopg import ProgrammingError  # noqa: PLC0415 - the driver, when first needed
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same

    try:
        return dict(conninfo_to_dict(conninfo))
    except ProgrammingError:
        pass
    # The string is not shown, because it may contain a password.
    raise InvalidInput("the connection string is none of libpq's", remedy="Pass keyword arguments.")


def _without_dsn(args: tuple[Any, ...], given: dict[str, Any]) -> Arguments:
    if args or "dsn" in given:
        raise InvalidInput("a connection string given for psycopg2", remedy="Pass keyword arguments.")
    return args, given


PSYCOPG = Driver(
    "psycopg",
    _parameters,
    judge_of(MESSAGES, "psycopg"),
    engine="postgres",
    # psycopg accepts whole seconds, at least two.
    limit=lambda seconds: {"connect_timeout": max(2, int(seconds))},
    unpacked=_unpacked,
    shortest=2.0,
    port=_PORT,
)
CLIENT_SIDE = ClientSide(
    engines=dict.fromkeys((*PostgresEngine.names, "postgresql"), "postgres"),
    port=_PORT,
    target_defaults=PostgresEngine.target_defaults,
    words=("postgres",),
    messages=MESSAGES,
    drivers=(
        PSYCOPG,
        common_kind("psycopg2", judge_of(MESSAGES), "postgres", unpacked=_without_dsn),
        *(common_kind(name, judge_of(MESSAGES), "postgres") for name in _COMMON),
    ),
)
