"""ElastiCache and MemoryDB in applications, which use the drivers of Redis."""

from __future__ import annotations

from dataclasses import replace

from rotators.engines.redis import driver

CLIENT_SIDE = replace(
    driver.CLIENT_SIDE, engines=dict.fromkeys(("elasticache", "memorydb"), "redis"), drivers=()
)
