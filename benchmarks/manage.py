"""`make bench-manage`: the commands about all secrets, with many secrets in the local AWS."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from rotators.local.aws import LocalAws

_LISTED = 100
_REPORT = "secrets.html"
COMMANDS = {
    "list": ("list",),
    "list -o names": ("list", "-o", "names"),
    "list -o json": ("list", "-o", "json"),
    "policy check": ("policy", "check", "--preset", "cis"),
    "report": ("report", "-o", _REPORT),
}


@click.command()
@click.option("--secrets", default=2_000, show_default=True, help="Number of secrets.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each command; the median counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(secrets: int, rounds: int, as_json: bool) -> None:
    """Measure whole processes, from their start to their end.

    The ratio is to the same ListSecrets calls in a loop, without a process of their own.
    """
    with LocalAws() as aws, tempfile.TemporaryDirectory() as folder:
        client = aws.client("secretsmanager")
        for number in range(secrets):
            tags = [{"Key": "owner", "Value": f"team {number % 7}"}]
            client.create_secret(Name=f"prod/app-{number:05}", SecretString="{}", Tags=tags)
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, **aws.exports(), "PYTHONPATH": path}
        floor = _median(rounds, lambda: _list(client))
        seconds = {
            name: _median(rounds, lambda words=words: _run(words, folder, environment))  # type: ignore[misc]
            for name, words in COMMANDS.items()
        }
        seconds["list -o names: first page"] = _median(rounds, lambda: _first_page(folder, environment))
        start = _median(rounds, lambda: _run(("--version",), folder, environment))
        report = _page(folder, environment)
    figures = {
        "secrets": secrets,
        "pages": -(-secrets // _LISTED),
        "list_secrets_seconds": round(floor, 3),
        "start_seconds": round(start, 3),
        "report": report,
        "commands": {
            name: {"seconds": round(taken, 3), "ratio": round(taken / floor, 2)}
            for name, taken in seconds.items()
        },
    }
    if as_json:
        click.echo(json.dumps(figures))
    else:
        _print(figures)


def _median(rounds: int, run: Callable[[], object]) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _list(client: Any) -> int:
    pages = client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": _LISTED})
    return sum(len(page["SecretList"]) for page in pages)


def _run(words: tuple[str, ...], folder: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rotators", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.stdout, done.stderr.decode()


def _page(folder: str, environment: dict[str, str]) -> dict[str, float]:
    before = _processor_seconds()
    _run(COMMANDS["report"], folder, environment)
    seconds = _processor_seconds() - before
    return {"processor_seconds": round(seconds, 3), "bytes": (Path(folder) / _REPORT).stat().st_size}


def _processor_seconds() -> float:
    """Processor time of all processes that this one has started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _first_page(folder: str, environment: dict[str, str]) -> None:
    words = [sys.executable, "-u", "-m", "rotators", "list", "-o", "names"]
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout
        for _ in range(_LISTED):
            assert running.stdout.readline()
        running.kill()


def _print(figures: dict[str, Any]) -> None:
    table = Table(title=f"{figures['secrets']:,} secrets, {figures['pages']} pages of ListSecrets")
    table.add_column("")
    table.add_column("seconds", justify="right")
    table.add_column("ratio to ListSecrets", justify="right")
    table.add_row("ListSecrets alone", f"{figures['list_secrets_seconds']:.2f}", "1")
    table.add_row("rotators --version", f"{figures['start_seconds']:.2f}", "")
    for name, found in figures["commands"].items():
        table.add_row(f"rotators {name}", f"{found['seconds']:.2f}", str(found["ratio"]))
    Console().print(table)
    report = figures["report"]
    seconds, size = report["processor_seconds"], report["bytes"] / 1_000_000
    Console().print(f"rotators report: {seconds:.2f} s of processor time, a page of {size:.2f} MB")


if __name__ == "__main__":
    main()
