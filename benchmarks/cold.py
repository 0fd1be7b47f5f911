"""`make bench-cold`: the built artifact's cold start in Lambda's own runtime client, and where it goes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rotators.local.aws import LocalAws
from rotators.local.functions import FunctionConfig, lambda_environment
from rotators.local.runtime import RuntimeProcess, interpreter

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0
DRIVERS = ("postgres,mysql", "postgres", "mysql")
BARE = '''\
import boto3

client = boto3.client("secretsmanager")


def handler(event, context):
    """The calls of our first step, and nothing else."""
    arn, token = event["SecretId"], event["ClientRequestToken"]
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
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
    """One artifact under measurement.

    Attributes:
        name: for the table.
        folder: of the artifact.
        handler: in it.
    """

    name: str
    folder: Path
    handler: str = "functions.rotate.handler"


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Cold starts of each.")
@click.option("--json", "as_json", is_flag=True, help="Figures for machines.")
def main(rounds: int, as_json: bool) -> None:
    """Measure from the client's start to the first step's answer: ours, a plain build, and bare boto3."""
    console = Console(stderr=True)
    with Progress(console=console, disable=as_json) as progress, tempfile.TemporaryDirectory() as scratch:
        building = progress.add_task("building the artifacts", total=len(DRIVERS) + 1)
        folders = {}
        for drivers in DRIVERS:
            folders[drivers] = built(DRIVERS=drivers)
            progress.advance(building)
        ours, plain = folders[DRIVERS[0]], built(PLAIN="1")
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
        "sizes": {name: size(folder) for name, folder in {**folders, "plain": plain}.items()},
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        show(result)


def built(**choices: str) -> Path:
    """An artifact for this machine's processor, made by make, as users make it."""
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
    """A copy nobody writes to, as Lambda's is."""
    copy = Path(scratch) / name
    shutil.copytree(folder, copy)
    return copy


def with_bare(folder: Path) -> Path:
    """The same libraries, with a handler that uses boto3 alone."""
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    return folder


def cold_starts(contenders: tuple[Contender, ...], rounds: int, tick: Any) -> dict[str, list[float]]:
    """Seconds of each cold start, the contenders taken in turns."""
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
    """Seconds from the start of the runtime client to the answer of createSecret."""
    # Root may write into any folder; Lambda's runtime cannot, so no byte code may be kept here either.
    own = {"PYTHONDONTWRITEBYTECODE": "1"}
    environment = lambda_environment("cold", contender.handler, 512, endpoint=aws.exports(), own=own)
    function = aws.function_arn("rotate")
    config = FunctionConfig(
        "cold", function, contender.handler, SECONDS, 512, environment, str(contender.folder)
    )
    event = {
        "Step": "createSecret",
        "SecretId": arn,
        "ClientRequestToken": token,
        "RotationToken": str(uuid.uuid4()),
    }
    lines: list[str] = []
    begin = time.perf_counter()
    process = RuntimeProcess(config, lines.append)
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
    """Of the medians."""
    return round(statistics.median(ours) / statistics.median(other), 2)


def import_shares(folder: Path) -> dict[str, float]:
    """Milliseconds that each top-level package costs to import, the most expensive first."""
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


def size(folder: Path) -> dict[str, float]:
    """Megabytes unpacked and zipped."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        zipped = file.tell()
    unpacked = sum(path.stat().st_size for path in files)
    return {"unpacked_mb": round(unpacked / 1e6, 1), "zipped_mb": round(zipped / 1e6, 1)}


def show(result: dict[str, Any]) -> None:
    """Print the figures as tables, and the ratios in a line that can be compared."""
    console = Console()
    times = Table("", "ms", title="runtime client's start to createSecret's answer (median)")
    for name, milliseconds in result["milliseconds"].items():
        times.add_row(name, str(milliseconds))
    imports = Table("imported", "ms", title="where the imports' time goes")
    for name, milliseconds in list(result["imports_ms"].items())[:10]:
        imports.add_row(name, str(milliseconds))
    sizes = Table("drivers", "unpacked MB", "zipped MB", title="size")
    for name, each in result["sizes"].items():
        sizes.add_row(name, str(each["unpacked_mb"]), str(each["zipped_mb"]))
    for table in (times, imports, sizes):
        console.print(table)
    click.echo(
        f"bench-cold: {result['ratio_to_plain']} of the plain artifact,"
        f" {result['ratio_to_bare_boto3']} of bare boto3 precompiled alike"
    )


if __name__ == "__main__":
    main()
