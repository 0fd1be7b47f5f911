"""Stand-in for the statements about locked users, which PostgreSQL does not have.

A proxy in front of PostgreSQL replaces their texts by queries of a table and a setting. NOLOGIN locks a user
there as on Amazon Redshift; no server counts rejected logins. Nothing here was compared with Redshift.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from rotators.testing._proxy import Proxy

if TYPE_CHECKING:
    import socket

    from rotators.local.servers.redshift import RedshiftStandIn

_REPLACED = {
    b"SHOW USER LOCKOUT": b"SELECT user_name, is_locked, lock_reason FROM public.stand_in_lockout",
    b"SHOW max_failed_login_attempts": b"SELECT 3",
}
LIMIT = 3
# Redshift's catalogue lists locked users; PostgreSQL's lists no role without LOGIN.
_OR_LOCKED = " OR pg_authid.rolname IN (SELECT user_name::name FROM public.stand_in_lockout)"


class LockoutProxy(Proxy):
    """Forwards connections without TLS, and replaces the texts of two statements.

    Args:
        server: server without TLS.
    """

    def __init__(self, server: RedshiftStandIn) -> None:
        super().__init__(server.port)
        self._server = server
        server.execute(
            "CREATE TABLE IF NOT EXISTS public.stand_in_lockout"
            " (user_name text, is_locked boolean, lock_reason text)"
        )
        [(shadow,)] = server.execute("SELECT pg_get_viewdef('pg_catalog.pg_shadow')")
        if "stand_in_lockout" not in shadow:
            listed = shadow.rstrip().rstrip(";") + _OR_LOCKED
            server.execute(
                f"SET allow_system_table_mods = on; CREATE OR REPLACE VIEW pg_catalog.pg_shadow AS {listed}"
            )

    def lock(self, user: str, reason: str) -> None:
        """Lock a user: ``automatic`` by the server, or ``manual`` by an administrator."""
        self._server.execute(f"ALTER ROLE {user} NOLOGIN")
        self._server.execute("INSERT INTO public.stand_in_lockout VALUES (%s, true, %s)", [user, reason])

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        if source.getsockname()[1] != self.port:  # from the server
            super()._pump(source, sink)
            return
        with suppress(OSError, struct.error):
            sink.sendall(_exactly(source, struct.unpack("!i", _peek(source, 4))[0]))  # the start-up message
            while True:
                kind, length = struct.unpack("!ci", _exactly(source, 5))
                body = _exactly(source, length - 4)
                if kind == b"Q":
                    text = body.rstrip(b"\0")
                    body = _REPLACED.get(text, text) + b"\0"
                sink.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        sink.close()
        source.close()


def _peek(source: socket.socket, count: int) -> bytes:
    import socket as sockets  # noqa: PLC0415 - one flag

    return source.recv(count, sockets.MSG_PEEK | sockets.MSG_WAITALL)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise OSError
        data += part
    return data
