"""`make bench-availability`: failed logins of three kinds of applications during rotations and outages."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rotators.local.aws import LocalAws
from rotators.local.servers.ldap import LdapServer
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.mongodb import MongoServer
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.redis import RedisServer
from rotators.testing._trouble import Trouble

if TYPE_CHECKING:
    from rotators.local.records import StepRecord
    from rotators.local.servers.private import PrivateServer

KINDS = ("naive", "cached", "ours")
STRATEGIES = {
    "single": ("postgres", "psycopg"),
    "alternating": ("postgres", "psycopg"),
    "dual": ("mariadb", "pymysql"),
    "redis-dual": ("redis", "redis"),
    "ldap-dual": ("ldap", "ldap3"),
    "mongodb-alternating": ("mongodb", "pymongo"),
}
"""Server and driver of each row; the last word of its name is the strategy."""
SERVERS: dict[str, Callable[[], PrivateServer]] = {
    "postgres": lambda: PostgresServer(settings={"max_connections": "300"}),
    "mariadb": lambda: MariaDbServer(settings={"max-connections": "300"}),
    "redis": RedisServer,
    "ldap": LdapServer,
    "mongodb": MongoServer,
}
"""Servers by engine; only those that are needed start."""
PACES = {"back to back": (0.0, 0.0), "0.5 s apart": (0.5, 0.0), "1 s between steps": (0.0, 1.0)}
"""Seconds between rotations, and between their steps."""

ENDPOINTS = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "SECRETS_MANAGER_ENDPOINT")
ROTATION_SECONDS = 120.0
MOST_REPEATED = 10
OUTAGE_SECONDS = 60.0
RESTART_SECONDS = 2.0


class Bench:
    """A local AWS with a server of each engine, which runs rotations.

    Args:
        aws: running local AWS, which the process's environment names.
        servers: running servers, by engine.
        tick: called after each rotation.

    Attributes:
        repeated: errors of rotations that failed and were repeated: the machine is busy, and a login has a
            deadline.
    """

    def __init__(self, aws: LocalAws, servers: Mapping[str, PrivateServer], tick: Callable[[], None]) -> None:
        self.repeated: list[str] = []
        self.aws, self.servers, self.tick = aws, servers, tick
        self.client = aws.client("secretsmanager")

    def secret(self, row: str) -> str:
        """Create a user with a secret that rotates as in a row of STRATEGIES, and return the ARN."""
        server = self.servers[STRATEGIES[row][0]]
        strategy = row.rpartition("-")[2]
        name, password = f"bench_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
        server.create_user(name, password)
        value = {**server.secret(name, password), "strategy": strategy}
        if strategy != "single":
            value["masterarn"] = self._stored(f"{name}_admin", server.secret())
        arn = self._stored(name, value)
        self.aws.enable_rotation(arn)
        return arn

    def _stored(self, name: str, value: dict[str, Any]) -> str:
        return str(self.client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"])

    def rotate(self, arn: str, times: int, apart: float = 0.0, between_steps: float = 0.0) -> None:
        """Rotate a secret several times.

        Args:
            arn: the secret.
            times: number of rotations.
            apart: seconds after each rotation.
            between_steps: seconds after each step.
        """

        def linger(_: StepRecord) -> None:
            time.sleep(between_steps)

        self.aws.on_step = linger
        for _ in range(times):
            token = str(uuid.uuid4())
            while error := self._failure(arn, token):
                self.repeated.append(error)
                assert len(self.repeated) <= MOST_REPEATED, self.repeated
            time.sleep(apart)
            self.tick()

    def _failure(self, arn: str, token: str) -> str:
        """Begin or continue a rotation, and return the error if it failed."""
        self.client.rotate_secret(SecretId=arn, ClientRequestToken=token)
        outcome = self.aws.wait_for_rotation(arn, token, ROTATION_SECONDS)
        if outcome.result == "succeeded":
            return ""
        return f"{outcome.steps[-1].step}: {outcome.steps[-1].error_message}"


@contextlib.contextmanager
def running(
    kinds: Iterable[str], arn: str, driver: str, endpoint: str, ttl: float = 300.0
) -> Iterator[dict[str, dict[str, Any]]]:
    """Run applications during the block.

    Args:
        kinds: kinds of applications; one of each is started.
        arn: ARN of the secret.
        driver: driver of their logins.
        endpoint: URL of Secrets Manager for the applications.
        ttl: lifetime in the cache of rotators.client, in seconds.

    Yields:
        Results by kind; filled at the end of the block.
    """
    found: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as ending:
        applications = {}
        for kind in kinds:
            command = [sys.executable, "-m", "benchmarks.application", kind, arn, driver, str(ttl)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(ENDPOINTS, endpoint)},
                text=True,
            )
            ending.enter_context(process)
            ending.callback(process.kill)
            applications[kind] = process
        for kind, process in applications.items():
            assert _said(process) == "ready", f"the application {kind} did not start"
        for process in applications.values():
            _tell(process)
        yield found
        for process in applications.values():
            _tell(process)
        found.update({kind: json.loads(_said(process)) for kind, process in applications.items()})


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    print(file=process.stdin, flush=True)


def rotations(
    bench: Bench, times: int, strategies: Sequence[str], paces: Sequence[str]
) -> list[dict[str, Any]]:
    """Rotate with each strategy at each pace, while all kinds of applications run."""
    results = []
    for strategy in strategies:
        for pace in paces:
            arn, (apart, between_steps) = bench.secret(strategy), PACES[pace]
            with running(KINDS, arn, STRATEGIES[strategy][1], bench.aws.endpoint) as found:
                bench.rotate(arn, times, apart, between_steps)
            results += [
                {"strategy": strategy, "pace": pace, "client": kind, "rotations": times, **document}
                for kind, document in found.items()
            ]
    return results


def troubles(bench: Bench, times: int) -> list[dict[str, Any]]:
    """Run rotators.client with `single` while Secrets Manager or the server fails."""

    def throttled(trouble: Trouble, arn: str) -> None:
        trouble.throttled = 0.5
        bench.rotate(arn, times, apart=0.5)

    def slow(trouble: Trouble, arn: str) -> None:
        trouble.delay = 2.0
        bench.rotate(arn, max(1, times // 5), apart=5.0)

    def down(trouble: Trouble, arn: str) -> None:
        trouble.down = True
        time.sleep(OUTAGE_SECONDS)
        trouble.down = False
        bench.rotate(arn, 1, apart=1.0)

    def restarted(_: Trouble, arn: str) -> None:
        bench.rotate(arn, 1)
        bench.servers["postgres"].restart(RESTART_SECONDS)
        bench.rotate(arn, 1, apart=1.0)

    cases = {
        "half of the calls throttled": throttled,
        "every call delayed by 2 s": slow,
        f"down for {OUTAGE_SECONDS:g} s": down,
        f"the server restarts, {RESTART_SECONDS:g} s": restarted,
    }
    results = []
    for name, act in cases.items():
        arn = bench.secret("single")
        # A short lifetime in the cache, so that the application meets the failure.
        with (
            Trouble(bench.aws.endpoint) as trouble,
            running(["ours"], arn, "psycopg", trouble.endpoint, ttl=5.0) as found,
        ):
            act(trouble, arn)
        assert trouble.calls.total() > 1, "the application made no calls during the failure"
        results.append({"trouble": name, **found["ours"]})
    return results


@click.command()
@click.option("--rotations", "times", default=30, show_default=True, help="Rotations of each row.")
@click.option("--only", type=click.Choice(["rotations", "troubles"]), help="One of the two tables.")
@click.option(
    "--strategy", "strategies", type=click.Choice(list(STRATEGIES)), multiple=True, help="Default: all."
)
@click.option("--pace", "paces", type=click.Choice(list(PACES)), multiple=True, help="Default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    times: int, only: str | None, strategies: tuple[str, ...], paces: tuple[str, ...], as_json: bool
) -> None:
    """Count failed logins of three kinds of applications while rotations run. About half an hour."""
    strategies, paces = strategies or tuple(STRATEGIES), paces or tuple(PACES)
    console = Console(stderr=True)
    total = (0 if only == "troubles" else len(strategies) * len(paces) * times) + (
        0 if only == "rotations" else times + max(1, times // 5) + 3
    )
    document: dict[str, Any] = {}
    needed = {STRATEGIES[name][0] for name in strategies} if only != "troubles" else set()
    needed |= {"postgres"} if only != "rotations" else set()
    with (
        Progress(console=console, disable=as_json) as progress,
        LocalAws() as aws,
        contextlib.ExitStack() as started,
    ):
        os.environ.update(aws.exports())
        task = progress.add_task("rotating", total=total)
        servers = {name: started.enter_context(SERVERS[name]()) for name in sorted(needed)}
        bench = Bench(aws, servers, lambda: progress.advance(task))
        if only != "troubles":
            document["rotations"] = rotations(bench, times, strategies, paces)
            _print(document, "rotations", quiet=as_json)
        if only != "rotations":
            document["troubles"] = troubles(bench, times)
            _print(document, "troubles", quiet=as_json)
    document["repeated"] = bench.repeated
    if as_json:
        click.echo(json.dumps(document))
    for error in bench.repeated:
        click.echo(f"repeated after {error}", err=as_json)
    ours = [row for row in document.get("rotations", []) if row["client"] == "ours"]
    ours += document.get("troubles", [])
    failed = sum(row[use]["failed"] for row in ours for use in ("new", "pool"))
    click.echo(f"bench-availability: {failed} failed logins of rotators.client", err=as_json)
    sys.exit(1 if failed else 0)


def _print(document: dict[str, Any], name: str, *, quiet: bool) -> None:
    if quiet:
        return
    rows = document[name]
    if name == "rotations":
        table = _table("strategy", "pace", "client", "API calls per rotation")
        for row in rows:
            per_rotation = f"{row['api_calls'] / row['rotations']:,.1f}"
            table.add_row(*(row[key] for key in ("strategy", "pace", "client")), per_rotation, *_cells(row))
    else:
        table = _table("Secrets Manager, or the server", "API calls")
        for row in rows:
            table.add_row(row["trouble"], f"{row['api_calls']:,}", *_cells(row))
    Console(width=170).print(table)
    for error in sorted({error for row in rows for use in ("new", "pool") for error in row[use]["errors"]}):
        click.echo(f"  seen: {error}")


def _table(*first: str) -> Table:
    table = Table()
    for name in first:
        table.add_column(name, justify="right" if name.startswith("API") else "left")
    for name in (
        "logins",
        "failed",
        "outage ms",
        "longest wait ms",
        "from a pool",
        "failed",
        "outage ms",
        "sessions cut",
    ):
        table.add_column(name, justify="right")
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    new, pool = row["new"], row["pool"]
    cells = [new["attempts"], new["failed"], new["longest_outage_ms"], new["longest_wait_ms"]]
    cells += [pool["attempts"], pool["failed"], pool["longest_outage_ms"]]
    return [f"{cell:,}" for cell in [*cells, new["sessions_cut"] + pool["sessions_cut"]]]


if __name__ == "__main__":
    main()
