"""`rotators matrix`: stop rotations everywhere, recover them, and print what became of them."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rotators.cli.output import console, json_option, print_json, progress_bars
from rotators.cli.servers import SERVERS, running
from rotators.core.errors import ServerNotFound
from rotators.testing.results import Outcome, Result, Summary, by_operation, summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from rich.console import Console

_WORKERS = 2
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Job:
    """One matrix.

    Attributes:
        engine: of the server.
        name: for the report.
        strategy: the secret's.
        with_admin: whether the secret names an admin.
        every: 1 tries all points, 2 every second one, and so on.
        thorough: see crash.Plan.
    """

    engine: str
    name: str
    strategy: str
    with_admin: bool
    every: int = 1
    thorough: bool = False


# The longest first, so that the others share the second worker meanwhile.
_PAIR = {"alternating": ("alternating", True)}
_ONE_USER = {"single": ("single", False), "single-admin": ("single", True)}
_TWO_PASSWORDS = {"dual": ("dual", True)}
MATRICES = {
    "postgres": _PAIR | _ONE_USER,
    "mariadb": _PAIR | _TWO_PASSWORDS | _ONE_USER,
    "mysql": _PAIR | _TWO_PASSWORDS | _ONE_USER,
}


@click.command(short_help="Stop rotations at every operation, and recover them.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(sorted(MATRICES)),
    help="May be given several times; all whose servers are on this machine when left out.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(sorted({name for engine in MATRICES.values() for name in engine})),
    help="May be given several times; all when left out.",
)
@click.option("--every", type=click.IntRange(min=1), default=1, help="Try every Nth point only.")
@click.option("--thorough", is_flag=True, help="Every recovery in every container; takes hours.")
@json_option
def matrix(
    engines: tuple[str, ...], strategies: tuple[str, ...], every: int, thorough: bool, as_json: bool
) -> None:
    """Stop rotations before and after everything they do, recover them, and show what became of them."""
    known = {name for engine in engines or MATRICES for name in MATRICES[engine]}
    if strategies and not known.intersection(strategies):
        raise click.BadParameter(
            f"{', '.join(engines)} does not have the strategy {', '.join(strategies)}",
            param_hint="--strategy",
        )
    missing = _missing(engines)
    jobs = [
        Job(engine, f"{engine} {name}", *how, every, thorough)
        for engine in engines or MATRICES
        if engine not in missing
        for name, how in MATRICES[engine].items()
        if not strategies or name in strategies
    ]
    out = console()
    out.quiet = as_json
    started = time.monotonic()
    results = _run(jobs, out)
    seconds = time.monotonic() - started
    summaries = [summary(job.name, results[job.name]) for job in jobs]
    if as_json:
        print_json(_document(missing, summaries, results, seconds))
    else:
        for job in jobs:
            out.print(_table(job.name, results[job.name]))
        for each in summaries:
            out.print(_line(each), soft_wrap=True)
        for engine, why in missing.items():
            out.print(f"{engine}: not run: {why}", soft_wrap=True)
        out.print(_closing(summaries, seconds), soft_wrap=True)
    if any(each.failures for each in summaries):
        sys.exit(1)


def _missing(wanted: tuple[str, ...]) -> dict[str, str]:
    """The engines whose servers are not on this machine, and why.

    Raises:
        ServerNotFound: one of them was asked for.
    """
    missing = {}
    for engine, make in SERVERS.items():
        try:
            make()
        except ServerNotFound as error:
            if engine in wanted:
                raise
            missing[engine] = str(error)
    return missing


def _run(jobs: list[Job], out: Console) -> dict[str, list[Result]]:
    """Run the matrices, two at a time: each has a local AWS and a server of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with (
        ProcessPoolExecutor(_WORKERS, mp_context=context, initializer=_adopt, initargs=(queue,)) as pool,
        progress_bars(out) as progress,
    ):
        bars = {job.name: progress.add_task(job.name, total=None) for job in jobs}
        running: dict[str, Future[list[Result]]] = {job.name: pool.submit(run, job) for job in jobs}
        while not all(future.done() for future in running.values()):
            try:
                name, total = queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            progress.update(bars[name], total=total, advance=1)
        return {name: future.result() for name, future in running.items()}


_queue: Any = None


def _adopt(queue: Any) -> None:
    global _queue  # noqa: PLW0603 - how a worker of a pool is given a queue
    _queue = queue


def run(job: Job) -> list[Result]:
    """Run one matrix in this process, with a local AWS and a private server of its own.

    Args:
        job: which.
    """
    from rotators.local.aws import LocalAws  # noqa: PLC0415 - moto takes a second to import
    from rotators.testing.case import Kit  # noqa: PLC0415
    from rotators.testing.crash import CrashMatrix, Plan  # noqa: PLC0415
    from rotators.testing.killed import Killer  # noqa: PLC0415

    with LocalAws() as aws, running(job.engine) as target:
        os.environ.update(aws.exports())
        with (
            Killer(target) as killer,
            Kit(aws, target, strategy=job.strategy, with_admin=job.with_admin) as kit,
        ):
            crashes = CrashMatrix(job.name, kit, killer)
            plan = Plan(every=job.every, thorough=job.thorough)
            total = sum(1 for _ in crashes.points(plan))
            return crashes.run(plan, _reporter(job.name, total))


def _reporter(name: str, total: int) -> Callable[[Result], None]:
    def report(_: Result) -> None:
        if _queue is not None:
            _queue.put((name, total))

    return report


def _table(name: str, results: list[Result]) -> Table:
    table = Table(title=f"{name}: stopped before and after each operation", title_justify="left")
    for column in ("before", "step", "operation", "stops", "outcome", "AWSCURRENT"):
        table.add_column(column)
    for operation, rotations, group in by_operation(results):
        dead = sorted({str(result.when) for result in group if not result.usable}, reverse=True)
        counts = Counter(str(result.outcome) for result in group)
        table.add_row(
            f"{rotations}+" if rotations else "0",
            operation.step,
            operation.name,
            str(len(group)),
            ", ".join(f"{outcome} {count}" for outcome, count in counts.items()),
            f"dead {' and '.join(dead)}" if dead else "logs in",
        )
    return table


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
        f"{outcomes[kind]} {kind.replace('_', ' ')}" for kind in Outcome if kind is not Outcome.OK
    )
    return (
        f"{points} points, {runs} stops in {seconds:.0f} s: {outcomes[Outcome.OK]} recovered, {bad}."
        " Next: docs/explanation/proofs.md explains the outcomes; `--json` names each point."
    )


def _document(
    missing: dict[str, str], summaries: list[Summary], results: dict[str, list[Result]], seconds: float
) -> dict[str, Any]:
    return {
        "not_run": missing,
        "seconds": round(seconds, 1),
        "matrices": [{**asdict(each), "failures": each.failures} for each in summaries],
        "results": [result.document() for group in results.values() for result in group],
    }
