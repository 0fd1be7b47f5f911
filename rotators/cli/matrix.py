"""`rotators matrix`: stop rotations at every operation, recover them, and print the results."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any

import click

from rotators.cli.output import console, json_option, progress_bars, table
from rotators.cli.stopping import exit_unless
from rotators.core.registry import load
from rotators.local.errors import ServerNotFound
from rotators.strategies.rotator import engine_of
from rotators.testing import _targets
from rotators.testing._results import StopOutcome, StopResult, Summary, by_operation, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from rotators.cli.output import Screen
    from rotators.local.aws import LocalAws
    from rotators.testing._killed import Killer
    from rotators.testing._target import Target

_WORKERS = 2
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Job:
    """One matrix.

    Attributes:
        engine: engine of the server.
        name: name in the report.
        strategy: the secret's strategy.
        with_admin: True if the secret names an admin.
        every: 1 tries all points, 2 every second one, and so on.
        thorough: see crash.Plan.
    """

    engine: str
    name: str
    strategy: str
    with_admin: bool
    every: int = 1
    thorough: bool = False


MATRICES = {
    "alternating": ("alternating", True),
    "dual": ("dual", True),
    "single": ("single", False),
    "single-admin": ("single", True),
}
"""Strategy, and True with an admin, by name. The slowest come first, because two run at a time."""


def matrices(engine: str) -> list[str]:
    """Return the names of an engine's matrices: those that its strategies permit.

    Args:
        engine: one of ``_targets.names()``.

    Returns:
        Keys of MATRICES, in its order.
    """
    declared = engine_of(load(engine))
    needs_admin = {each.name: each.needs_admin for each in declared.strategies} if declared else {}
    return [
        name
        for name, (strategy, with_admin) in MATRICES.items()
        if strategy in needs_admin and (with_admin or not needs_admin[strategy])
    ]


@click.command()
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(_targets.names()),
    help="Can be repeated. Default: all engines whose servers are on this machine.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(sorted(MATRICES)),
    help="Can be repeated. Default: all.",
)
@click.option("--every", type=click.IntRange(min=1), default=1, help="Try every Nth point only.")
@click.option("--thorough", is_flag=True, help="Every recovery in every container; takes hours.")
@json_option
def matrix(engines: tuple[str, ...], strategies: tuple[str, ...], every: int, thorough: bool) -> None:
    """Stop rotations before and after each operation, recover them, and show the results."""
    known = {engine: matrices(engine) for engine in engines or _targets.names()}
    if strategies and not any(set(names).intersection(strategies) for names in known.values()):
        raise click.BadParameter(
            f"{', '.join(engines)} does not have the strategy {', '.join(strategies)}",
            param_hint="--strategy",
        )
    missing = _missing(engines)
    jobs = [
        Job(engine, f"{engine} {name}", *MATRICES[name], every, thorough)
        for engine, names in known.items()
        if engine not in missing
        for name in names
        if not strategies or name in strategies
    ]
    out = console()
    started = time.monotonic()
    results = _run(jobs, out)
    seconds = time.monotonic() - started
    summaries = [summary(job.name, results[job.name]) for job in jobs]
    out.document(_document(missing, summaries, results, seconds))
    for job in jobs:
        out.print(_table(job.name, results[job.name]))
    for each in summaries:
        out.print(_line(each))
    for engine, why in missing.items():
        out.print(f"{engine}: not run: {why}")
    out.print(_closing(summaries, seconds))
    exit_unless(not any(each.failures for each in summaries))


def _missing(wanted: tuple[str, ...]) -> dict[str, str]:
    """Return the engines whose servers are not on this machine, with the reasons.

    Raises:
        ServerNotFound: one of them was requested.
    """
    missing = {}
    for engine in _targets.names():
        try:
            _targets.small_server(engine)
        except ServerNotFound as error:
            if engine in wanted:
                raise
            missing[engine] = str(error)
    return missing


def _run(jobs: list[Job], out: Screen) -> dict[str, list[StopResult]]:
    """Run the matrices of two engines at a time: each has its own local AWS and server."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    engines = dict.fromkeys(job.engine for job in jobs)
    with (
        ProcessPoolExecutor(_WORKERS, mp_context=context, initializer=_adopt, initargs=(queue,)) as pool,
        progress_bars(out) as progress,
    ):
        bars = {job.name: progress.add_task(job.name, total=None) for job in jobs}
        running = [
            pool.submit(run, engine, [job for job in jobs if job.engine == engine]) for engine in engines
        ]
        while not all(future.done() for future in running):
            try:
                name, total = queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            progress.update(bars[name], total=total, advance=1)
        return {name: results for future in running for name, results in future.result().items()}


