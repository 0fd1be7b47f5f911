"""Results of the crash matrix: one immutable record per stop, and the counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rotators.testing.recorder import Operation, When


class Recovery(StrEnum):
    """Recovery after a stop."""

    SAME_TOKEN = "same token"  # noqa: S105 - a rotation's token is not a password
    NEW_TOKEN = "new token"  # noqa: S105 - the same
    STOPPED_AGAIN = "stopped again, same token"


class Container(StrEnum):
    """Container after the stop: a new process, or the same process with its memory."""

    FRESH = "fresh"
    WARM = "warm"


class StopOutcome(StrEnum):
    """Result of a stop; the worst one that applies."""

    SWALLOWED = "swallowed"
    """Code continued after the simulated death of its process."""
    LOST = "lost"
    """No stored version logged in."""
    CURRENT_UNUSABLE = "current_unusable"
    """AWSCURRENT did not log in although the strategy promises it."""
    STUCK = "stuck"
    """Neither the retry nor one further rotation set a current value that logs in."""
    LEFTOVER = "leftover"
    """Users, rights or sessions remained that an undisturbed rotation does not leave."""
    OK = "ok"


@dataclass(frozen=True)
class StopResult:
    """One stop and its recovery.

    Attributes:
        name: name of the matrix.
        rotations: number of rotations before the stopped one.
        operation: operation of the stop.
        when: before or after the operation.
        killed: True if a process was killed, False if an exception stopped the rotation.
        recovery: recovery after the stop.
        container: container that ran the recovery.
        usable: True if AWSCURRENT logged in right after the first stop; with a strategy that promises it,
            after each later step too.
        further: number of full rotations that were needed after the recovery.
        outcome: result of the stop.
        detail: last error, if any.
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
    outcome: StopOutcome
    detail: str = ""

    def document(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """Counts of one matrix.

    Attributes:
        name: name of the matrix.
        points: number of different places in a rotation, before and after each operation.
        runs: number of stops with a recovery.
        killed: number of stops that killed a process.
        outcomes: number of runs by outcome.
        unusable: number of points right after which AWSCURRENT did not log in.
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
        """Return the number of runs that broke a promise."""
        return self.runs - self.outcomes.get(StopOutcome.OK, 0)


def summary(name: str, results: Sequence[StopResult]) -> Summary:
    """Count the results of one matrix.

    Args:
        name: name of the matrix.
        results: its results.

    Returns:
        The numbers of points, runs and outcomes, and where the current value could not log in.
    """
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


def by_operation(results: Iterable[StopResult]) -> list[tuple[Operation, int, list[StopResult]]]:
    """Return the results of each operation in order, with the number of rotations before it.

    Args:
        results: results of one matrix.
    """
    found: dict[tuple[int, int], list[StopResult]] = {}
    for result in results:
        found.setdefault((result.rotations, result.operation.index), []).append(result)
    return [(group[0].operation, rotations, group) for (rotations, _), group in sorted(found.items())]


def _point(result: StopResult) -> tuple[int, int, bool, str]:
    operation = result.operation
    place = f"{result.when} {operation.step} {operation.name}"
    return result.rotations, operation.index, result.when == "after", place
