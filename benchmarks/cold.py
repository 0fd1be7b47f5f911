"""`make bench-cold`: the artifact's cold start in Lambda's runtime client, and its import times."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rotators.local.aws import LocalAws
from rotators.local.functions.containers import FunctionConfig, FunctionContainer, interpreter
from rotators.local.functions.environment import lambda_environment

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0
BARE = '''\
import boto3

client = boto3.client("secretsmanager")


def handler(event, context):
    """Make only the calls of our first step."""
    arn, token = event["SecretId"], event["ClientRequestToken"]
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, stages in stages.items() if "AWSCURRENT" in stages)
    value = client.get_secret_value(SecretId=arn, VersionId=current)["SecretString"]
    try:
        client.get_secret_value(SecretId=arn, VersionId=token)
    except client.exceptions.ResourceNotFoundException:
        client.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"]
        )
'''
IMPORTS = "import functions.rotate; from rotators.aws import clients; clients.secrets_manager()"


@dataclass(frozen=True)
class Contender:
    """One artifact that is measured.

    Attributes:
        name: name in the table.
        folder: folder of the artifact.
        handler: handler in the artifact.
    """

    name: str
    folder: Path
    handler: str = "functions.rotate.handler"


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Cold starts of each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(rounds: int, as_json: bool) -> None:
    """Measure cold starts up to createSecret's answer: the artifact, a plain build, and boto3 alone."""
    console = Console(stderr=True)
    with Progress(console=console, disable=as_json) as progress, tempfile.TemporaryDirectory() as scratch:
        building = progress.add_task("building the artifacts", total=2)
        ours = built()
        progress.advance(building)
        plain = built(PLAIN="1")
        progress.advance(building)
        contenders = (
            Contender("ours", copied(ours, scratch, "ours")),
            Contender("plain", copied(plain, scratch, "plain")),
            Contender("bare boto3", with_bare(copied(ours, scratch, "bare")), "bare.handler"),
        )
        starting = progress.add_task("cold starts", total=rounds * len(contenders))
        seconds = cold_starts(contenders, rounds, lambda: progress.advance(starting))
    result = {
        "milliseconds": {name: round(statistics.median(each) * 1000) for name, each in seconds.items()},
        "ratio_to_plain": ratio(seconds["ours"], seconds["plain"]),
        "ratio_to_bare_boto3": ratio(seconds["ours"], seconds["bare boto3"]),
        "imports_ms": import_shares(ours),
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        show(result)


def built(**choices: str) -> Path:
    """Build an artifact for this machine's processor with make, as users do, and return its folder."""
    done = subprocess.run(
        ["make", "--silent", "artifact"],
        cwd=ROOT,
        env={**os.environ, "ARCHITECTURE": "x86_64", **choices},
        check=True,
        capture_output=True,
        text=True,
    )
    return ROOT / done.stdout.split()[-1]


def copied(folder: Path, scratch: str, name: str) -> Path:
    """Copy an artifact to a folder to which nothing else writes, as in Lambda."""
    copy = Path(scratch) / name
    shutil.copytree(folder, copy)
    return copy


def with_bare(folder: Path) -> Path:
    """Add a handler that uses only boto3, with the same libraries."""
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    return folder


def cold_starts(contenders: tuple[Contender, ...], rounds: int, tick: Any) -> dict[str, list[float]]:
    """Measure the seconds of each cold start, alternating between the contenders."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    with LocalAws(functions={}) as aws:
        value = {"engine": "postgres", "host": "db", "username": "app", "password": "not-used"}
        arn = aws.client("secretsmanager").create_secret(Name="cold", SecretString=json.dumps(value))["ARN"]
        aws.register("rotate", "functions.rotate.handler")
        aws.enable_rotation(arn)
        for _ in range(rounds):
            for contender in contenders:
                token = str(uuid.uuid4())
                aws.stage(arn, token)
                seconds[contender.name].append(cold_start(aws, contender, arn, token))
                tick()
    return seconds


def cold_start(aws: LocalAws, contender: Contender, arn: str, token: str) -> float:
    """Measure the seconds from the start of the runtime client to the answer of createSecret."""
    # Lambda's runtime cannot write byte code into the folder. Root can, so it is disabled here.
    own = {"PYTHONDONTWRITEBYTECODE": "1"}
    environment = lambda_environment("cold", contender.handler, 512, endpoint=aws.exports(), own=own)
    function = aws.function_arn("rotate")
    config = FunctionConfig(function, contender.handler, SECONDS, environment, str(contender.folder))
    event = {
        "Step": "createSecret",
        "SecretId": arn,
        "ClientRequestToken": token,
        "RotationToken": str(uuid.uuid4()),
    }
    lines: list[str] = []
    begin = time.perf_counter()
    process = FunctionContainer(config, lines.append)
    try:
        first = process.answer(SECONDS)
        answer = process.ask({"id": token, "arn": function, "event": event}, SECONDS)
        took = time.perf_counter() - begin
    finally:
        process.end()
    assert first == {"ready": True}, (contender.name, first)
    assert "error" not in answer, (contender.name, answer)
    assert not list(contender.folder.rglob("*.cpython-313.pyc")) or contender.name != "plain"
    return took


def ratio(ours: list[float], other: list[float]) -> float:
    """Return the ratio of the medians."""
    return round(statistics.median(ours) / statistics.median(other), 2)


def import_shares(folder: Path) -> dict[str, float]:
    """Return the import time of each top-level package in milliseconds, the longest first."""
    done = subprocess.run(
        [interpreter(), "-X", "importtime", "-c", IMPORTS],
        cwd=folder,
        env={"AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    shares: Counter[str] = Counter()
    known = {path.name.removesuffix(".py") for path in folder.iterdir()}
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            top = name.strip().split(".")[0]
            shares[top if top in known else "Python's own"] += int(own)
    return {name: round(micro / 1000, 1) for name, micro in shares.most_common()}


def show(result: dict[str, Any]) -> None:
    """Print the figures as tables, and the ratios in a line that can be compared."""
    console = Console()
    times = Table("", "ms", title="runtime client's start to createSecret's answer (median)")
    for name, milliseconds in result["milliseconds"].items():
        times.add_row(name, str(milliseconds))
    imports = Table("imported", "ms", title="import time by package")
    for name, milliseconds in list(result["imports_ms"].items())[:10]:
        imports.add_row(name, str(milliseconds))
    for table in (times, imports):
        console.print(table)
    click.echo(
        f"bench-cold: {result['ratio_to_plain']} of the plain artifact,"
        f" {result['ratio_to_bare_boto3']} of bare boto3, also precompiled"
    )


if __name__ == "__main__":
    main()
