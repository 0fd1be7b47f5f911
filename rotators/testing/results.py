"""What the crash matrix found out: one frozen record per stop, and the counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rotators.testing.recorder import Operation, When


class Recovery(StrEnum):
    """What is done after a stop."""

    SAME_TOKEN = "same token"  # noqa: S105 - a rotation's token is no password
    NEW_TOKEN = "new token"  # noqa: S105 - the same
    STOPPED_AGAIN = "stopped again, same token"


class Container(StrEnum):
    """What runs after the stop: a new process, or the same one with all that it remembers."""

    FRESH = "fresh"
    WARM = "warm"


class Outcome(StrEnum):
    """How a stop ended, the worst thing first that applies."""

    SWALLOWED = "swallowed"
    """Code went on after its own death."""
    LOST = "lost"
    """No stored version logged in."""
    CURRENT_UNUSABLE = "current_unusable"
    """AWSCURRENT did not log in, with a strategy that promises it."""
    STUCK = "stuck"
    """Neither the retry nor one further rotation made a current value that logs in."""
    LEFTOVER = "leftover"
    """Users, rights or sessions stayed that an undisturbed rotation does not leave."""
    OK = "ok"


@dataclass(frozen=True)
class Result:
    """One stop and its recovery.

    Attributes:
        name: of the matrix it belongs to.
        rotations: how many the credential had behind it.
        operation: where it was stopped.
        when: before or after it.
        killed: whether a process was killed, rather than stopped by an exception.
        recovery: what was done then.
        container: by what.
        usable: whether AWSCURRENT logged in right after the first stop; with a strategy that promises it,
            after each later step too.
        further: full rotations that were needed after the recovery.
        outcome: how it ended.
        detail: the last error, if any.
    """

    name: str
    rotations: int
    operation: Operation
    when: When
    killed: bool
    recovery: Recovery
    container: Container
    usable: bool
    further: int
    outcome: Outcome
    detail: str = ""

    def document(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """The counts of one matrix.

    Attributes:
        name: of the matrix.
        points: different places in a rotation, before and after each operation.
        runs: stops with a recovery.
        killed: how many of those killed a process.
        outcomes: how many runs ended how.
        unusable: points right after which AWSCURRENT did not log in.
        window: those points, in words.
    """

    name: str
    points: int
    runs: int
    killed: int
    outcomes: dict[str, int]
    unusable: int
    window: tuple[str, ...]

    @property
    def failures(self) -> int:
        """How many runs broke a promise."""
        return self.runs - self.outcomes.get(Outcome.OK, 0)


def summary(name: str, results: Sequence[Result]) -> Summary:
    """Count the results of one matrix."""
    points = {_point(result) for result in results}
    unusable = sorted({_point(result) for result in results if not result.usable})
    return Summary(
        name=name,
        points=len(points),
        runs=len(results),
        killed=sum(result.killed for result in results),
        outcomes=dict(Counter(str(result.outcome) for result in results)),
        unusable=len(unusable),
        window=tuple(dict.fromkeys(place for _, _, _, place in unusable)),
    )


def by_operation(results: Iterable[Result]) -> list[tuple[Operation, int, list[Result]]]:
    """The results of each operation in order, with the number of rotations before it."""
    found: dict[tuple[int, int], list[Result]] = {}
    for result in results:
        found.setdefault((result.rotations, result.operation.index), []).append(result)
    return [(group[0].operation, rotations, group) for (rotations, _), group in sorted(found.items())]


def _point(result: Result) -> tuple[int, int, bool, str]:
    operation = result.operation
    place = f"{result.when} {operation.step} {operation.name}"
    return result.rotations, operation.index, result.when == "after", place
