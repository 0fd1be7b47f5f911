"""Signal handlers that a command sets only while it needs them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | signal.Handlers

_OTHERS = (signal.SIGTERM, signal.SIGHUP)
"""What ends a command as Ctrl-C does: ``kill``, a shutdown, and a terminal that was closed."""


@contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Handler) -> Iterator[None]:
    """Set a handler, and restore the previous ones at the end of the block.

    A command may run in a process of its caller, such as a test: there, a signal that is no longer ignored
    can end a process that has nothing to do with the command. In another thread than the main one, nothing
    is set, because Python handles signals there only.

    Args:
        numbers: signals to handle.
        handler: for all of them, as ``signal.signal`` takes it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def endings() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM during the block, so that a command can end in order.

    Yields:
        The numbers of the signals that arrived; empty at first. A list and not an Event, whose lock may be
        held by the very wait that the signal interrupts.
    """
    ended: list[int] = []
    with handled((signal.SIGINT, signal.SIGTERM), lambda received, _: ended.append(received)):
        yield ended


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt during the block, as Ctrl-C does.

    So a command that is stopped tells what it did, whatever stopped it. A signal that is ignored (``nohup``)
    stays ignored.
    """
    ending = [number for number in _OTHERS if signal.getsignal(number) is signal.SIG_DFL]
    with handled(ending, signal.default_int_handler):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no signal end the block, which prints how the command ended."""
    with handled((signal.SIGINT, *_OTHERS), lambda *_: None):
        yield
