"""Crash matrix: stops a rotation before and after each of its operations outside the process.

An undisturbed rotation is recorded first. Its operations are the points. At each point a new credential is
rotated, stopped, recovered and examined. The points are not listed by hand, so a new call, login or statement
of a rotator adds a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rotators.core.errors import RotatorsError
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._killed import Killer
from rotators.testing._recorder import Operation, Stop, StopAt, When
from rotators.testing._results import Container, Point, Recovery, StopOutcome, StopResult

_MOST_USES = 8
"""Stops per credential. Each stop leaves one or two versions, which make the search slower."""


@dataclass(frozen=True)
class Plan:
    """Points and rotations to try.

    Attributes:
        starts: numbers of rotations before the stopped one; the first rotation of a pair of users has other
            operations than the later ones, and those differ by the user whose turn it is.
        every: 1 tries all points, 2 every second one, and so on.
        thorough: True to try every recovery in every container, and to stop a retry again at *every* second
            of its operations. Otherwise warm containers and killed processes alternate between the two
            recoveries, and at every second point the retry is stopped again at the same operation.
    """

    starts: Sequence[int] = (0, 1, 2)
    every: int = 1
    thorough: bool = False


@dataclass(frozen=True)
class Undisturbed:
    """A rotation without a stop.

    Attributes:
        operations: its operations outside the process.
        footprint: its results on the target.
    """

    operations: Sequence[Operation]
    footprint: object


class CrashMatrix:
    """Stops rotations of one kit.

    Args:
        name: name of the matrix; shown in the report.
        kit: creates the cases.
        killer: runs rotations in processes that can be killed; None kills none.
    """

    def __init__(self, name: str, kit: Kit, killer: Killer | None = None) -> None:
        self.name = name
        self._kit = kit
        self._killer = killer
        self._undisturbed: dict[int, Undisturbed] = {}
        self._waiting: Case | None = None
        self._uses = 0

    def undisturbed(self, rotations: int) -> Undisturbed:
        """Return a recorded rotation in a fresh container; recorded once per number of earlier rotations.

        Args:
            rotations: number of rotations before the recorded one.
        """
        if rotations not in self._undisturbed:
            with self._kit.case(rotations=rotations) as case:
                self._kit.function.restart()
                self._kit.recorder.begin()
                case.begin(*STEPS)
                operations = tuple(self._kit.recorder.operations)
                self._undisturbed[rotations] = Undisturbed(
                    operations, self._kit.target.footprint(case.current())
                )
        return self._undisturbed[rotations]

    def points(self, plan: Plan) -> Iterator[Point]:
        """Yield all points of a plan.

        Args:
            plan: points and rotations to try.

        Yields:
            Each side of each operation, with each kind of recovery.
        """
        for rotations in plan.starts:
            operations = self.undisturbed(rotations).operations
            places = [(operation, when) for operation in operations for when in When]
            for number, (operation, when) in enumerate(places):
                if _is_tried(number, plan.every):
                    yield from self._recoveries(rotations, operation, when, number, plan)

    def _recoveries(
        self, rotations: int, operation: Operation, when: When, number: int, plan: Plan
    ) -> Iterator[Point]:
        turn = (number // plan.every) % 2
        for which, recovery in enumerate((Recovery.SAME_TOKEN, Recovery.NEW_TOKEN)):
            yield Point(rotations, operation, when, recovery)
            if plan.thorough or which == turn:
                yield Point(rotations, operation, when, recovery, Container.WARM)
            if self._killer is not None and (plan.thorough or which != turn):
                yield Point(rotations, operation, when, recovery, killed=True)
        if plan.thorough:
            length = len(self.undisturbed(rotations).operations)
            for again in range(0, length, 2):
                yield Point(rotations, operation, when, Recovery.STOPPED_AGAIN, again=again)
        elif turn == 0:
            yield Point(rotations, operation, when, Recovery.STOPPED_AGAIN, again=operation.index)

    def run(self, plan: Plan, progress: Callable[[StopResult], None] | None = None) -> list[StopResult]:
        """Try every point of a plan.

        Args:
            plan: points and rotations to try.
            progress: called with each result.

        Returns:
            One result per point.
        """
        results = []
        for point in self.points(plan):
            result = self.stop(point)
            results.append(result)
            if progress is not None:
                progress(result)
        self.close()
        return results

    def stop(self, point: Point) -> StopResult:
        """Stop one rotation at one point, recover it, and examine the result.

        Args:
            point: point of the stop.

        Returns:
            The result; its outcome is OK if none of the other outcomes applies.
        """
        undisturbed = self.undisturbed(point.rotations)
        case = self._taken(point.rotations)
        trial = _Trial(self._kit, case, point, undisturbed, self._killer)
        outcome = trial.run()
        self._give_back(case, reusable=outcome is StopOutcome.OK)
        return StopResult(self.name, point, trial.usable, trial.further, outcome, trial.detail)

    def close(self) -> None:
        """Remove the credential that is kept for the next use."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _taken(self, rotations: int) -> Case:
        """Return a credential with at least so many rotations; one that recovered well can be used again."""
        if rotations and self._waiting is not None:
            case, self._waiting = self._waiting, None
            if self._kit.strategy == "alternating" and self._other_turn(case, rotations):
                case.rotate()
            return case
        self._uses = 0
        return self._kit.case(rotations=rotations)

    def _other_turn(self, case: Case, rotations: int) -> bool:
        """Return True if the current user of a pair is not the one after that number of rotations."""
        begun = bool(case.current()["username"] == case.first["username"])
        return begun != (rotations % 2 == 0)

    def _give_back(self, case: Case, *, reusable: bool) -> None:
        self._uses += 1
        if reusable and self._waiting is None and self._uses < _MOST_USES:
            self._waiting = case
        else:
            case.close()


