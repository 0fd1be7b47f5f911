"""`make bench-audit`: the questions of `rotators audit` over many records, with their times and memory."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from rotators.audit import questions, sources, table
from rotators.audit.records import KMS
from rotators.aws.events import SOURCE

_ACCOUNT = "123456789012"
_REGION = "us-east-1"
_BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_DAYS = 90
_SECRETS = 1_000
_ROLES = 50
_PER_FILE = 2_500
_OTHERS = 10  # calls of other services among a hundred records


@click.command()
@click.option("--records", default=500_000, show_default=True, help="Number of records.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--measure", "folder", hidden=True, help="Measure the files of a folder in this process.")
def main(records: int, as_json: bool, folder: str | None) -> None:
    """Measure loading and every question, in a separate process.

    The ratio is to decompressing the same files and parsing their JSON, which every reader has to do; it
    compares seconds of the processor.
    """
    if folder is not None:
        click.echo(json.dumps(_measured(folder)))
        return
    with tempfile.TemporaryDirectory() as place:
        size = _write(Path(place), records)
        floor, _ = _timed(lambda: _parse(Path(place)))
        words = [sys.executable, "-m", "benchmarks.audit", "--measure", place]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    figures = {"megabytes": round(size / 1e6, 1), **json.loads(done.stdout)}
    figures["steps"] = {"parse": floor, **figures["steps"]}
    for each in figures["steps"].values():
        each["ratio"] = round(each["processor_seconds"] / floor["processor_seconds"], 2)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        _print(figures)


def _measured(folder: str) -> dict[str, Any]:
    period = dt.timedelta(days=1)
    asked = {
        "who": questions.who("prod/app-00007"),
        "unused": questions.unused(dt.timedelta(days=30), ()),
        "previous": questions.previous(period),
        "anomalies": questions.anomalies(period),
    }
    steps = {}
    with table.opened() as records:
        steps["load"], _ = _timed(lambda: records.load(sources.files([folder])))
        for name, question in asked.items():
            steps[name], answer = _timed(lambda question=question: records.ask(question))  # type: ignore[misc]
            steps[name]["rows"] = len(answer.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "records": records.coverage.records,
        "events": records.coverage.events,
        "files": records.coverage.files,
        "gaps": records.coverage.gap_count,
        "peak_megabytes": round(peak / 1e6),
        "steps": steps,
    }


def _timed(run: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds on the clock and of the processor, with the result."""
    begin, used = time.perf_counter(), time.process_time()
    found = run()
    seconds, processor = time.perf_counter() - begin, time.process_time() - used
    return {"seconds": round(seconds, 3), "processor_seconds": round(processor, 3)}, found


