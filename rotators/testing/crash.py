"""The crash matrix: a rotation is stopped before and after everything it does outside its process.

An undisturbed rotation is recorded first; what it does is the list of points. Then, for each point, a new
credential is rotated and stopped there, recovered, and looked at. Nobody lists the points by hand, so a new
call, login or statement of a rotator is a new point by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from rotators.core.errors import RotatorsError
from rotators.testing.case import STEPS
from rotators.testing.recorder import Operation, Stop, StopAt, When
from rotators.testing.results import Container, Outcome, Recovery, Result

if TYPE_CHECKING:
    from rotators.testing.case import Case, Kit
    from rotators.testing.killed import Killer

_SESSION_END_SECONDS = 3.0
"""How long a server may take to notice that a client has gone."""


_MOST_USES = 8
"""Of one credential: each run leaves a version or two, and they make the walk through the history longer."""


@dataclass(frozen=True)
class Point:
    """A place where a rotation is stopped, and how it is recovered.

    Attributes:
        rotations: how many the credential has behind it, at least.
        operation, when: where the stop is.
        recovery, container: what follows.
        killed: whether a process is killed.
        again: of the retry, the operation where it is stopped again, for `Recovery.STOPPED_AGAIN`.
    """

    rotations: int
    operation: Operation
    when: When
    recovery: Recovery
    container: Container = Container.FRESH
    killed: bool = False
    again: int = 0


@dataclass(frozen=True)
class Plan:
    """Which points of which rotations are tried.

    Attributes:
        starts: numbers of rotations that the credentials have behind them; the first rotation of a pair
            of users does other things than the later ones, and those differ with whose turn it is.
        every: 1 tries all points, 2 every second one, and so on.
        thorough: every recovery in every container, and a retry is stopped again at *every* second operation
            of its own. Else warm containers and killed processes take turns with the two recoveries, and at
            every second point the retry is stopped again where the rotation was.
    """

    starts: Sequence[int] = (0, 1, 2)
    every: int = 1
    thorough: bool = False


@dataclass(frozen=True)
class Undisturbed:
    """A rotation that nothing happened to.

    Attributes:
        operations: what it did outside its process.
        footprint: what it left on the target.
    """

    operations: Sequence[Operation]
    footprint: object


class CrashMatrix:
    """Stops rotations of one kit.

    Args:
        name: of the matrix, for the report.
        kit: makes the cases.
        killer: runs rotations in processes that can be killed; without one none is killed.
    """

    def __init__(self, name: str, kit: Kit, killer: Killer | None = None) -> None:
        self.name = name
        self._kit = kit
        self._killer = killer
        self._undisturbed: dict[int, Undisturbed] = {}
        self._waiting: Case | None = None
        self._uses = 0

    def undisturbed(self, rotations: int) -> Undisturbed:
        """Record a rotation in a fresh container; once for each number of rotations before it."""
        if rotations not in self._undisturbed:
            with self._kit.case(rotations=rotations) as case:
                token = case.begin()
                self._kit.function.restart()
                self._kit.recorder.begin()
                case.steps(token)
                operations = tuple(self._kit.recorder.operations)
                self._undisturbed[rotations] = Undisturbed(
                    operations, self._kit.target.footprint(case.current())
                )
        return self._undisturbed[rotations]

    def points(self, plan: Plan) -> Iterator[Point]:
        """All points of a plan."""
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

    def run(self, plan: Plan, progress: Callable[[Result], None] | None = None) -> list[Result]:
        """Try every point of a plan.

        Args:
            plan: which.
            progress: called with each result as it comes.
        """
        results = []
        for point in self.points(plan):
            result = self.stop(point)
            results.append(result)
            if progress is not None:
                progress(result)
        self.close()
        return results

    def stop(self, point: Point) -> Result:
        """Stop one rotation at one point, recover it, and look."""
        undisturbed = self.undisturbed(point.rotations)
        case = self._taken(point.rotations)
        trial = _Trial(self._kit, case, point, undisturbed, self._killer)
        outcome = trial.run()
        self._give_back(case, reusable=outcome is Outcome.OK)
        return Result(
            name=self.name,
            rotations=point.rotations,
            operation=point.operation,
            when=point.when,
            killed=point.killed,
            recovery=point.recovery,
            container=point.container,
            usable=trial.usable,
            further=trial.further,
            outcome=outcome,
            detail=trial.detail,
        )

    def close(self) -> None:
        """Remove the credential that waits to be used again."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _taken(self, rotations: int) -> Case:
        """A credential with so many rotations behind it, or more; one that recovered well is as good."""
        if rotations and self._waiting is not None:
            case, self._waiting = self._waiting, None
            if self._kit.strategy == "alternating" and self._other_turn(case, rotations):
                case.rotate()
            return case
        self._uses = 0
        return self._kit.open(rotations=rotations)

    def _other_turn(self, case: Case, rotations: int) -> bool:
        """Whether the other user of a pair is current than after so many rotations."""
        begun = bool(case.current()["username"] == case.first["username"])
        return begun != (rotations % 2 == 0)

    def _give_back(self, case: Case, *, reusable: bool) -> None:
        self._uses += 1
        if reusable and self._waiting is None and self._uses < _MOST_USES:
            self._waiting = case
        else:
            case.close()


