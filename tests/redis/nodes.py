"""Several private servers of Redis or Valkey with one certificate and one administrator."""

from __future__ import annotations

import itertools
import shutil
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rotators.local.servers.private import free_port
from rotators.local.servers.redis import RedisServer, password_hash
from tests.waiting import until
from tests.world import started

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SLOTS = 16384


class FurtherNode(RedisServer):
    """A server with the certificate and the administrator's password of another one."""

    def __init__(self, first: RedisServer, settings: Sequence[str], *, default_user: str = "off") -> None:
        super().__init__(settings, default_user=default_user)
        self._first = first
        self.engine, self.password = first.engine, first.password

    def _prepare(self) -> None:
        super()._prepare()
        self._program = (
            self._first.find()
        )  # of the same product, because a replica reads its primary's format
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(self._first.directory / name, self.directory / name)
        self.ca = self._first.ca


@contextmanager
def running(server: RedisServer) -> Iterator[RedisServer]:
    """Run a server during the block; the test is skipped if it is not installed."""
    started(server)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def primary_and_replica(
    password: str, server: type[RedisServer] = RedisServer
) -> Iterator[list[RedisServer]]:
    """A primary and a replica that logs in to it as the user ``default``.

    Args:
        password: password of that user on both servers.
        server: Redis or Valkey.
    """
    user = f"on {password_hash(password)} ~* &* +@all"
    shared = [
        f"masterauth {password}",
        "tls-replication yes",
        "replica-announce-ip localhost",
        # Otherwise, the primary waits five seconds for further replicas.
        "repl-diskless-sync-delay 0",
    ]
    with running(server(shared, default_user=user)) as primary:
        follow = f"replicaof 127.0.0.1 {primary.port}"
        with FurtherNode(primary, [*shared, follow], default_user=user) as replica:
            until_linked(primary)
            yield [primary, replica]


@contextmanager
def paused(node: RedisServer) -> Iterator[None]:
    """Freeze a node during the block."""
    node.pause()
    try:
        yield
    finally:
        node.resume()


@contextmanager
def down(node: RedisServer, others: list[RedisServer]) -> Iterator[None]:
    """Freeze a node of a cluster during the block, which begins when the first other node reports it."""
    for each in others:
        each.execute("CONFIG SET", "cluster-node-timeout", "200")
    with paused(node):
        until(lambda: "fail" in _flags(others[0], node))
        yield
    until(lambda: all(_is_ready(each, "CLUSTER") for each in (node, *others)))
    until(lambda: "fail" not in _flags(others[0], node))
    for each in others:
        each.execute("CONFIG SET", "cluster-node-timeout", "15000")


def _flags(asked: RedisServer, node: RedisServer) -> str:
    listed = asked.execute("CLUSTER NODES")
    return next(str(each["flags"]) for place, each in listed.items() if place.endswith(f":{node.port}"))


def until_linked(primary: RedisServer) -> None:
    """Wait until a replica of a primary answers it; the server ends each wait after a second."""
    while not primary.execute("WAIT", "1", "1000"):
        pass


@contextmanager
def cluster(
    size: int = 3, command: str = "CLUSTER", server: type[RedisServer] = RedisServer
) -> Iterator[list[RedisServer]]:
    """A cluster of primaries, after it has become ready.

    Args:
        size: number of nodes.
        command: name of the command ``CLUSTER`` on them.
        server: Redis or Valkey.
    """
    with ExitStack() as stack:
        first = stack.enter_context(running(server(_cluster_settings(command))))
        further = [FurtherNode(first, _cluster_settings(command)) for _ in range(size - 1)]
        nodes = [first, *map(stack.enter_context, further)]
        bounds = [number * _SLOTS // size for number in range(size + 1)]
        for node, (start, end) in zip(nodes, itertools.pairwise(bounds), strict=True):
            node.execute(f"{command} ADDSLOTSRANGE", str(start), str(end - 1))
        for node in further:
            bus = node.execute("CONFIG GET", "cluster-port")["cluster-port"]
            first.execute(f"{command} MEET", "127.0.0.1", str(node.port), bus)
        for node in nodes:
            until(partial(_is_ready, node, command))
        yield nodes


def _is_ready(node: RedisServer, command: str) -> bool:
    """True if a node has the addresses of all nodes. The driver parses the answers of known commands."""
    found = node.execute(f"{command} INFO")
    return "cluster_state:ok" in found if isinstance(found, str) else found["cluster_state"] == "ok"


def _cluster_settings(command: str) -> list[str]:
    return [
        f"rename-command CLUSTER {command}",
        "cluster-enabled yes",
        "tls-cluster yes",
        f"cluster-port {free_port()}",
        "cluster-announce-hostname localhost",
        "cluster-config-file nodes.conf",
    ]
