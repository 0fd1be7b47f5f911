"""Records every operation of a rotation outside its process, and can act before and after each.

Production code does not use it: the drivers' functions are wrapped while a recorder is open.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Stop(BaseException):
    """Simulated death of the process. Code that catches it would also survive a real death."""


class When(StrEnum):
    """Side of an operation: before or after it."""

    BEFORE = "before"
    AFTER = "after"


class Kind(StrEnum):
    """Kind of an operation."""

    API = "api"
    CONNECT = "connect"
    STATEMENT = "statement"
    COMMIT = "commit"


@dataclass(frozen=True)
class Operation:
    """One external operation of a rotation.

    Attributes:
        index: its index in the rotation, from 0.
        step: step that made it.
        kind: its kind.
        name: API operation, or the first words of the statement; never a value.
    """

    index: int
    step: str
    kind: Kind
    name: str


@dataclass(frozen=True)
class Hook:
    """A function of a driver that communicates outside the process.

    Attributes:
        place: ``module:name`` or ``module:Class.name``, where the driver's users look it up.
        kind: kind of a call.
        name: returns the operation's name from the call's arguments; None for a call that does not count.
        close: name of the method that closes a connection which a call of the kind CONNECT has opened.
    """

    place: str
    kind: Kind
    name: Callable[[tuple[Any, ...]], str | None]
    close: str = "close"


API_CALLS = Hook("botocore.client:BaseClient._make_api_call", Kind.API, lambda arguments: str(arguments[1]))
"""Hook for every call of every boto3 client; retries are part of the call."""


_STATEMENT = re.compile(
    r"\s*(?:SET LOCAL [^;]*;\s*)*"
    r"([A-Za-z]+(?:(?: OR REPLACE| DEFAULT)? (?:ROLE|USER|TABLE|DATABASE|PRIVILEGES|PASSWORD)\b)?)"
)


def words(statement: str) -> str:
    """Return the first keywords of a statement, after its settings; never a name or a value.

    Args:
        statement: text of the statement.
    """
    found = _STATEMENT.match(statement)
    return found[1].upper() if found else "?"


Act = Callable[[Operation, When], None]
Answer = Callable[[Operation, tuple[Any, ...], Callable[[], Any]], Any]


class Recorder:
    """Wraps the hooks while it is open, and records the calls that are made in `step`.

    Args:
        hooks: functions to wrap, in addition to those of boto3.
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
            act: called before and after each operation from now on; the operation raises its errors.
            answer: called instead of each operation, with the operation as an argument.
        """
        self.operations, self._act, self._answer = [], act, answer

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record the operations of this thread in the block.

        Args:
            name: name of the step.
        """
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
            return self._around(hook, label, args, lambda: original(*args, **named))

        inherited = name not in vars(owner)
        setattr(owner, name, wrapped)
        if inherited:
            self._undo.callback(delattr, owner, name)
        else:
            self._undo.callback(setattr, owner, name, original)

    def _around(self, hook: Hook, name: str, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        operation = Operation(len(self.operations), self._step, hook.kind, name)
        self.operations.append(operation)
        if self._act is not None:
            self._act(operation, When.BEFORE)
        try:
            result = self._call(operation, args, call)
        except Exception:
            # An answer with an error is an answer too, and can be lost.
            self._after(operation, None)
            raise
        # Some drivers return the connection, others connect an existing object.
        opened = result if hasattr(result, hook.close) else next(iter(args), None)
        self._after(operation, getattr(opened, hook.close) if hook.kind is Kind.CONNECT else None)
        return result

    def _call(self, operation: Operation, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        # Nested calls of a driver within an operation are part of that operation.
        self._active.on = False
        try:
            return call() if self._answer is None else self._answer(operation, args, call)
        finally:
            self._active.on = True

    def _after(self, operation: Operation, close: Callable[[], object] | None) -> None:
        if self._act is None:
            return
        try:
            self._act(operation, When.AFTER)
        except Stop:
            if close is not None:
                close()  # as the kernel does with the open files of a dead process
            raise


def at(index: int, when: When, do: Callable[[], object]) -> Act:
    """Return an argument for `Recorder.begin` that makes a call at one side of one operation.

    Args:
        index: index of the operation.
        when: before it, or after it.
        do: call to make.
    """

    def act(operation: Operation, side: When) -> None:
        if (operation.index, side) == (index, when):
            do()

    return act


class StopAt:
    """Stops at one side of one operation, and at every later operation: a dead process does nothing more.

    Args:
        index: index of the operation.
        when: before it, or after it: done, with the result lost.

    Attributes:
        reached: True if the point was reached.
    """

    def __init__(self, index: int, when: When) -> None:
        self._index, self._when = index, when
        self.reached = False

    def __call__(self, operation: Operation, when: When) -> None:
        """Stop if the point is reached."""
        if self.reached or (operation.index, when) == (self._index, self._when):
            self.reached = True
            raise Stop
