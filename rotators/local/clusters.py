"""Real servers behind moto's clusters of RDS and Redshift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options

# Where moto's record of a cluster keeps the host of the real server.
_HOST = "rotators_host"


def with_server(original: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """Replace the creation of a cluster, so that its address is that of a real server.

    Args:
        original: Moto's own.
        options: Options of the local AWS; ``database`` gives host and port of the server.

    Returns:
        The replacement.
    """

    def create(backend: Any, *given: dict[str, Any], **named: Any) -> Any:
        cluster = original(backend, *given, **named)
        if server := options.database:
            host, cluster.port = server(given[0] if given else named)
            setattr(cluster, _HOST, host)
        return cluster

    return create


def with_host(original: Any) -> Callable[[Any], str]:
    """Replace the address of a cluster: that of the real server, or moto's.

    Args:
        original: Moto's own property.

    Returns:
        The getter of the replacement.
    """

    def address(cluster: Any) -> str:
        return str(getattr(cluster, _HOST, None) or original.fget(cluster))

    return address
