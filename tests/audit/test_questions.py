"""Answers: who reads a secret, which are unused, who reads retired versions, what is unlike before."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from rotators.audit.errors import AuditNameInvalid
from rotators.audit.questions import Question, anomalies, mentions, previous, unused, who
from tests.audit.trail import ACCOUNT, arn, decrypted, denied, promoted, read, record, role

pytestmark = pytest.mark.duckdb

NAME = "app"
ARN = arn(NAME)
DAY = dt.timedelta(days=1)


def created(name: str, hours: float = 0) -> dict[str, Any]:
    answer = {"arn": arn(name), "name": name, "versionId": "v1"}
    request = {"name": name, "clientRequestToken": "v1"}
    return record("CreateSecret", hours, role("deploy"), requestParameters=request, responseElements=answer)


def stored(name: str, version: str, hours: float, *stages: str) -> dict[str, Any]:
    request: dict[str, Any] = {"secretId": arn(name), "clientRequestToken": version}
    request |= {"versionStages": list(stages)} if stages else {}
    answer = {"arn": arn(name), "versionId": version}
    return record("PutSecretValue", hours, role("rotate"), requestParameters=request, responseElements=answer)


def callers(rows: list[dict[str, Any]]) -> list[str]:
    return [each["principal"].rpartition("/")[2] for each in rows]


# --- who


def test_callers_have_counts_and_times(rows: Any) -> None:
    found = rows(who(NAME), read(NAME, 1), read(ARN, 5), read(NAME, 3, role("other")), denied(NAME, 9))
    first, second = found
    assert callers(found) == ["app", "other"]
    assert (first["reads"], first["refused"], first["addresses"]) == (2, 1, 1)
    assert first["last_read"] - first["first_read"] == dt.timedelta(hours=8)
    assert first["first_read"] == dt.datetime(2026, 3, 1, 1, tzinfo=dt.UTC)
    assert second["reads"] == 1


def test_changes_mention_a_secret_without_reading_it(rows: Any) -> None:
    assert rows(who(NAME), created(NAME)) == []
    assert rows(mentions(NAME), created(NAME)) == [{"records": 1}]
    assert rows(mentions("another"), created(NAME)) == [{"records": 0}]


HOSTILE = [
    "",
    "a'b",
    "a b",
    "a;--",
    'a"b',
    "a\n",
    "arn:aws:secretsmanager:x",
    "a{table}",
    "[bold]",
    "x" * 600,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_that_name_no_secret_are_refused(name: str) -> None:
    for make in (who, mentions, lambda each: unused(DAY, [each])):
        with pytest.raises(AuditNameInvalid):
            make(name)


@pytest.mark.parametrize("name", ["rds!cluster-1", "a/b_c+d=e.f@g-h", "x-abcdef", arn("rds!cluster-1")])
def test_every_name_of_a_secret_is_accepted(rows: Any, name: str) -> None:
    assert len(rows(who(name), read(name))) == 1


# --- unused


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [each["secret"] for each in rows]


def test_secrets_without_a_late_read_are_unused(rows: Any) -> None:
    trail = [created("never"), created("long-ago"), read("long-ago", 10), created("used"), read("used", 90)]
    found = rows(unused(DAY, []), *trail, read("used", 100))
    assert names(found) == ["never", "long-ago"]
    assert found[0]["last_read"] is None
    assert found[1]["last_read"] == dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)


def test_refused_reads_are_not_use(rows: Any) -> None:
    assert names(rows(unused(DAY, []), created(NAME), denied(NAME, 100))) == [NAME]


def test_reads_of_rotation_functions_are_not_use(rows: Any) -> None:
    rotation = [stored(NAME, "v2", 99, "AWSPENDING"), read(NAME, 100, role("rotate"))]
    found = rows(unused(DAY, []), created(NAME), *rotation)
    assert (names(found), found[0]["reads_by_rotation"]) == ([NAME], 1)
    assert rows(unused(DAY, []), created(NAME), *rotation, read(NAME, 101)) == []


def test_a_rotation_function_uses_other_secrets(rows: Any) -> None:
    """The admin's secret is in use, though only a rotation function reads it."""
    rotation = [stored(NAME, "v2", 99, "AWSPENDING"), read("admin", 100, role("rotate"))]
    found = rows(unused(DAY, []), created(NAME), created("admin"), *rotation)
    assert names(found) == [NAME]


def test_new_and_deleted_secrets_are_left_out(rows: Any) -> None:
    gone = record("DeleteSecret", 1, requestParameters={"secretId": "gone"})
    back = record("RestoreSecret", 2, requestParameters={"secretId": "back"})
    deleted = record("DeleteSecret", 1, requestParameters={"secretId": "back"})
    trail = [created("gone"), gone, created("back"), deleted, back, created("new", 99)]
    assert names(rows(unused(DAY, []), *trail)) == ["back"]