def _parse(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        json.loads(gzip.decompress(path.read_bytes()))


def _write(folder: Path, count: int) -> int:
    made = _Trail(count).records()
    for number, first in enumerate(range(0, count, _PER_FILE)):
        records = [next(made) for _ in range(min(_PER_FILE, count - first))]
        text = json.dumps({"Records": records}, separators=(",", ":"))
        (folder / f"{number:04}.json.gz").write_bytes(gzip.compress(text.encode(), 6))
    return sum(path.stat().st_size for path in folder.iterdir())


class _Trail:
    """Creates records in the order of their times: reads of every kind, rotations, calls of other services.

    Args:
        count: number of the records.
    """

    def __init__(self, count: int) -> None:
        self._chance = random.Random(17)  # noqa: S311 - the same records in every run
        self._count = count
        self._moment = _BEGIN
        self._versions: dict[int, tuple[str, str]] = {}

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records."""
        for _ in range(self._count):
            self._moment += dt.timedelta(days=_DAYS) / self._count
            secret = int(_SECRETS * self._chance.random() ** 2)
            kind = self._chance.randrange(100)
            if kind < _OTHERS:
                yield self._record(secret, "ec2.amazonaws.com", "DescribeInstances", {})
            elif kind == _OTHERS:
                yield self._record(secret, SOURCE, "UpdateSecretVersionStage", self._promotion(secret))
            else:
                yield self._read(secret, kind - _OTHERS)

    def _promotion(self, secret: int) -> dict[str, Any]:
        new, old = self._id(), self._versions.get(secret, ("", ""))[0]
        self._versions[secret] = (new, old)
        request = {"secretId": _arn(secret), "versionStage": "AWSCURRENT", "moveToVersionId": new}
        return {**request, "removeFromVersionId": old} if old else request

    def _read(self, secret: int, kind: int) -> dict[str, Any]:
        current, before = self._versions.get(secret, ("first", ""))
        if kind < 5:
            listed = [_arn((secret + each) % _SECRETS) for each in range(10)]
            return self._record(secret, SOURCE, "BatchGetSecretValue", {"secretIdList": listed})
        if kind < 10:
            filters = [{"key": "name", "values": [_name(secret)]}]
            return self._record(secret, SOURCE, "BatchGetSecretValue", {"filters": filters})
        if kind < 20:
            context = {"SecretARN": _arn(secret), "SecretVersionId": current}
            return self._record(secret, KMS, "Decrypt", {"encryptionContext": context})
        request = {"secretId": self._chance.choice((_arn(secret), _name(secret)))}
        if kind < 25:
            request["versionStage"] = "AWSPREVIOUS"
        elif kind < 30:
            request["versionId"] = self._chance.choice((current, before or "first"))
        return self._record(secret, SOURCE, "GetSecretValue", request)

    def _record(self, secret: int, source: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
        role = (secret + self._chance.randrange(3)) % _ROLES
        return {
            "eventVersion": "1.09",
            "userIdentity": self._identity(role),
            "eventTime": f"{self._moment:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": source,
            "eventName": name,
            "awsRegion": _REGION,
            "sourceIPAddress": f"10.0.{role}.{self._chance.randrange(250)}",
            "userAgent": "aws-sdk-java/2.30 Linux/6.1 OpenJDK/21 md/example",
            "requestParameters": request,
            "responseElements": None,
            "requestID": self._id(),
            "eventID": self._id(),
            "readOnly": True,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": _ACCOUNT,
            "eventCategory": "Management",
            "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
        }

    def _identity(self, role: int) -> dict[str, Any]:
        session, name = f"i-{self._chance.randrange(5):017x}", f"app-{role}"
        issuer = {
            "type": "Role",
            "principalId": f"AROAEXAMPLE{role}",
            "arn": f"arn:aws:iam::{_ACCOUNT}:role/{name}",
            "accountId": _ACCOUNT,
            "userName": name,
        }
        return {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE{role}:{session}",
            "arn": f"arn:aws:sts::{_ACCOUNT}:assumed-role/{name}/{session}",
            "accountId": _ACCOUNT,
            "accessKeyId": f"ASIAEXAMPLE{role}",
            "sessionContext": {
                "sessionIssuer": issuer,
                "attributes": {"creationDate": f"{self._moment:%Y-%m-%dT00:00:00Z}"},
            },
        }

    def _id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128)))


def _name(secret: int) -> str:
    return f"prod/app-{secret:05}"


def _arn(secret: int) -> str:
    return f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{_name(secret)}-AbC{secret:03}"


def _print(figures: dict[str, Any]) -> None:
    shown = Table(
        title=f"{figures['records']:,} records in {figures['files']} files of {figures['megabytes']} MB"
    )
    shown.add_column("")
    for column in ("seconds", "of the processor", "ratio to parsing", "rows"):
        shown.add_column(column, justify="right")
    for name, each in figures["steps"].items():
        cells = (f"{each['seconds']:.2f}", f"{each['processor_seconds']:.2f}", str(each["ratio"]))
        shown.add_row(name, *cells, f"{each['rows']:,}" if "rows" in each else "")
    Console().print(shown)
    Console().print(f"largest memory of the process: {figures['peak_megabytes']:,} MB")


if __name__ == "__main__":
    main()
