"""The declaration of the servers on which an engine was tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Proof(NamedTuple):
    """A server that the tests of an engine ran on.

    Attributes:
        server: name and version, such as ``Redis 7.0.15``.
        date: date of the last run, as ``YYYY-MM-DD``.
        substitute: True if this server was used instead of the engine's own, which was not run.
    """

    server: str
    date: str
    substitute: bool = False


@runtime_checkable
class Proved(Protocol):
    """An engine that declares the servers of its tests. The declaration is optional.

    Attributes:
        proved_on: one server for each of the engine's ``names``.
    """

    @property
    def proved_on(self) -> Mapping[str, Proof]: ...  # noqa: D102 - see Attributes
