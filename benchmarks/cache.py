"""`make bench-cache`: hits of three caches, and a stampede (many simultaneous reads) on a cold key."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
import click
from aws_lambda_powertools.utilities import parameters
from aws_secretsmanager_caching import (  # type: ignore[import-untyped] # it has no types
    SecretCache as AwsSecretCache,
)
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rotators.client import SecretCache
from rotators.local.aws import LocalAws
from rotators.testing._trouble import Trouble

THREADS = 8
STAMPEDE = 100
SECONDS = 300
Get = Callable[[str], object]


def ours(client: Any) -> Get:
    """This project's cache."""
    return SecretCache(client=client).get_secret_string


def aws(client: Any) -> Get:
    """The library aws-secretsmanager-caching."""
    get: Get = AwsSecretCache(client=client).get_secret_string
    return get


def powertools(client: Any) -> Get:
    """Powertools Parameters, with the same lifetime."""
    provider = parameters.SecretsProvider(boto3_client=client)
    return lambda name: provider.get(name, max_age=SECONDS)


CONTENDERS: dict[str, Callable[[Any], Get]] = {
    "rotators.client": ours,
    "aws-secretsmanager-caching": aws,
    "Powertools Parameters": powertools,
}


@dataclass
class Figures:
    """Results of one contender.

    Attributes:
        single: hits per second of one thread, by round.
        together: hits per second of all threads, by round.
        latency: nanoseconds of single hits in one thread.
        stampede: API calls of all threads together for a cold key.
    """

    single: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    latency: list[int] = field(default_factory=list)
    stampede: int = 0

    def document(self) -> dict[str, Any]:
        """Return the medians and percentiles as a JSON object."""
        percentiles = statistics.quantiles(self.latency, n=100)
        return {
            "hits_per_second_1_thread": round(statistics.median(self.single)),
            f"hits_per_second_{THREADS}_threads": round(statistics.median(self.together)),
            "p50_ns": round(percentiles[49]),
            "p99_ns": round(percentiles[98]),
            f"api_calls_of_{STAMPEDE}_threads_on_a_cold_key": self.stampede,
        }


def rate(get: Get, name: str, seconds: float, threads: int) -> float:
    """Measure the hits per second of all threads together.

    Args:
        get: reads a secret from the cache.
        name: name of the secret.
        seconds: duration of the measurement.
        threads: number of threads.

    Returns:
        Hits per second.
    """
    counts = [0] * threads
    ready, ended = threading.Barrier(threads + 1), threading.Event()

    def work(number: int) -> None:
        count = 0
        ready.wait()
        while not ended.is_set():
            for _ in range(100):
                get(name)
            count += 100
        counts[number] = count

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    time.sleep(seconds)
    ended.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)


def latencies(get: Get, name: str, times: int) -> list[int]:
    """Return the nanoseconds of each of `times` hits."""
    taken = []
    for _ in range(times):
        started = time.perf_counter_ns()
        get(name)
        taken.append(time.perf_counter_ns() - started)
    return taken


def stampede(make: Callable[[Any], Get], client: Any, trouble: Trouble, name: str) -> int:
    """Return the number of API calls if STAMPEDE threads read one cold key at the same time."""
    get = make(client)
    trouble.calls.clear()
    ready = threading.Barrier(STAMPEDE)

    def ask(_: int) -> object:
        ready.wait()
        return get(name)

    with ThreadPoolExecutor(STAMPEDE) as threads:
        found = list(threads.map(ask, range(STAMPEDE)))
    assert len(set(found)) == 1
    return trouble.calls.total()


@click.command()
@click.option("--rounds", default=7, show_default=True, help="Rounds; each one measures all contenders.")
@click.option("--seconds", default=0.5, show_default=True, help="Seconds of each measurement.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(rounds: int, seconds: float, as_json: bool) -> None:
    """Measure hits and a stampede of each cache, alternately, in one run."""
    figures = {name: Figures() for name in CONTENDERS}
    with (
        LocalAws() as local,
        Trouble(local.endpoint) as trouble,
        Progress(console=Console(stderr=True), disable=as_json) as progress,
    ):
        os.environ.update(local.exports())
        client = boto3.client("secretsmanager", endpoint_url=trouble.endpoint)
        client.create_secret(Name="bench", SecretString=json.dumps({"username": "app", "password": "x" * 32}))
        task = progress.add_task("measuring", total=(rounds + 1) * len(CONTENDERS))
        for name, make in CONTENDERS.items():
            trouble.delay = 0.1
            figures[name].stampede = stampede(make, client, trouble, "bench")
            trouble.delay = 0
            progress.advance(task)
        gets = {name: make(client) for name, make in CONTENDERS.items()}
        for _ in range(rounds):
            for name, get in gets.items():
                get("bench")
                figures[name].single.append(rate(get, "bench", seconds, 1))
                figures[name].together.append(rate(get, "bench", seconds, THREADS))
                figures[name].latency += latencies(get, "bench", 20_000)
                progress.advance(task)
    show({name: each.document() for name, each in figures.items()}, as_json=as_json)


def show(documents: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    """Print the figures, and the ratios of this project's figures to those of the others."""
    first, *others = documents
    rates = [key for key in documents[first] if key.startswith("hits")]
    ratios = {
        name: {key: round(documents[first][key] / documents[name][key], 1) for key in rates}
        for name in others
    }
    if as_json:
        click.echo(json.dumps({"caches": documents, "ratios": ratios}))
        return
    table = Table(title="hits of a warm cache, and a stampede")
    table.add_column("")
    for name in documents:
        table.add_column(name, justify="right")
    for key in documents[first]:
        table.add_row(key.replace("_", " "), *(f"{each[key]:,}" for each in documents.values()))
    Console().print(table)
    for name, each in ratios.items():
        click.echo(f"bench-cache: {' and '.join(f'{ratio} ×' for ratio in each.values())} the hits of {name}")


if __name__ == "__main__":
    main()
