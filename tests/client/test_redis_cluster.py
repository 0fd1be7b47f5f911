"""redis-py's clients for clusters, on three real nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis.cluster import LoadBalancingStrategy

from rotators.core.errors import ConfigurationError
from tests.client.conftest import RedisWorld, async_credentials_of, credentials_of, set_deadline
from tests.redis.nodes import cluster

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws
    from rotators.local.servers.redis import RedisServer

pytestmark = pytest.mark.processes

OPTIONS = [
    {"protocol": 2},
    {"protocol": 3},
    {"load_balancing_strategy": LoadBalancingStrategy.ROUND_ROBIN},
]
KEYS = [f"key{number}" for number in range(12)]
"""Keys on all of the nodes."""


class ClusterWorld(RedisWorld):
    """The world with a cluster: each change of a user is made on every node."""

    def __init__(self, aws: LocalAws, nodes: list[RedisServer]) -> None:
        super().__init__(aws, nodes[0])
        self.nodes = nodes

    def acl(self, *command: str) -> list[Any]:
        return [node.acl(*command) for node in self.nodes]


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    with cluster() as formed:
        yield formed


@pytest.fixture
def world(aws: LocalAws, nodes: list[RedisServer]) -> ClusterWorld:
    return ClusterWorld(aws, nodes)


def disconnect(client: Any) -> None:
    for node in client.get_nodes():
        if node.redis_connection:
            node.redis_connection.connection_pool.disconnect()


def use(client: redis.RedisCluster) -> None:
    """Write and read on every node."""
    for key in KEYS:
        client.set(key, key)
        assert client.get(key) == key


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_cluster_client_follows_a_rotation(world: ClusterWorld, options: dict[str, Any]) -> None:
    user = world.account()
    arn = world.secret(user)
    credentials = credentials_of(world, arn)
    with credentials.connect(redis.RedisCluster, decode_responses=True, **options) as client:
        assert isinstance(client, redis.RedisCluster)
        assert len(client.nodes_manager.nodes_cache) == 3
        use(client)
        token = world.change(arn)
        disconnect(client)
        use(client)
        assert credentials.counts()["rejected"] == credentials.counts()["pending"] == 1
        world.promote(arn, token)
        world.promote(arn, world.change(arn))
        disconnect(client)
        use(client)
    assert credentials.counts()["rejected"] == 2


def test_cluster_client_of_a_rejected_user_ends(world: ClusterWorld) -> None:
    user = world.account()
    credentials = credentials_of(world, world.secret(user), logins=1)
    with credentials.connect(redis.RedisCluster) as client:
        set_deadline(credentials, 2.0)
        world.refuse(user)
        disconnect(client)
        with pytest.raises(redis.AuthenticationError):
            client.get("key")
    assert credentials.counts()["rejected"] == 1


def test_nodes_get_no_password_of_another_cluster(world: ClusterWorld) -> None:
    user = world.account()
    arn = world.secret(user)
    credentials = credentials_of(world, arn)
    with credentials.connect(redis.RedisCluster) as client:
        world.put_current(arn, {**user, "host": "127.0.0.1"})
        credentials.cache.refresh_secret_now(arn)
        disconnect(client)
        with pytest.raises(ConfigurationError, match="another server"):
            client.get("key")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_asyncio_cluster_client_follows_a_rotation(world: ClusterWorld, options: dict[str, Any]) -> None:
    user = world.account()
    arn = world.secret(user)
    credentials = async_credentials_of(world, arn)

    async def use_all(client: redis.asyncio.RedisCluster) -> None:
        await asyncio.gather(*(client.set(key, key) for key in KEYS))
        assert await asyncio.gather(*(client.get(key) for key in KEYS)) == KEYS

    async def program() -> None:
        client = await credentials.connect(redis.asyncio.RedisCluster, decode_responses=True, **options)
        async with client:
            await use_all(client)
            token = await asyncio.to_thread(world.change, arn)
            for node in client.get_nodes():
                await node.disconnect()
            await use_all(client)
            # A connection that is opened after the first rejection may begin with the pending version.
            assert 1 <= credentials.counts()["rejected"] <= credentials.counts()["pending"]
            await asyncio.to_thread(world.promote, arn, token)
            await asyncio.to_thread(lambda: world.promote(arn, world.change(arn)))
            for node in client.get_nodes():
                await node.disconnect()
            await use_all(client)
            assert len(client.get_nodes()) == 3

    asyncio.run(program())
    rejected = sum(
        int(each["count"]) for log in world.acl("LOG") for each in log if each["username"] == user["username"]
    )
    assert rejected == credentials.counts()["rejected"]
