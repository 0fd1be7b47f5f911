"""The kit's target for rotators of Valkey: a private server."""

from __future__ import annotations

from rotators.testing._targets.redis import RedisTarget

TARGET = RedisTarget