def test_listed_secrets_need_no_record(rows: Any) -> None:
    listed = ["never-mentioned", arn("also-not"), "used", "old"]
    found = rows(unused(DAY, listed), created("old"), created("other"), read("used", 100))
    assert names(found) == ["also-not", "never-mentioned", "old"]
    assert found[0]["region"] == "us-east-1"
    assert found[1]["region"] is None


def test_a_secret_listed_twice_counts_once(rows: Any) -> None:
    pending = {"secretId": "app", "clientRequestToken": "v2", "versionStages": ["AWSPENDING"]}
    stored = record("PutSecretValue", 0, role("rotate"), requestParameters=pending)
    found = rows(
        unused(DAY, ["app", arn("app"), "app"]), stored, read("app", 1, role("rotate")), read("z", NOW)
    )
    assert [each["reads_by_rotation"] for each in found] == [1]


def test_a_batch_by_filters_is_a_use(rows: Any) -> None:
    batch = record("BatchGetSecretValue", 100, requestParameters={"filters": []})
    assert rows(unused(DAY, []), created(NAME), batch, decrypted(ARN, 100)) == []


# --- previous


def test_reads_of_awsprevious_after_the_grace_count(rows: Any) -> None:
    trail = [promoted(ARN, "v2", "v1", 10), read(NAME, 33, versionStage="AWSPREVIOUS")]
    assert rows(previous(DAY), *trail) == []
    (found,) = rows(previous(DAY), *trail, read(NAME, 35, versionStage="AWSPREVIOUS"))
    assert (found["reads"], found["secret"]) == (1, NAME)
    assert found["retired"] == dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)


def test_a_read_by_the_id_of_awsprevious_counts(rows: Any) -> None:
    trail = [promoted(ARN, "v2", "v1", 10), read(ARN, 35, versionId="v2"), read(ARN, 36)]
    assert rows(previous(DAY), *trail) == []
    (found,) = rows(previous(DAY), *trail, read(NAME, 35, versionId="v1"))
    assert found["reads"] == 1


def test_older_versions_count_too(rows: Any) -> None:
    trail = [promoted(ARN, "v2", "v1", 10), promoted(ARN, "v3", "v2", 20)]
    assert len(rows(previous(DAY), *trail, read(ARN, 40, versionId="v1"))) == 1


def test_a_version_that_is_current_again_is_fine(rows: Any) -> None:
    trail = [promoted(ARN, "v2", "v1", 10), promoted(ARN, "v1", "v2", 20)]
    assert rows(previous(DAY), *trail, read(ARN, 60, versionId="v1")) == []
    assert len(rows(previous(DAY), *trail, read(ARN, 60, versionId="v2"))) == 1


@pytest.mark.parametrize("stages", [(), ("AWSCURRENT",), ("MINE", "AWSCURRENT")])
def test_a_stored_value_retires_the_one_before(rows: Any, stages: tuple[str, ...]) -> None:
    trail = [created(NAME), stored(NAME, "v2", 10, *stages), read(ARN, 60, versionId="v1")]
    assert len(rows(previous(DAY), *trail)) == 1


def test_a_pending_value_retires_nothing(rows: Any) -> None:
    trail = [created(NAME), stored(NAME, "v2", 10, "AWSPENDING"), read(ARN, 60, versionId="v1")]
    assert rows(previous(DAY), *trail) == []


def test_an_update_without_a_value_retires_nothing(rows: Any) -> None:
    request = {"secretId": NAME, "clientRequestToken": "v2", "description": "x"}
    update = record("UpdateSecret", 10, requestParameters=request, responseElements={"arn": ARN})
    assert rows(previous(DAY), created(NAME), update, read(ARN, 60, versionId="v1")) == []
    update["responseElements"]["versionId"] = "v2"
    assert len(rows(previous(DAY), created(NAME), update, read(ARN, 60, versionId="v1"))) == 1


def test_an_unrecorded_rotation_counts_from_the_begin(rows: Any) -> None:
    (found,) = rows(
        previous(DAY), read("other", 0), *(read(NAME, at, versionStage="AWSPREVIOUS") for at in (5, 30))
    )
    assert (found["reads"], found["retired"]) == (1, None)


def test_rotation_functions_may_read_retired_versions(rows: Any) -> None:
    trail = [stored(NAME, "v2", 9, "AWSPENDING"), promoted(ARN, "v2", "v1", 10)]
    reads = [read(ARN, 60, role("rotate"), versionStage="AWSPREVIOUS"), read(ARN, 60, versionId="v1")]
    assert callers(rows(previous(DAY), *trail, *reads)) == ["app"]


def test_a_rotation_of_another_secret_retires_nothing(rows: Any) -> None:
    trail = [promoted(arn("another"), "v2", "v1", 10), read(ARN, 60, versionId="v1")]
    assert rows(previous(DAY), *trail) == []


