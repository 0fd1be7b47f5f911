"""The SQL for Athena: parsed in its dialect, and asked of the same records as the local answer."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from rotators.audit.errors import AuditNameInvalid
from rotators.audit.questions import SPAN, UNNAMED, Question, anomalies, mentions, previous, unused, who
from rotators.audit.records import COLUMNS
from rotators.audit.sources import files
from rotators.audit.table import opened
from tests.audit.trail import Record, arn, decrypted, denied, promoted, read, record, role, save

pytestmark = pytest.mark.duckdb

DAY = dt.timedelta(days=1)
ARN = arn("app")
FILTERS = {"filters": [{"key": "name", "values": ["app"]}]}
PENDING = {"secretId": "app", "clientRequestToken": "v2", "versionStages": ["AWSPENDING"]}

QUESTIONS: dict[str, Question] = {
    "who by name": who("app"),
    "who by ARN": who(ARN),
    "mentions": mentions("app"),
    "unused": unused(DAY, []),
    "unused of a list": unused(DAY, ["app", arn("never"), "nothing"]),
    "previous": previous(DAY),
    "anomalies": anomalies(DAY),
    "unnamed": UNNAMED,
    "span": SPAN,
}

RECORDS: list[Record] = [
    record(
        "CreateSecret", 0, requestParameters={"name": "app"}, responseElements={"aRN": ARN, "versionId": "v1"}
    ),
    record("CreateSecret", 0, requestParameters={"name": "idle"}, responseElements={"arn": arn("idle")}),
    read("app", 1),
    read(ARN.removesuffix("-AbCdEf"), 2, role("other")),
    {**denied(ARN, 3), "sharedEventID": "shared"},
    {**denied(ARN, 3, {"type": "AWSAccount", "principalId": "AIDA"}), "sharedEventID": "shared"},
    record("BatchGetSecretValue", 4, requestParameters={"secretIdList": [ARN, "second"]}),
    record("BatchGetSecretValue", 5, requestParameters=FILTERS),
    decrypted(ARN, 5),
    record("BatchGetSecretValue", 6, role("other"), requestParameters=FILTERS),
    record("PutSecretValue", 9, role("rotate"), requestParameters=PENDING),
    promoted(ARN, "v2", "v1", 10),
    record("RotationSucceeded", 10, {"invokedBy": "x"}, additionalEventData={"SecretId": ARN}),
    record("RotationSucceeded", 10, {"invokedBy": "x"}, serviceEventDetails={"secretId": arn("second")}),
    read(ARN, 50, versionId="v1"),
    read("second", 50, versionStage="AWSPREVIOUS"),
    read("app", 51, role("rotate"), versionStage="AWSPREVIOUS"),
    {**read(arn("app", region="eu-west-1"), 60), "awsRegion": "eu-west-1"},
    read("app", 60, role("stranger")),
    *(read("second", 61 + number / 3600, role("other")) for number in range(70)),
    record("GetSecretValue", 62, eventCategory="NetworkActivity", eventType="AwsVpceEvent"),
]


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_athena_parses_every_question(question: Question) -> None:
    (tree,) = sqlglot.parse(
        question.athena("logs.cloudtrail_logs"), dialect="athena", error_level=sqlglot.ErrorLevel.RAISE
    )
    assert isinstance(tree, exp.Query)
    assert not list(tree.find_all(exp.Anonymous)), "a function that Athena's dialect does not know"
    tables = {table.sql("athena") for table in tree.find_all(exp.Table)}
    defined = {each.alias for each in tree.find_all(exp.CTE)}
    used = {each for each in tables if each.partition(" ")[0] not in defined}
    assert used == {'"logs"."cloudtrail_logs"'}


@pytest.fixture(scope="module")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Athena's table, in DuckDB: the records in the form of its reader, with objects as texts of JSON."""
    path = tmp_path_factory.mktemp("athena") / "rows.json"
    path.write_text("\n".join(json.dumps(each | _texts(each)) for each in RECORDS))
    connection = duckdb.connect()
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE TABLE cloudtrail_logs AS FROM read_json('{path}', columns = {{{columns}}})")
    yield connection
    connection.close()


def _texts(each: Record) -> Record:
    return {
        name: json.dumps(value)
        for name, value in each.items()
        if isinstance(value, dict) and name != "userIdentity"
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("audit") / "log.json"
    with opened() as table:
        table.load(files([save(path, *RECORDS)]))
        yield table


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_athena_gives_the_same_answer(question: Question, athena: Any, local: Any) -> None:
    """The text for Athena, translated as a whole and not by the macros of this project."""
    (text,) = sqlglot.transpile(question.athena("cloudtrail_logs"), read="athena", write="duckdb")
    found = athena.execute(text)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    expected = [
        {
            name: value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value
            for name, value in row.items()
        }
        for row in local.ask(question).rows
    ]
    assert rows == expected
    assert rows


@pytest.mark.parametrize("table", ["", "a b", "logs;drop", 'x"y', "a.b.c.d", "a..b", "tab-le"])
def test_other_names_of_tables_are_refused(table: str) -> None:
    with pytest.raises(AuditNameInvalid):
        who("app").athena(table)
