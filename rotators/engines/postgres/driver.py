"""PostgreSQL's drivers in applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.core.errors import InvalidInput
from rotators.engines.postgres.messages import PATTERNS, server_words
from rotators.logins.connecting import trusted_roots, wants_tls
from rotators.logins.driver import (
    ClientSide,
    Driver,
    Verdict,
    application_settings,
    common_kind,
    is_of,
    verdict_on,
    where,
)
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.secret import Secret
    from rotators.logins.driver import Arguments

_PORT = 5432
_REQUIRE_AUTH = 160000
"""The first version of libpq that knows ``require_auth``."""


def _judge(error: Exception) -> Verdict:
    return verdict_on(server_words(str(error)), PATTERNS)


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **where(secret, given, "hostaddr", "service"),
        "port": port_of(secret, _PORT),
        "dbname": secret.text("dbname") if secret.get("dbname") else "postgres",
        "user": secret.text("username"),
        "password": secret.text("password"),
        **_tls_parameters(secret),
    }


def _tls_parameters(secret: Secret) -> dict[str, Any]:
    if wants_tls(secret):
        roots = trusted_roots(secret, application_settings(), "PGSSLROOTCERT")
        return {"sslmode": "verify-full", "sslrootcert": roots}
    import psycopg  # noqa: PLC0415 - the driver, when first needed

    # Whoever answers could ask for the password itself.
    checked = {"require_auth": "!password"} if psycopg.pq.version() >= _REQUIRE_AUTH else {}
    return {"sslmode": "disable", **checked}


def _unpacked(args: tuple[Any, ...], given: dict[str, Any]) -> Arguments:
    """The arguments of psycopg with the parts of a connection string by name."""
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
    # It is not shown, for it may hold a password.
    raise InvalidInput("the connection string is none of libpq's", remedy="Pass keyword arguments.")


def _without_dsn(args: tuple[Any, ...], given: dict[str, Any]) -> Arguments:
    if args or "dsn" in given:
        raise InvalidInput("a connection string given for psycopg2", remedy="Pass keyword arguments.")
    return args, given


def _common(name: str, **more: Any) -> Driver:
    return common_kind(name, "postgres", lambda error, _: _judge(error), **more)


PSYCOPG = Driver(
    "psycopg",
    _parameters,
    lambda error, _: _judge(error) if is_of(error, "psycopg") else Verdict.OTHER,
    engine="postgres",
    # psycopg counts in whole seconds, from two up.
    limit=lambda seconds: {"connect_timeout": max(2, int(seconds))},
    unpacked=_unpacked,
    shortest=2.0,
    port=_PORT,
)
CLIENT_SIDE = ClientSide(
    engines={"postgres": "postgres", "aurora-postgresql": "postgres", "postgresql": "postgres"},
    port=_PORT,
    words=("postgres", "redshift"),
    judge=_judge,
    drivers=(
        PSYCOPG,
        _common("asyncpg"),
        _common("pg8000"),
        _common("psycopg2", unpacked=_without_dsn),
        _common("redshift_connector"),
    ),
)