def test_a_batch_reads_the_version_that_kms_tells(rows: Any) -> None:
    trail = [
        promoted(ARN, "v2", "v1", 10),
        record("BatchGetSecretValue", 60, requestParameters={"filters": []}),
    ]
    assert rows(previous(DAY), *trail, decrypted(ARN, 60, version="v2")) == []


# --- anomalies


def anomalies_of(rows: Any, *trail: object) -> list[tuple[Any, ...]]:
    found = rows(anomalies(DAY), *trail)
    return [(each["anomaly"], each["principal"].rpartition("/")[2], each["secret"]) for each in found]


NOW = 1_000.0
BEFORE = [read(NAME, at) for at in (0, 500)]


def test_a_first_time_reader_is_shown(rows: Any) -> None:
    new = read(NAME, NOW, role("stranger"))
    assert anomalies_of(rows, *BEFORE, read(NAME, NOW), new) == [("first-time reader", "stranger", NAME)]


def test_a_refused_first_read_is_shown(rows: Any) -> None:
    (found,) = rows(anomalies(DAY), *BEFORE, denied(NAME, NOW, role("stranger")))
    assert (found["reads"], found["refused"]) == (0, 1)


def test_readers_of_a_new_secret_are_expected(rows: Any) -> None:
    assert anomalies_of(rows, *BEFORE, created("new", NOW - 1), read("new", NOW)) == []


def test_records_without_a_past_show_nothing(rows: Any) -> None:
    assert anomalies_of(rows, *(read(NAME, NOW + number / 100) for number in range(100))) == []


def test_a_new_region_of_a_caller_is_shown(rows: Any) -> None:
    away = {**read(arn(NAME, region="eu-west-1"), NOW), "awsRegion": "eu-west-1"}
    assert ("new Region", "app", None) in anomalies_of(rows, *BEFORE, away)
    earlier = {**read(arn(NAME, region="eu-west-1"), 1), "awsRegion": "eu-west-1"}
    assert anomalies_of(rows, *BEFORE, earlier, away) == []


def test_a_new_caller_has_no_new_region(rows: Any) -> None:
    away = {**read(NAME, NOW, role("stranger")), "awsRegion": "eu-west-1"}
    assert [each[0] for each in anomalies_of(rows, *BEFORE, away)] == ["first-time reader"]


@pytest.mark.parametrize(("reads", "shown"), [(49, False), (50, True)])
def test_a_burst_has_fifty_reads_in_an_hour(rows: Any, reads: int, shown: bool) -> None:
    burst = [read(NAME, NOW + number / 3600) for number in range(reads)]
    assert (("burst", "app", None) in anomalies_of(rows, *BEFORE, *burst)) is shown


@pytest.mark.parametrize(("usual", "shown"), [(5, True), (6, False)])
def test_a_burst_is_ten_times_the_usual_hour(rows: Any, usual: int, shown: bool) -> None:
    past = [read(NAME, hour * 10 + number / 3600) for hour in range(5) for number in range(usual)]
    burst = [read(NAME, NOW + number / 3600) for number in range(60)]
    found = rows(anomalies(DAY), *past, *burst)
    assert ([each["anomaly"] for each in found] == ["burst"]) is shown
    assert not found or found[0]["usual"] == usual


@pytest.mark.parametrize("since", [dt.timedelta(minutes=30), DAY])
def test_the_first_hour_counts_as_a_whole(rows: Any, since: dt.timedelta) -> None:
    burst = [read(NAME, 10.6 + number / 3600) for number in range(60)]
    end = read("other", 10.65 + since / dt.timedelta(hours=1))
    found = rows(anomalies(since), read("other", 0), read(NAME, 0), *burst, end)
    assert [each["anomaly"] for each in found if each["reads"] == 60] == ["burst"]


def test_refused_reads_are_part_of_a_burst(rows: Any) -> None:
    burst = [denied(NAME, NOW + number / 3600) for number in range(60)]
    (found,) = rows(anomalies(DAY), *BEFORE, *burst)
    assert (found["anomaly"], found["reads"], found["refused"]) == ("burst", 0, 60)


def test_answers_do_not_depend_on_the_day(rows: Any) -> None:
    """The newest record is now, so old records give the same answer."""
    assert ACCOUNT in str(rows(unused(DAY, []), created(NAME), created("other", 48)))


QUESTIONS: dict[str, Question] = {
    "who": who(ARN),
    "mentions": mentions(NAME),
    "unused": unused(DAY, []),
    "listed": unused(DAY, [NAME, ARN, "x"]),
    "previous": previous(DAY),
    "anomalies": anomalies(DAY),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_place_in_the_sql_is_filled(question: Question) -> None:
    for text in (question.athena("cloudtrail_logs"), question.duckdb()):
        assert not re.search(r"\{[a-z]+\}", text)
