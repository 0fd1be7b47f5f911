"""A private Valkey server on loopback, for this process alone, where Valkey is installed."""

from __future__ import annotations

from rotators.local.servers.redis import RedisServer, find_redis


class ValkeyServer(RedisServer):
    """As RedisServer; see there. The program is ``valkey-server``, found by VALKEY_BIN or on PATH."""

    engine = "valkey"
    product = "valkey"


def open_server() -> ValkeyServer:
    """A private server for `rotators up`; not started yet."""
    return ValkeyServer()


def small_server() -> ValkeyServer:
    """A private server for tests that rotate very often; not started yet.

    Raises:
        ServerNotFound: there is no Valkey on this machine.
    """
    find_redis("valkey")
    return ValkeyServer()
