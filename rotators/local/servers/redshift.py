"""A private PostgreSQL server in place of Amazon Redshift: its users may have md5 passwords."""

from __future__ import annotations

from collections.abc import Mapping

from rotators.local.servers.postgres import PostgresServer, find_binaries


class RedshiftStandIn(PostgresServer):
    """A PostgreSQL server whose users log in with md5 or SCRAM; see PostgresServer.

    Args:
        settings: lines of postgresql.conf beside the defaults.
        tls: True to demand TLS.
    """

    engine = "redshift"
    encryption = "md5"

    def __init__(self, settings: Mapping[str, str] | None = None, *, tls: bool = True) -> None:
        kind = "hostssl" if tls else "host"
        super().__init__(
            settings={**(settings or {}), **({} if tls else {"ssl": "off"})},
            hba=[f"{kind} all all 127.0.0.1/32 md5"],
            binaries=find_binaries(),
        )


def open_server() -> RedshiftStandIn:
    """Return a private server for `rotators up`, not started yet."""
    return RedshiftStandIn()


def small_server() -> RedshiftStandIn:
    """Return a private server without TLS, for tests that rotate very often, not started yet.

    Raises:
        ServerNotFound: there is no PostgreSQL on this machine.
    """
    return RedshiftStandIn(tls=False)
