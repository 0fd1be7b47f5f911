"""The replacements in moto's Redshift. Importing this module loads its models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from moto.redshift.models import Cluster, RedshiftBackend

from rotators.local.clusters import with_host, with_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements


def install(replacements: Replacements, options: Options, _client: Callable[..., Any]) -> None:
    """Replace functions of moto.

    Args:
        replacements: keeps the originals.
        options: options of the local AWS.
    """
    replacements.wrap(RedshiftBackend, "create_cluster", with_server, options)
    replacements.replace(Cluster, "address", property(partial(with_host, Cluster.address)))
    replacements.replace(Cluster, "cluster_namespace_arn", property(_namespace_arn))


def _namespace_arn(cluster: Cluster) -> str:
    """Return a member that moto omits from a response; it contains account and Region of a cluster."""
    return f"{cluster.arn.rpartition(':cluster:')[0]}:namespace:{cluster.unique_cluster_id}"
