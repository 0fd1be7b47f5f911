"""`rotators audit`, over records of the local AWS and of files."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from rotators.local.aws import LocalAws
from tests.audit.trail import arn, promoted, read, record, role, save
from tests.cli.command import command
from tests.cli.test_untrusted_text import HOSTILE, assert_harmless
from tests.world import unique

pytestmark = pytest.mark.duckdb

EVERY = {
    "who": ["who", "app"],
    "unused": ["unused", "--for", "1d"],
    "previous": ["previous"],
    "anomalies": ["anomalies"],
}


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Records with a result for every question."""
    return save(
        tmp_path / "log.json",
        record("CreateSecret", 0, requestParameters={"name": "idle"}),
        read("app", 1),
        promoted("app", "v2", "v1", 10),
        read("app", 60, versionStage="AWSPREVIOUS"),
        read("app", 61, role("stranger")),
    )


@pytest.mark.parametrize("words", EVERY.values(), ids=EVERY)
def test_every_question_has_an_answer_and_a_next(words: list[str], log: str) -> None:
    done = command("audit", *words, log)
    assert done.status == 0, done.text
    assert "Next: " in done.stdout.splitlines()[-1]
    answer = json.loads(command("audit", *words, log, "--json").stdout)
    assert answer["question"] == words[0]
    assert answer["rows"]
    assert (answer["complete"], answer["gaps"], answer["records"]) == (True, [], 5)
    assert answer["next"]
    rows = list(csv.DictReader(io.StringIO(command("audit", *words, log, "-o", "csv").stdout)))
    assert [row.keys() for row in rows] == [row.keys() for row in answer["rows"]]


@pytest.mark.parametrize("words", EVERY.values(), ids=EVERY)
def test_athena_needs_no_records(words: list[str]) -> None:
    done = command("audit", *words, "--athena", "logs.trail")
    assert done.status == 0
    assert done.stdout.startswith("WITH\n")
    assert 'FROM "logs"."trail"' in done.stdout
    assert (
        json.loads(command("audit", *words, "--athena", "logs.trail", "--json").stdout)["sql"] == done.stdout
    )


