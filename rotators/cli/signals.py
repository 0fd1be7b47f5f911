"""Signal handlers that a command sets only while it needs them."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers

_INTERRUPTING = {
    signal.Signals[name]: usual
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    )
    if name in signal.Signals.__members__  # Windows has no SIGHUP
}
"""Signals that end a command, with their usual handlers: Ctrl-C, ``kill``, a closed terminal."""

_QUIET_SECONDS = 1.0


class _Interruption:
    """A handler that raises KeyboardInterrupt, but not again at once, while the command ends.

    A later signal raises it again, because Python drops an exception in a finaliser, and the first signal may
    be lost.
    """

    def __init__(self) -> None:
        self.finished = False
        self._last = -math.inf

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.finished and now - self._last > _QUIET_SECONDS:
            self._last = now
            raise KeyboardInterrupt


_present: ContextVar[_Interruption | None] = ContextVar("_present", default=None)


@contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Handler) -> Iterator[None]:
    """Set a handler, and restore the previous ones at the end of the block.

    A command may run in a process of its caller, such as a test: there, a signal that is no longer ignored
    can end a process that has nothing to do with the command. Python handles signals only in the main thread,
    so in another thread nothing is set.

    Args:
        numbers: signals to handle.
        handler: handler for all of them, as for ``signal.signal``.
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
def interruptible(*, to_the_end: bool) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt during the block, until `finish`.

    A stopped command can therefore print the changes that it made. A signal that is ignored (``nohup``)
    stays ignored.

    Args:
        to_the_end: True if the process ends after the block, so that the handlers stay.
    """
    interruption = _Interruption()
    numbers = [number for number, usual in _INTERRUPTING.items() if signal.getsignal(number) is usual]
    before = _present.set(interruption)
    try:
        if to_the_end:
            for number in numbers:
                signal.signal(number, interruption)
            yield
        else:
            with handled(numbers, interruption):
                yield
    finally:
        _present.reset(before)


def finish() -> None:
    """Let no signal interrupt the command any more, because it prints how it ended."""
    interruption = _present.get()
    if interruption is not None:
        interruption.finished = True
