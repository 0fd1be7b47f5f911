"""Options of a local AWS that its caller may change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotators.local.records import StepRecord

ACCOUNT = "123456789012"
"""The account of a local AWS."""


class Workgroup(NamedTuple):
    """A workgroup of Redshift Serverless.

    Attributes:
        name, namespace: its name, and that of its namespace.
        host, port: address of the server; an empty host while the workgroup is being created.
    """

    name: str
    namespace: str
    host: str
    port: int


class CacheServer(Protocol):
    """A real server behind caches, such as `RedisServer`.

    Attributes:
        host: where it listens.
    """

    host: str

    def acl(self, command: str, *arguments: str) -> Any:
        """See RedisServer.acl."""


class DirectoryServer(Protocol):
    """A real domain controller behind a directory, such as `ActiveDirectoryServer`."""

    def connect(self) -> Any:
        """See ActiveDirectoryServer.connect."""


@dataclass(eq=False)
class Options:
    """The options. The services read them each time, so that a change takes effect at once.

    Attributes:
        on_step: Called with a StepRecord after each step of any rotation, in that rotation's thread.
        database: Called with the parameters of each new cluster of RDS or Redshift, by moto's names; returns
            host and port of the real server behind it. None: no server listens at the addresses of clusters.
        workgroups: The workgroups of Redshift Serverless, each with its namespace.
        event_deliveries: Number of times that EventBridge delivers each event to a function; AWS guarantees
            at least one.
        caches: Real server behind all caches of a service (``elasticache``, ``memorydb``); without one, users
            and AUTH tokens exist in the API only.
        directories: Real domain controller behind a directory of Directory Service, by its domain.
        cache_delay: Number of descriptions of a user or replication group that show a change as running; then
            it takes effect.
        replication_delay: Number of descriptions of a secret that show a new replica as InProgress; then it
            is made.
    """

    on_step: Callable[[StepRecord], object] | None = None
    database: Callable[[Mapping[str, Any]], tuple[str, int]] | None = None
    workgroups: list[Workgroup] = field(default_factory=list)
    event_deliveries: int = 1
    caches: dict[str, CacheServer] = field(default_factory=dict)
    directories: dict[str, DirectoryServer] = field(default_factory=dict)
    cache_delay: int = 0
    replication_delay: int = 0