def test_a_gap_is_named_with_status_one(log: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut.json"
    cut.write_text(Path(log).read_text()[:-40])
    done = command("audit", "who", "app", log, str(cut))
    assert done.status == 1
    assert (
        f"Incomplete: {cut}, after 4 records: the file ends in the middle of a record [truncated]."
        in done.stdout
    )
    answer = json.loads(command("audit", "who", "app", log, str(cut), "--json").stdout)
    assert (answer["complete"], answer["gaps"][0]["code"]) == (False, "truncated")
    done = command("audit", "who", "app", log, str(cut), "-o", "csv")
    assert (done.status, "[truncated]" in done.stderr) == (1, True)


def test_an_unknown_secret_is_distinguished(log: str) -> None:
    assert "No record mentions ap:" in command("audit", "who", "ap", log).stdout
    assert "No record mentions" not in command("audit", "who", "idle", log).stdout


def test_records_that_begin_too_late_are_reported(log: str) -> None:
    assert "earlier reads are unknown" in command("audit", "anomalies", log, "--since", "30d").stdout


def test_secrets_come_from_a_list(log: str, tmp_path: Path) -> None:
    listed = tmp_path / "names"
    listed.write_text(f"{arn('idle')}\n\nnobody-knows\napp\n")
    answer = json.loads(
        command("audit", "unused", log, "--for", "1d", "--secrets", str(listed), "--json").stdout
    )
    assert [row["secret"] for row in answer["rows"]] == ["idle", "nobody-knows"]


def test_a_batch_without_secrets_is_reported(tmp_path: Path) -> None:
    batch = record("BatchGetSecretValue", 1, requestParameters={"filters": []})
    done = command("audit", "who", "app", save(tmp_path / "log.json", batch))
    assert "role/app made 1 call of BatchGetSecretValue with filters: no record of KMS shows" in done.stdout


def test_a_missing_library_is_explained(log: str) -> None:
    with mock.patch.dict(sys.modules, {"duckdb": None}):
        done = command("audit", "who", "app", log)
        assert (done.status, "[audit-library-missing]" in done.stderr) == (1, True)
        assert command("audit", "who", "app", "--athena", "logs").status == 0


@pytest.mark.parametrize("words", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("form", [[], ["--json"], ["-o", "csv"]], ids=["table", "json", "csv"])
def test_text_of_records_is_not_interpreted(words: list[str], form: list[str], tmp_path: Path) -> None:
    who = {"type": "IAMUser", "arn": HOSTILE}
    path = save(
        tmp_path / f"log\x1b[31m{'[bold]'}.json",
        record("CreateSecret", 0, requestParameters={"name": f"{HOSTILE}2"}),
        read(HOSTILE, 1, who),
        read("app", 2, who),
        promoted(HOSTILE, "v2", "v1", 10),
        read(HOSTILE, 60, who, versionStage="AWSPREVIOUS"),
        read("app", 61, {**who, "arn": f"{HOSTILE}2"}),
        {"eventName": HOSTILE, "eventSource": "secretsmanager.amazonaws.com"},
        record("BatchGetSecretValue", 60, who, requestParameters={"filters": []}),
    )
    done = command("audit", *words, path, *form)
    assert done.status == 1
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    assert "[/x][bold red]" in done.stdout


@pytest.mark.parametrize("formula", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_cells_of_csv_are_not_formulas(formula: str, tmp_path: Path) -> None:
    path = save(tmp_path / "log.json", read("app", who={"type": "IAMUser", "arn": formula}))
    (row,) = csv.DictReader(io.StringIO(command("audit", "who", "app", path, "-o", "csv").stdout))
    assert row["principal"][0] in "'\\"


def test_many_rows_are_cut_in_a_table_only(tmp_path: Path) -> None:
    path = save(tmp_path / "log.json", *(read("app", who=role(f"r{number}")) for number in range(60)))
    assert "The first 50 of 60 rows; -o csv lists all." in command("audit", "who", "app", path).stdout
    assert command("audit", "who", "app", path, "-o", "csv").stdout.count("\n") == 61


# --- records of the local AWS


@pytest.fixture
def saved(aws: LocalAws, tmp_path: Path) -> Callable[[], str]:
    """Save what the local AWS's CloudTrail has, as `aws cloudtrail lookup-events` prints it."""

    def save_events() -> str:
        pages = aws.client("cloudtrail").get_paginator("lookup_events").paginate()
        events = [{**each, "EventTime": str(each["EventTime"])} for page in pages for each in page["Events"]]
        path = tmp_path / "events.json"
        path.write_text(json.dumps({"Events": events}, indent=4))
        return str(path)

    return save_events


def test_records_of_the_local_aws_are_read(aws: LocalAws, saved: Callable[[], str]) -> None:
    service, name = aws.client("secretsmanager"), unique("audited")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    created = service.create_secret(Name=name, SecretString="{}", KmsKeyId=key)
    first = created["VersionId"]
    service.put_secret_value(SecretId=name, SecretString='{"a": 1}')
    service.get_secret_value(SecretId=name)
    service.get_secret_value(SecretId=created["ARN"], VersionStage="AWSPREVIOUS")
    service.get_secret_value(SecretId=created["ARN"], VersionId=first)
    service.batch_get_secret_value(SecretIdList=[name])
    path = saved()

    answer = json.loads(command("audit", "who", name, path, "--json").stdout)
    (row,) = answer["rows"]
    assert answer["complete"], answer["gaps"]
    assert (row["reads"], row["refused"], row["addresses"]) == (4, 0, 1)
    assert row["principal"].endswith(":user/developer")
    retired = json.loads(command("audit", "previous", path, "--grace", "0h", "--json").stdout)["rows"]
    assert [each["reads"] for each in retired if each["secret"] == name] == [2]


def test_a_batch_by_filters_of_the_local_aws(aws: LocalAws, saved: Callable[[], str]) -> None:
    service, name = aws.client("secretsmanager"), unique("filtered")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    service.create_secret(Name=name, SecretString="{}", KmsKeyId=key)
    service.batch_get_secret_value(Filters=[{"Key": "name", "Values": [name]}])
    (row,) = json.loads(command("audit", "who", name, saved(), "--json").stdout)["rows"]
    assert row["reads"] == 1


@pytest.mark.processes
def test_the_functions_do_not_load_the_library() -> None:
    code = "import sys, functions.rotate, rotators.cli, rotators.cli.audit; print('duckdb' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
