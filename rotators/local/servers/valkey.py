"""A private Valkey server on loopback, for this process alone, where Valkey is installed."""

from __future__ import annotations

from rotators.local.servers.redis import RedisServer


class ValkeyServer(RedisServer):
    """See RedisServer. The program is ``valkey-server``, found by VALKEY_BIN or on PATH."""

    engine = "valkey"
    required = False
    product = "valkey"


SERVER = ValkeyServer
