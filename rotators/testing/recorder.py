"""Sees every operation by which a rotation reaches out of its process, and can act before and after each.

Nothing in production code knows of it: the drivers' own functions are wrapped while a recorder is open.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Stop(BaseException):
    """The death of the process. Code that catches it would also survive its own death."""


class When(StrEnum):
    """On which side of an operation something happens."""

    BEFORE = "before"
    AFTER = "after"


class Kind(StrEnum):
    """What an operation is."""

    API = "api"
    CONNECT = "connect"
    STATEMENT = "statement"
    COMMIT = "commit"


@dataclass(frozen=True)
class Operation:
    """One external operation of a rotation.

    Attributes:
        index: its place in the rotation, from 0.
        step: the step that did it.
        kind: what it is.
        name: API operation, or the statement's first words; never a value.
    """

    index: int
    step: str
    kind: Kind
    name: str


@dataclass(frozen=True)
class Hook:
    """A function of a driver that reaches out of the process.

    Attributes:
        place: ``module:name`` or ``module:Class.name``, where the driver's users find it.
        kind: what a call of it is.
        name: gives the operation's name from the call's arguments; None for a call that does not count.
    """

    place: str
    kind: Kind
    name: Callable[[tuple[Any, ...]], str | None]


def _api_name(arguments: tuple[Any, ...]) -> str:
    return str(arguments[1])


API_CALLS = Hook("botocore.client:BaseClient._make_api_call", Kind.API, _api_name)
"""Every call of every boto3 client, retries included in the one call."""


_STATEMENT = re.compile(
    r"\s*(?:SET LOCAL [^;]*;\s*)*"
    r"([A-Za-z]+(?:(?: OR REPLACE| DEFAULT)? (?:ROLE|USER|TABLE|DATABASE|PRIVILEGES|PASSWORD)\b)?)"
)


def words(statement: str) -> str:
    """The keywords a statement starts with, settings before it left out; never a name or a value."""
    found = _STATEMENT.match(statement)
    return found[1].upper() if found else "?"


Act = Callable[[Operation, When], None]
Answer = Callable[[Operation, tuple[Any, ...], Callable[[], Any]], Any]


class Recorder:
    """Wraps the hooks while it is open, and records those calls that happen in `step`.

    Args:
        hooks: the functions to wrap, beside those of boto3.
    """

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        self._hooks = (API_CALLS, *hooks)
        self._undo = ExitStack()
        self._active = threading.local()
        self._step = ""
        self._act: Act | None = None
        self._answer: Answer | None = None
        self.operations: list[Operation] = []

    def __enter__(self) -> Self:
        for hook in self._hooks:
            self._wrap(hook)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def begin(self, act: Act | None = None, answer: Answer | None = None) -> None:
        """Forget all operations.

        Args:
            act: called before and after each operation from now on; what it raises, the operation raises.
            answer: called in the place of each operation, which it is given.
        """
        self.operations, self._act, self._answer = [], act, answer

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record what this thread does in the block."""
        self._step, self._active.on = name, True
        try:
            yield
        finally:
            self._active.on = False

    def _wrap(self, hook: Hook) -> None:
        module, _, path = hook.place.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        original = getattr(owner, name)

        def wrapped(*args: Any, **named: Any) -> Any:
            label = hook.name(args) if getattr(self._active, "on", False) else None
            if label is None:
                return original(*args, **named)
            return self._around(hook.kind, label, args, lambda: original(*args, **named))

        inherited = name not in vars(owner)
        setattr(owner, name, wrapped)
        if inherited:
            self._undo.callback(delattr, owner, name)
        else:
            self._undo.callback(setattr, owner, name, original)

    def _around(self, kind: Kind, name: str, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        operation = Operation(len(self.operations), self._step, kind, name)
        self.operations.append(operation)
        if self._act is not None:
            self._act(operation, When.BEFORE)
        try:
            result = self._call(operation, args, call)
        except Exception:
            # An answer that says no is an answer, and can be lost as well.
            self._after(operation, None)
            raise
        # Some drivers give the connection back, others are asked to connect one.
        opened = args[0] if result is None and args else result
        self._after(operation, opened if kind is Kind.CONNECT else None)
        return result

    def _call(self, operation: Operation, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        # What a driver does inside one operation is that operation.
        self._active.on = False
        try:
            return call() if self._answer is None else self._answer(operation, args, call)
        finally:
            self._active.on = True

    def _after(self, operation: Operation, opened: Any) -> None:
        if self._act is None:
            return
        try:
            self._act(operation, When.AFTER)
        except Stop:
            if opened is not None:
                opened.close()  # as the kernel does with what a dead process had open
            raise


class StopAt:
    """Stops at one side of one operation, and at every operation from there on: the dead do nothing more.

    Args:
        index: the operation's.
        when: before it, or after it: done, with the result lost.

    Attributes:
        reached: whether the point was passed.
    """

    def __init__(self, index: int, when: When) -> None:
        self._index, self._when = index, when
        self.reached = False

    def __call__(self, operation: Operation, when: When) -> None:
        """Stop if it is time."""
        if self.reached or (operation.index, when) == (self._index, self._when):
            self.reached = True
            raise Stop