def _is_tried(number: int, every: int) -> bool:
    """Return True for every Nth place. Before and after alternate, so an even N alternates between them."""
    turn = 0 if every % 2 else (number // every) % 2
    return number % every == turn


class _Failed(Exception):
    def __init__(self, outcome: StopOutcome, detail: str = "") -> None:
        super().__init__(outcome)
        self.outcome, self.detail = outcome, detail


class _Trial:
    """One stop of one case, and its recovery."""

    def __init__(
        self, kit: Kit, case: Case, point: Point, undisturbed: Undisturbed, killer: Killer | None
    ) -> None:
        self._kit, self._case, self._point, self._killer = kit, case, point, killer
        self._undisturbed = undisturbed
        self.usable, self.further, self.detail = True, 0, ""

    def run(self) -> StopOutcome:
        try:
            self._stop()
            self._recover()
            self._check_end()
        except _Failed as failed:
            self.detail = failed.detail
            return failed.outcome
        return StopOutcome.OK

    def _stop(self) -> None:
        token = self._case.begin()
        self._kit.function.restart()
        self._token = token
        if self._point.killed:
            assert self._killer is not None  # noqa: S101 - points says killed only with a killer
            self._killer.rotate_until(self._case, token, self._point.operation.index, self._point.when)
        else:
            reached = self._run_until(token, StopAt(self._point.operation.index, self._point.when))
            if not reached:
                raise _Failed(
                    StopOutcome.SWALLOWED, "the rotation went another way, or was over before the stop"
                )
        self._look()

    def _run_until(self, token: str, stop: StopAt) -> bool:
        """Rotate up to the stop; return False if the rotation ended before it."""
        self._kit.recorder.begin(stop)
        try:
            for step in STEPS:
                self._case.step(step, token)
                if stop.reached:
                    raise _Failed(StopOutcome.SWALLOWED, "the step went on after the stop")
        except Stop:
            return True
        except RotatorsError as error:
            if not stop.reached:
                self.detail = str(error)
                return False
            raise _Failed(StopOutcome.SWALLOWED, f"the stop became an error: {error}") from None
        finally:
            self._kit.recorder.begin()
        return False

    def _look(self) -> None:
        """Check that the current value logs in, and otherwise that another value does."""
        if self._case.current_logs_in():
            return
        self.usable = False
        if self._kit.always_usable:
            # A broken promise ends the trial, so `usable` covers the recovery as well.
            raise _Failed(StopOutcome.CURRENT_UNUSABLE, "AWSCURRENT did not log in")
        if not self._case.some_logs_in():
            raise _Failed(StopOutcome.LOST, "no stored version logged in")

    def _recover(self) -> None:
        token = self._token
        if self._point.container is Container.FRESH:
            self._kit.function.restart()
        if self._point.recovery is Recovery.STOPPED_AGAIN:
            usable = self.usable
            self._run_until(token, StopAt(self._point.again, self._point.when))
            self._look()
            self.usable = usable
            self._kit.function.restart()
        if self._point.recovery is Recovery.NEW_TOKEN:
            self._case.drop_pending(token)
            token = self._case.begin()
        if self._completes(token):
            return
        self.further = 1
        self._case.drop_pending(token)
        if not self._completes(self._case.begin()):
            raise _Failed(StopOutcome.STUCK, self.detail)

    def _completes(self, token: str) -> bool:
        """Run all steps, and check the current value after each; return True if the rotation is complete."""
        for step in STEPS:
            try:
                self._case.step(step, token)
            except RotatorsError as error:
                self.detail = str(error)
                return False
            finally:
                if self._kit.always_usable:
                    self._look()
        return self._case.current_version() == token and self._case.current_logs_in()

    def _check_end(self) -> None:
        footprint = self._kit.target.footprint(self._case.current())
        if footprint != self._undisturbed.footprint:
            raise _Failed(StopOutcome.LEFTOVER, f"{footprint} instead of {self._undisturbed.footprint}")
        if not self._kit.has_no_session(self._case.first):
            raise _Failed(StopOutcome.LEFTOVER, "a session of the credential stayed open")
