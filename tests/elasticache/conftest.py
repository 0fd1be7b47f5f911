from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotators.local.aws import LocalAws
from rotators.local.servers.elasticache import ElastiCacheServer
from rotators.testing import _targets
from rotators.testing._case import Kit
from rotators.testing._targets.elasticache import ElastiCacheTarget
from tests.clear_text import logged_redis
from tests.elasticache.caches import TokenTarget
from tests.world import small_server


@pytest.fixture(scope="module", params=["elasticache", "memorydb"])
def engine(request: pytest.FixtureRequest) -> str:
    """An engine whose users AWS's API changes."""
    return str(request.param)


@pytest.fixture(scope="module")
def cache(engine: str) -> Iterator[ElastiCacheServer]:
    """The real server behind the caches."""
    yield from logged_redis(small_server(engine))


@pytest.fixture(scope="module")
def target(engine: str, cache: ElastiCacheServer) -> ElastiCacheTarget:
    """Users of the caches."""
    target = _targets.target_on(engine, cache)
    assert isinstance(target, ElastiCacheTarget)
    return target


@pytest.fixture
def kit(aws: LocalAws, target: ElastiCacheTarget) -> Iterator[Kit]:
    """Secrets of users."""
    with Kit(aws, target, strategy=None) as kit:
        yield kit


@pytest.fixture(scope="module")
def group_cache() -> Iterator[ElastiCacheServer]:
    """The real server behind replication groups."""
    yield from logged_redis(small_server("elasticache"))


@pytest.fixture
def tokens(aws: LocalAws, group_cache: ElastiCacheServer) -> Iterator[Kit]:
    """Secrets of AUTH tokens."""
    with Kit(aws, TokenTarget(group_cache), strategy="dual") as kit:
        yield kit