def _is_tried(number: int, every: int) -> bool:
    """Every Nth place. They alternate between before and after, so an even step takes turns in odd ones."""
    turn = 0 if every % 2 else (number // every) % 2
    return number % every == turn


class _Failed(Exception):
    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        super().__init__(outcome)
        self.outcome, self.detail = outcome, detail


class _Trial:
    """One stop of one case, and what follows."""

    def __init__(
        self, kit: Kit, case: Case, point: Point, undisturbed: Undisturbed, killer: Killer | None
    ) -> None:
        self._kit, self._case, self._point, self._killer = kit, case, point, killer
        self._undisturbed = undisturbed
        self.usable, self.further, self.detail = True, 0, ""

    def run(self) -> Outcome:
        try:
            self._stop()
            self._recover()
            self._check_end()
        except _Failed as failed:
            self.detail = failed.detail
            return failed.outcome
        return Outcome.OK

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
                raise _Failed(Outcome.SWALLOWED, "the rotation went another way, or was over before the stop")
        self._look()

    def _run_until(self, token: str, stop: StopAt) -> bool:
        """Rotate up to the stop; False when the rotation was over before it."""
        self._kit.recorder.begin(stop)
        try:
            for step in STEPS:
                self._case.step(step, token)
                if stop.reached:
                    raise _Failed(Outcome.SWALLOWED, "the step went on after the stop")
        except Stop:
            return True
        except RotatorsError as error:
            if not stop.reached:
                self.detail = str(error)
                return False
            raise _Failed(Outcome.SWALLOWED, f"the stop became an error: {error}") from None
        finally:
            self._kit.recorder.begin()
        return False

    def _look(self) -> None:
        """The current value right now, and if it is dead, whether another one lives."""
        if self._case.current_logs_in():
            return
        self.usable = False
        if self._kit.always_usable:
            # Where it is promised, this ends the trial, so `usable` speaks of the recovery as well.
            raise _Failed(Outcome.CURRENT_UNUSABLE, "AWSCURRENT did not log in")
        if not self._case.some_logs_in():
            raise _Failed(Outcome.LOST, "no stored version logged in")

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
            raise _Failed(Outcome.STUCK, self.detail)

    def _completes(self, token: str) -> bool:
        """Run all steps, looking at the current value after each; whether they made it current."""
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
            raise _Failed(Outcome.LEFTOVER, f"{footprint} instead of {self._undisturbed.footprint}")
        deadline = monotonic() + _SESSION_END_SECONDS
        while self._kit.target.sessions(self._case.first):
            if monotonic() > deadline:
                raise _Failed(Outcome.LEFTOVER, "a session of the credential stayed open")
            sleep(0.01)
