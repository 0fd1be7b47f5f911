"""The nodes of a target: those of a cluster, or a primary and its replicas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import redis

from rotators.core.errors import TargetRefused, TargetUnavailable
from rotators.engines.redis.node import Node


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


def other_nodes(node: Node) -> list[Address]:
    """Return the addresses of all other nodes that must get the same users.

    Args:
        node: a logged-in connection of an admin.

    Returns:
        The other nodes of the cluster, or the direct replicas of a primary.

    Raises:
        TargetRefused: the node is a replica, or does not list the nodes, or the admin may not list them.
        TargetUnavailable: a node of the cluster is down.
    """
    try:
        info: dict[str, Any] = node.run("INFO")
        if int(info.get("cluster_enabled", 0)):
            return list(_of_cluster(node.run("CLUSTER NODES")))
        if info.get("role") != "master":
            raise TargetRefused(
                f"{node} is a replica",
                reason="read-only",
                remedy="Name the primary's endpoint as the host of the secret, and of the admin's secret.",
            )
        return list(_replicas(info))
    except redis.exceptions.NoPermissionError:
        raise lacks("+info +cluster|nodes", "list the nodes") from None
    except redis.ResponseError:
        raise TargetRefused(
            f"{node} does not list the nodes (INFO, CLUSTER NODES)",
            reason="statement",
            remedy="Every node must be changed, so do not rename or remove these commands of the server.",
        ) from None


def lacks(rights: str, doing: str) -> TargetRefused:
    """Return the error for an admin without a right.

    Args:
        rights: the missing rules of ``ACL SETUSER``.
        doing: action that needs them.
    """
    return TargetRefused(
        f"the admin may not {doing}",
        reason="admin-rights",
        remedy=f"Give the admin these rights: ACL SETUSER <admin> {rights}.",
    )


def _replicas(info: dict[str, Any]) -> Iterator[Address]:
    """Read the direct replicas of a primary from the driver's form of INFO."""
    for number in range(int(info.get("connected_slaves", 0))):
        if replica := info.get(f"slave{number}"):
            yield Address(str(replica["ip"]), int(replica["port"]))


def _of_cluster(listed: dict[str, dict[str, Any]]) -> Iterator[Address]:
    """Read the driver's form of CLUSTER NODES: ``host:port`` to the node's attributes."""
    for address, attributes in listed.items():
        flags = set(str(attributes["flags"]).split(","))
        if "myself" in flags:
            continue
        if flags & {"fail", "fail?", "handshake", "noaddr"}:
            raise TargetUnavailable(
                f"node {address} of the cluster is down ({attributes['flags']})",
                reason="node-down",
                remedy="Repair the node, or remove it with CLUSTER FORGET on the others; then rotate.",
            )
        host, _, port = address.rpartition(":")
        yield Address(str(attributes.get("hostname") or host), int(port))
