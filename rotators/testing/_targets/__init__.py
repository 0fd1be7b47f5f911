"""Targets of the kit: one module per engine, named like the engine, with its class in ``TARGET``.

The module of the same name in ``rotators.local.servers`` has the class of the engine's private server in
``SERVER``.
"""

from __future__ import annotations

import pkgutil
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.local.servers.private import PrivateServer
    from rotators.testing._target import Target


def names() -> list[str]:
    """Return the engines that have a target, in alphabetical order. No driver is imported.

    Returns:
        Names such as ``postgres``.
    """
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def target_on(engine: str, server: Any) -> Target:
    """Return the target of an engine.

    Args:
        engine: one of `names`.
        server: running server of this engine.
    """
    made: Target = import_module(f"{__name__}.{engine}").TARGET(server)
    return made


def server_of(engine: str) -> type[PrivateServer]:
    """Return the class of the private server of an engine.

    Args:
        engine: one of `names`.
    """
    found: type[PrivateServer] = import_module(f"rotators.local.servers.{engine}").SERVER
    return found


def open_server(engine: str) -> Any:
    """Return the server of an engine for `rotators up`, with TLS, not started yet.

    Args:
        engine: one of `names`.

    Returns:
        An object of a class of ``rotators.local.servers``; as a context manager, it runs the server.
    """
    return server_of(engine).for_up()


def small_server(engine: str) -> Any:
    """Return a private server of an engine for tests, without TLS where it slows them, not started yet.

    Args:
        engine: one of `names`.

    Returns:
        An object of a class of ``rotators.local.servers``; as a context manager, it runs the server.

    Raises:
        ServerNotFound: its programs are not on this machine.
    """
    return server_of(engine).for_tests()


@contextmanager
def running(engine: str) -> Iterator[Target]:
    """Start a private server for the duration of the block, and yield the target on it.

    Args:
        engine: one of `names`.

    Yields:
        The target.

    Raises:
        ServerNotFound, ServerStartFailed: there is no server, or it does not start.
    """
    with small_server(engine) as server:
        target = target_on(engine, server)
        try:
            yield target
        finally:
            target.close()
