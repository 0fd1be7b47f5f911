"""`make bench`: counts, times and ratios of a rotation."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.rotation import Bench, Cost
from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer

_SERVER = {"log_statement": "all", "log_connections": "on", "log_duration": "off"}


@click.command()
@click.option("--rotations", default=40, show_default=True, help="Rotations of each strategy.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(rotations: int, as_json: bool) -> None:
    """Measure a rotation of each strategy, and its floor: the same calls without other work."""
    console = Console(stderr=True)
    with Progress(console=console, disable=as_json) as progress:
        task = progress.add_task("rotating", total=2 * rotations)
        costs = _costs(rotations, lambda: progress.advance(task))
    if as_json:
        click.echo(json.dumps({"rotations": [cost.figures() for cost in costs]}))
    else:
        _print(costs)


def _costs(rotations: int, tick: Any) -> list[Cost]:
    with LocalAws() as aws, PostgresServer(settings=_SERVER) as server:
        os.environ.update(aws.exports())
        bench = Bench(aws, server)
        # The functions log to stdout; the time of a terminal must not be measured.
        with contextlib.redirect_stdout(io.StringIO()):
            return [bench.measure(strategy, rotations, tick) for strategy in ("single", "alternating")]


def _print(costs: list[Cost]) -> None:
    table = Table(title="one warm rotation (four steps)")
    table.add_column("")
    figures = [cost.figures() for cost in costs]
    for figure in figures:
        table.add_column(figure["strategy"], justify="right")
    for operation in sorted({operation for cost in costs for operation in cost.calls}):
        table.add_row(operation, *(str(cost.calls.get(operation, 0)) for cost in costs))
    table.add_section()
    for key in [*list(figures[0])[3:], "api_calls"]:
        table.add_row(key.replace("_", " "), *(str(figure[key]) for figure in figures))
    Console().print(table)
    ratios = ", ".join(
        f"{f['strategy']} {f['api_calls']} calls, ratio {f['ratio_to_floor']}" for f in figures
    )
    click.echo(f"bench: {ratios}")


if __name__ == "__main__":
    main()
