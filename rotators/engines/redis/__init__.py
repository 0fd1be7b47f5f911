"""Redis and Valkey: engines ``redis`` and ``valkey``.

Differences from other targets:

- A user has any number of passwords, and ``ACL SETUSER user resetpass #a #b`` replaces them in one atomic
  command. So ``dual`` is the default strategy.
- Only SHA-256 digests are sent. The exception is ``masterauth`` (see below), which the server stores as text.
- A user cannot change its own password: the right to do so (``+acl|setuser``) is the right to become an
  administrator. Both strategies need an admin (``masterarn``).
- ``ACL SETUSER`` creates a user that does not exist, so every change looks for the user first.
- Users belong to a node, and replication does not copy them. A change is made on every node: those of the
  cluster, or the primary and its replicas. All of them must answer before any is changed.
- Users that were changed at run time are lost at a restart unless the node saves them: with ``ACL SAVE`` to
  its ACL file, or with ``CONFIG REWRITE`` to its configuration file.
- Replicas log into their primary with ``masteruser`` and ``masterauth``. A rotation of that user (``default``
  unless configured) sets ``masterauth`` on every node too.
- The server answers with the same error to a wrong password, a missing user and a disabled user.
- A changed password ends no session.

Sources: Redis documentation, ACL, ACL SETUSER, ACL SAVE, CONFIG REWRITE, CLUSTER NODES, INFO.
"""

from __future__ import annotations

from typing import ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.credential import Password
from rotators.strategies.dual import Dual
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single


def rotator() -> EngineRotator:
    """Return the rotator of Redis and Valkey; the entry point."""
    return EngineRotator(RedisEngine(), "redis")


class RedisEngine(DriverEngine):
    """Limits and login of Redis and Valkey."""

    session = "rotators.engines.redis.session"
    names = frozenset({"redis", "valkey"})
    default_port = 6379
    target_defaults: ClassVar[dict[str, str]] = {}
    longest_username = 256
    credential = Password(PasswordRules(shortest=8, longest=512))
    strategies = (Dual(needs_admin=True), Single(needs_admin=True))
    proved_on: ClassVar[dict[str, Proof]] = {
        "redis": Proof("Redis 7.0.15", "2026-11-26"),
        "valkey": Proof("Valkey 8.1.1", "2026-11-26"),
    }
