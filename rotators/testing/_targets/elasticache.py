"""The kit's target for users of ElastiCache: the local AWS in front of a private Redis server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rotators.local.aws import LocalAws
from rotators.local.servers.elasticache import ElastiCacheServer
from rotators.testing._target import Value
from rotators.testing._targets.redis import RedisTarget


class ElastiCacheTarget(RedisTarget):
    """Users that are created and changed with AWS's API, and log into the server behind it.

    Args:
        server: a running server.
    """

    administered: ClassVar[bool] = False
    commits: ClassVar[str] = "ModifyUser"
    # The API takes letters, digits and hyphens only.
    hostile_names: ClassVar[Sequence[str]] = ()
    hostile_passwords: ClassVar[Sequence[str]] = (
        "quote'pass word",
        "per%cent%s%(x)s",
        "back\\slash\\word",
        "#digest >clear <gone",
    )

    def __init__(self, server: ElastiCacheServer) -> None:
        super().__init__(server)
        self._cache = server

    def use(self, aws: LocalAws) -> None:
        """See Target.use."""
        self._cache.use(aws)

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._cache.delete(value["user_arn"])

    def _create(self, name: str, password: str) -> Value:
        self._cache.create_user(name, password)
        return self._cache.secret(name, password)

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._cache.set_password(value["user_arn"], password)


TARGET = ElastiCacheTarget
