"""A private PostgreSQL server instead of Amazon Redshift: its users may have md5 passwords."""

from __future__ import annotations

from rotators.local.servers.postgres import PostgresServer


class RedshiftStandIn(PostgresServer):
    """A PostgreSQL server whose users log in with md5 or SCRAM; see PostgresServer."""

    engine = "redshift"
    encryption = "md5"


SERVER = RedshiftStandIn