_queue: Any = None


def _adopt(queue: Any) -> None:
    global _queue  # noqa: PLW0603 - this is how a worker of a pool gets a queue
    _queue = queue


def run(engine: str, jobs: list[Job]) -> dict[str, list[StopResult]]:
    """Run the matrices of one engine in this process, with a local AWS and a private server.

    Args:
        engine: engine of the server.
        jobs: the matrices.

    Returns:
        The results of the stops, by name of the matrix.
    """
    from rotators.local.aws import LocalAws  # noqa: PLC0415 - moto takes a second to import
    from rotators.testing._killed import Killer  # noqa: PLC0415

    with LocalAws() as aws, _targets.running(engine) as target:
        os.environ.update(aws.exports())
        target.use(aws)  # before the process that kills the rotation starts and inherits this environment
        with Killer(target) as killer:
            return {job.name: _stopped(job, aws, target, killer) for job in jobs}


def _stopped(job: Job, aws: LocalAws, target: Target, killer: Killer) -> list[StopResult]:
    from rotators.testing._case import Kit  # noqa: PLC0415 - the workers need it, and the command does not
    from rotators.testing._crash import CrashMatrix, Plan  # noqa: PLC0415

    with Kit(aws, target, strategy=job.strategy, with_admin=job.with_admin) as kit:
        crashes = CrashMatrix(job.name, kit, killer)
        plan = Plan(every=job.every, thorough=job.thorough)
        total = sum(1 for _ in crashes.points(plan))
        return crashes.run(plan, _reporter(job.name, total))


def _reporter(name: str, total: int) -> Callable[[StopResult], None]:
    def report(_: StopResult) -> None:
        if _queue is not None:
            _queue.put((name, total))

    return report


def _table(name: str, results: list[StopResult]) -> Table:
    columns = ("before", "step", "operation", "stops", "outcome", "AWSCURRENT")
    rows = []
    for operation, rotations, group in by_operation(results):
        dead = sorted({str(result.point.when) for result in group if not result.usable}, reverse=True)
        counts = Counter(str(result.outcome) for result in group)
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in counts.items())
        before = f"{rotations}+" if rotations else "0"
        works = f"dead {' and '.join(dead)}" if dead else "logs in"
        rows.append((before, operation.step, operation.name, str(len(group)), outcomes, works))
    return table(columns, rows, f"{name}: stopped before and after each operation")


def _line(each: Summary) -> str:
    window = (
        f"; AWSCURRENT did not log in at {each.unusable} points,"
        f" from '{each.window[0]}' to '{each.window[-1]}'"
        if each.window
        else "; AWSCURRENT logged in at every point"
    )
    return f"{each.name}: {each.points} points, {each.runs} stops ({each.killed} processes killed){window}"


def _closing(summaries: list[Summary], seconds: float) -> str:
    outcomes = Counter[str]()
    for each in summaries:
        outcomes.update(each.outcomes)
    runs, points = sum(each.runs for each in summaries), sum(each.points for each in summaries)
    bad = ", ".join(
        f"{outcomes[kind]} {kind.replace('_', ' ')}" for kind in StopOutcome if kind is not StopOutcome.OK
    )
    return (
        f"{points} points, {runs} stops in {seconds:.0f} s: {outcomes[StopOutcome.OK]} recovered, {bad}."
        " Next: docs/explanation/proofs.md explains the outcomes; `--json` names each point."
    )


def _document(
    missing: dict[str, str], summaries: list[Summary], results: dict[str, list[StopResult]], seconds: float
) -> dict[str, Any]:
    return {
        "not_run": missing,
        "seconds": round(seconds, 1),
        "matrices": [{**asdict(each), "failures": each.failures} for each in summaries],
        "results": [result.document() for group in results.values() for result in group],
    }
