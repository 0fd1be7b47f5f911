"""The kit's target for users of MemoryDB: the local AWS in front of a private Redis server."""

from __future__ import annotations

from typing import ClassVar

from rotators.testing._targets.elasticache import ElastiCacheTarget


class MemoryDbTarget(ElastiCacheTarget):
    """Users of MemoryDB; see ElastiCacheTarget."""

    commits: ClassVar[str] = "UpdateUser"


TARGET = MemoryDbTarget
