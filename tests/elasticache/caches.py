"""Credentials of the local ElastiCache and MemoryDB, with a real Redis behind them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rotators.local.aws import LocalAws
from rotators.testing._target import Value
from rotators.testing._targets.elasticache import ElastiCacheTarget
from tests.world import new_password, remembered


class TokenTarget(ElastiCacheTarget):
    """The AUTH token of a replication group, which is the password of the server's user ``default``.

    The server has one such user, so there is one credential at a time.
    """

    def _create(self, name: str, password: str | None) -> Value:
        password = remembered(password or f"token-{secrets.token_hex(12)}")
        group = self._cache.api.create_replication_group(
            ReplicationGroupId=f"group-{secrets.token_hex(6)}",
            ReplicationGroupDescription=name[:1],
            AuthToken=password,
            TransitEncryptionEnabled=True,
        )["ReplicationGroup"]
        return self._server.secret("default", password, replication_group_arn=group["ARN"])

    def reset(self, value: Mapping[str, Any]) -> Value:
        password = new_password()
        for strategy in ("ROTATE", "SET"):
            self.modify(value, password, strategy)
        return {**value, "password": password}

    def modify(self, value: Mapping[str, Any], token: str, strategy: str) -> None:
        """Set a token by hand."""
        self._cache.api.modify_replication_group(
            ReplicationGroupId=value["replication_group_arn"].rpartition(":")[2],
            AuthToken=token,
            AuthTokenUpdateStrategy=strategy,
            ApplyImmediately=True,
        )

    def remove(self, value: Mapping[str, Any]) -> None:
        del value

    def footprint(self, value: Mapping[str, Any]) -> object:
        del value
        return None

    def sessions(self, value: Mapping[str, Any]) -> int:
        return 0


@contextmanager
def slow(aws: LocalAws, descriptions: int = 2) -> Iterator[None]:
    """Let every change take effect after so many descriptions."""
    aws.cache_delay = descriptions
    try:
        yield
    finally:
        aws.cache_delay = 0


def calls(seen: Sequence[Any], *names: str) -> int:
    """Number of recorded operations with one of some names."""
    return sum(each.name in names for each in seen)
