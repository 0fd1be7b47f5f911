"""Rotations on several nodes, and the requirements for a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rotators.core.errors import TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redis import RedisEngine
from rotators.local.servers.redis import RedisServer, password_hash
from rotators.local.servers.valkey import ValkeyServer
from rotators.logins.causes import CONNECT_SECONDS
from rotators.logins.connecting import SESSION_SECONDS
from rotators.testing._case import STEPS
from tests.redis.nodes import cluster, down, paused, primary_and_replica, running, until_linked
from tests.world import World, new_password, remembered, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

pytestmark = pytest.mark.processes

DEFAULT_PASSWORD = remembered("the-password-of-default")


@pytest.fixture(scope="module", params=[RedisServer, ValkeyServer])
def product(request: pytest.FixtureRequest) -> Any:
    """The class of the servers."""
    return request.param


@pytest.fixture(scope="module")
def nodes(product: type[RedisServer]) -> Iterator[list[RedisServer]]:
    with cluster(server=product) as running:
        yield running


@pytest.fixture(scope="module")
def pair(product: type[RedisServer]) -> Iterator[list[RedisServer]]:
    with primary_and_replica(DEFAULT_PASSWORD, product) as running:
        yield running


def user_on(nodes: list[RedisServer], *rules: str) -> dict[str, Any]:
    """Create a user on all nodes; return its value for a secret."""
    name, password = unique("app"), new_password()
    for node in nodes:
        node.acl("SETUSER", name, "on", password_hash(password), "~*", "+@read", *rules)
    return nodes[0].secret(name, password)


def logs_in(node: RedisServer, value: dict[str, Any]) -> bool:
    """Return True if a node accepts user and password."""
    with redis.Redis(
        host="localhost",
        port=node.port,
        username=value["username"],
        password=value["password"],
        ssl=True,
        ssl_ca_certs=node.ca,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            client.ping()
        except redis.AuthenticationError:
            return False
        except redis.exceptions.NoPermissionError:
            return True
        return True


def set_pair(node: RedisServer, user: str, old: str, new: str, **admin: Any) -> None:
    """Set the two passwords of a user as an admin, like the strategy ``dual``."""
    secret = Secret({**node.secret(), **admin})
    with RedisEngine().login(secret, Settings()) as session:
        session.set_pair(user, old, new)


def test_a_rotation_changes_all_nodes(aws: LocalAws, nodes: list[RedisServer]) -> None:
    world = World(aws, nodes[0])
    value = {**user_on(nodes), "masterarn": world.admin_secret()}
    arn = world.secret(value)
    for _ in range(2):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
        rotated = world.value(arn)
        assert rotated["password"] != value["password"]
        assert all(logs_in(node, each) for node in nodes for each in (value, rotated))
        value = rotated


def test_a_cluster_that_hides_its_nodes_is_refused(product: type[RedisServer]) -> None:
    with cluster(2, command="HIDDEN", server=product) as nodes:
        value, new = user_on(nodes), new_password()
        with pytest.raises(TargetRefused, match="does not list the nodes"):
            set_pair(nodes[0], value["username"], value["password"], new)
        assert not any(logs_in(node, {**value, "password": new}) for node in nodes)
        assert all(logs_in(node, value) for node in nodes)


def test_a_node_without_the_user_stops_the_change(nodes: list[RedisServer]) -> None:
    value, new = user_on(nodes[:2]), new_password()
    with pytest.raises(TargetRefused) as caught:
        set_pair(nodes[0], value["username"], value["password"], new)
    assert caught.value.reason == "no-user"
    assert nodes[2].acl("GETUSER", value["username"]) is None
    assert not any(logs_in(node, {**value, "password": new}) for node in nodes)


def test_a_silent_replica_stops_the_change(pair: list[RedisServer], monkeypatch: pytest.MonkeyPatch) -> None:
    assert CONNECT_SECONDS < SESSION_SECONDS, "the limits of the product"
    monkeypatch.setattr("rotators.logins.channel.CONNECT_SECONDS", 0.5)
    primary, replica = pair
    value, new = user_on(pair), new_password()
    with paused(replica), pytest.raises(TargetUnavailable) as caught:
        set_pair(primary, value["username"], value["password"], new)
    assert caught.value.reason == "timeout"
    assert not logs_in(primary, {**value, "password": new})


def test_a_node_that_is_down_stops_the_change(nodes: list[RedisServer]) -> None:
    value, new = user_on(nodes), new_password()
    with down(nodes[2], nodes[:2]):
        with pytest.raises(TargetUnavailable) as caught:
            set_pair(nodes[0], value["username"], value["password"], new)
        assert caught.value.reason == "node-down"
        assert not any(logs_in(each, {**value, "password": new}) for each in nodes[:2])


def test_a_change_is_repeated_on_all_nodes(pair: list[RedisServer]) -> None:
    primary, replica = pair
    value, new = user_on(pair), new_password()
    primary.acl("SETUSER", value["username"], "resetpass", password_hash(new))
    set_pair(primary, value["username"], value["password"], new)
    for node in (primary, replica):
        assert logs_in(node, value)
        assert logs_in(node, {**value, "password": new})


def test_a_replica_is_refused_as_target(pair: list[RedisServer]) -> None:
    value = user_on(pair)
    with pytest.raises(TargetRefused) as caught:
        set_pair(pair[1], value["username"], value["password"], new_password())
    assert caught.value.reason == "read-only"


def test_replication_continues_after_default_was_rotated(pair: list[RedisServer]) -> None:
    primary, replica = pair
    new = new_password()
    set_pair(primary, "default", DEFAULT_PASSWORD, new)
    primary.acl("SETUSER", "default", "resetpass", password_hash(new))
    assert replica.execute("CONFIG GET", "masterauth") == {"masterauth": new}
    primary.execute("CLIENT KILL", "TYPE", "replica")
    until_linked(primary)
    set_pair(primary, "default", new, DEFAULT_PASSWORD)


def test_a_user_without_password_is_not_rotated(nodes: list[RedisServer]) -> None:
    value = user_on(nodes, "nopass")
    with pytest.raises(TargetRefused) as caught:
        set_pair(nodes[0], value["username"], value["password"], new_password())
    assert caught.value.reason == "no-password"


@pytest.mark.parametrize(
    ("missing", "right"),
    [
        ("acl|setuser", "+acl|setuser"),
        ("acl|getuser", "+acl|getuser"),
        ("acl|save", "+acl|save"),
        ("config|rewrite", "+config|rewrite"),
        ("cluster|nodes", "+cluster|nodes"),
    ],
)
def test_a_missing_right_of_the_admin_is_named(nodes: list[RedisServer], missing: str, right: str) -> None:
    value, admin, new = user_on(nodes), unique("admin"), new_password()
    password = new_password()
    for node in nodes:
        node.acl("SETUSER", admin, "on", password_hash(password), "+@all", f"-{missing}")
    with pytest.raises(TargetRefused) as caught:
        set_pair(nodes[0], value["username"], value["password"], new, username=admin, password=password)
    assert caught.value.reason == "admin-rights"
    assert right in str(caught.value)
    assert not any(logs_in(node, {**value, "password": new}) for node in nodes)


def test_a_restart_keeps_the_new_password(product: type[RedisServer]) -> None:
    with running(product()) as server:
        value, new = user_on([server]), new_password()
        set_pair(server, value["username"], value["password"], new)
        server.restart()
        assert logs_in(server, {**value, "password": new})


def test_an_acl_file_is_saved(product: type[RedisServer]) -> None:
    with running(product(acl_file=True)) as server:
        value, new = user_on([server]), new_password()
        set_pair(server, value["username"], value["password"], new)
        assert password_hash(new) in (server.directory / "users.acl").read_text()


def test_a_server_without_acl_commands_is_refused(product: type[RedisServer]) -> None:
    """Managed services rename or remove commands."""
    with running(product(['rename-command ACL ""'])) as server:
        with (
            pytest.raises(TargetRefused) as caught,
            RedisEngine().login(Secret(server.secret()), Settings()) as session,
        ):
            session.check()
        assert caught.value.reason == "statement"
