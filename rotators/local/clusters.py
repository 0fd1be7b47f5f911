"""Real servers behind moto's clusters of RDS and Redshift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options

# Attribute of moto's record of a cluster with the host of the real server.
_HOST = "rotators_host"


def with_server(
    original: Callable[..., Any], options: Options, backend: Any, *given: Any, **named: Any
) -> Any:
    """Create a cluster. Its address is that of a real server, if there is one.

    Args:
        original: Moto's own.
        options: Options of the local AWS; ``database`` gives host and port of the server.
        backend: Moto's records of one account and Region.
        *given: Arguments of moto's own function: the parameters of the cluster,
        **named: or each by its name.

    Returns:
        Moto's record of the cluster.
    """
    cluster = original(backend, *given, **named)
    if server := options.database:
        host, cluster.port = server(given[0] if given else named)
        setattr(cluster, _HOST, host)
    return cluster


def with_host(original: Any, cluster: Any) -> str:
    """Return the address of a cluster: that of the real server, or moto's.

    Args:
        original: Moto's own property.
        cluster: Moto's record of the cluster.
    """
    return str(getattr(cluster, _HOST, None) or original.fget(cluster))
