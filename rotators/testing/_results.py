"""Results of the crash matrix: one immutable record per stop, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rotators.testing._recorder import Operation, When


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
class Point:
    """A point where a rotation is stopped, and its recovery.

    Attributes:
        rotations: number of rotations that the credential has had before, at least.
        operation, when: operation of the stop, and its side.
        recovery, container: recovery after the stop, and the container that runs it.
        killed: True if a process is killed, False if an exception stops the rotation.
        again: index of the operation where the retry is stopped again, for `Recovery.STOPPED_AGAIN`.
    """

    rotations: int
    operation: Operation
    when: When
    recovery: Recovery
    container: Container = Container.FRESH
    killed: bool = False
    again: int = 0


@dataclass(frozen=True)
class StopResult:
    """One stop and its recovery.

    Attributes:
        name: name of the matrix.
        point: point of the stop.
        usable: True if AWSCURRENT logged in right after the first stop; with a strategy that promises it,
            after each later step too.
        further: number of full rotations that were needed after the recovery.
        outcome: result of the stop.
        detail: last error, if any.
    """

    name: str
    point: Point
    usable: bool
    further: int
    outcome: StopOutcome
    detail: str = ""

    def document(self) -> dict[str, Any]:
        """Return the result as JSON types.

        Returns:
            Name, point of the stop and outcome, by name of the attribute.
        """
        result = asdict(self)
        point = result.pop("point")
        del point["again"]
        return {"name": self.name, **point, **result}


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
    points = {_place(result.point) for result in results}
    unusable = sorted({_place(result.point) for result in results if not result.usable})
    return Summary(
        name=name,
        points=len(points),
        runs=len(results),
        killed=sum(result.point.killed for result in results),
        outcomes=dict(Counter(str(result.outcome) for result in results)),
        unusable=len(unusable),
        window=tuple(dict.fromkeys(place for _, _, _, place in unusable)),
    )


def by_operation(results: Iterable[StopResult]) -> list[tuple[Operation, int, list[StopResult]]]:
    """Return the results of each operation in order, with the number of rotations before it.

    Args:
        results: results of one matrix.

    Returns:
        For each operation and number of earlier rotations: the operation, that number, and its results.
    """
    found: dict[tuple[int, int], list[StopResult]] = {}
    for result in results:
        found.setdefault((result.point.rotations, result.point.operation.index), []).append(result)
    return [(group[0].point.operation, rotations, group) for (rotations, _), group in sorted(found.items())]


def _place(point: Point) -> tuple[int, int, bool, str]:
    operation = point.operation
    words = f"{point.when} {operation.step} {operation.name}"
    return point.rotations, operation.index, point.when is When.AFTER, words
