"""Every shape of a record of CloudTrail is read, or listed as a gap."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.audit.errors import NoRecords
from rotators.audit.questions import mentions, previous, who
from rotators.audit.reading import Damage
from rotators.audit.records import COLUMNS, line, row, unwrapped
from rotators.audit.sources import files
from rotators.audit.table import opened
from rotators.aws.events import secrets_in
from tests.audit.trail import ACCOUNT, arn, decrypted, denied, read, record, role, save

pytestmark = pytest.mark.duckdb

NAME = "prod/shop/db"
ARN = arn(NAME)
PARTIAL = ARN.removesuffix("-AbCdEf")
OTHER = arn(NAME, "ZzZzZz")


def callers(found: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Reads and refused reads by caller."""
    return {each["principal"]: (each["reads"], each["refused"]) for each in found}


APP = f"arn:aws:iam::{ACCOUNT}:role/app"


@pytest.mark.parametrize("written", [NAME, ARN, PARTIAL])
@pytest.mark.parametrize("asked", [NAME, ARN, PARTIAL])
def test_a_secret_is_found_by_every_spelling(rows: Any, written: str, asked: str) -> None:
    assert callers(rows(who(asked), read(written), read("prod/shop/d"))) == {APP: (1, 0)}


def test_another_secret_of_the_same_name_is_another(rows: Any) -> None:
    assert callers(rows(who(ARN), read(OTHER), read(ARN))) == {APP: (1, 0)}
    assert callers(rows(who(NAME), read(OTHER), read(ARN))) == {APP: (2, 0)}


def test_regions_and_accounts_are_kept_apart(rows: Any) -> None:
    replica = read(arn(NAME, region="eu-west-1"))
    foreign = read(arn(NAME, account="999999999999"))
    by_name = {**read(NAME), "awsRegion": "eu-west-1"}
    found = rows(who(NAME), read(ARN), replica, foreign, by_name)
    assert {(each["account"], each["region"]): each["reads"] for each in found} == {
        (ACCOUNT, "us-east-1"): 1,
        (ACCOUNT, "eu-west-1"): 2,
        ("999999999999", "us-east-1"): 1,
    }
    assert callers(rows(who(ARN), read(ARN), replica, foreign, by_name)) == {APP: (1, 0)}


def test_a_batch_by_list_reads_each_secret(rows: Any) -> None:
    """elastic/integrations, test-batch-get-secret-value-json.log."""
    batch = record("BatchGetSecretValue", requestParameters={"secretIdList": [ARN, "other"]})
    assert callers(rows(who(NAME), batch)) == {APP: (1, 0)}
    assert callers(rows(who("other"), batch)) == {APP: (1, 0)}


FILTERS = {"filters": [{"key": "tag-key", "values": ["!no-such-tag"]}]}


def test_kms_names_the_secrets_of_filtered_batches(told: Any) -> None:
    """DataDog/stratus-red-team, secretsmanager-batch-retrieve-secrets: filters, and no secret."""
    batch = record("BatchGetSecretValue", 1, requestParameters=FILTERS)
    late = decrypted(ARN, 1.5)
    stranger = decrypted(ARN, 1, role("other"))
    found, coverage = told(who(NAME), batch, decrypted(ARN, 1.0005), late, stranger)
    assert callers(found) == {APP: (1, 0)}
    assert coverage.unnamed == []


def test_pages_of_a_batch_count_each_value_once(rows: Any) -> None:
    pages = [record("BatchGetSecretValue", 1 + at / 3600, requestParameters=FILTERS) for at in range(3)]
    assert callers(rows(who(NAME), *pages, decrypted(ARN, 1))) == {APP: (1, 0)}


def test_a_named_read_is_not_counted_twice(rows: Any) -> None:
    batch = record("BatchGetSecretValue", 1, requestParameters=FILTERS)
    assert callers(rows(who(NAME), batch, read(NAME, 1), decrypted(ARN, 1))) == {APP: (1, 0)}


def test_a_batch_without_kms_is_listed(told: Any) -> None:
    refused = record("BatchGetSecretValue", requestParameters=FILTERS, errorCode="AccessDenied")
    found, coverage = told(who(NAME), record("BatchGetSecretValue", requestParameters=FILTERS), refused)
    assert found == []
    (unnamed,) = coverage.unnamed
    assert (unnamed["principal"], unnamed["calls"]) == (APP, 1)


def test_refused_reads_are_counted_apart(rows: Any) -> None:
    assert callers(rows(who(NAME), read(NAME), denied(NAME), denied(ARN))) == {APP: (1, 2)}


IDENTITIES: dict[str, tuple[dict[str, Any], str]] = {
    "session of a role": (role("app", "someone@example.com"), APP),
    "user": (
        {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/jo"},
        f"arn:aws:iam::{ACCOUNT}:user/jo",
    ),
    "root": ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, f"arn:aws:iam::{ACCOUNT}:root"),
    "service": ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "rds.amazonaws.com"),
    "account": ({"type": "AWSAccount", "principalId": "AIDA:x", "accountId": "999999999999"}, "AIDA:x"),
    "only account": ({"type": "Unknown", "accountId": "999999999999"}, "999999999999"),
    "nothing known": ({"type": "Unknown"}, "unknown"),
}


@pytest.mark.parametrize(("identity", "principal"), IDENTITIES.values(), ids=IDENTITIES)
def test_every_kind_of_caller_is_named(rows: Any, identity: dict[str, Any], principal: str) -> None:
    """CloudTrail User Guide: cloudtrail-event-reference-user-identity."""
    assert callers(rows(who(NAME), read(NAME, who=identity))) == {principal: (1, 0)}


def test_sessions_of_a_role_are_one_caller(rows: Any) -> None:
    found = rows(who(NAME), read(NAME, who=role("app", "i-1")), read(NAME, who=role("app", "i-2")))
    assert callers(found) == {APP: (2, 0)}


SERVICE_EVENTS = {
    "additionalEventData": {"SecretId": ARN},
    "serviceEventDetails": {"secretId": ARN},
}


@pytest.mark.parametrize(("place", "members"), SERVICE_EVENTS.items())
@pytest.mark.parametrize("name", ["RotationStarted", "RotationSucceeded", "RotationFailed"])
def test_events_of_the_service_are_read(told: Any, place: str, members: dict[str, str], name: str) -> None:
    """Both shapes are from public code: see rotators.aws.events."""
    identity = {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}
    event = {**record(name, who=identity, eventType="AwsServiceEvent"), place: members}
    found, coverage = told(mentions(NAME), event)
    assert found == [{"records": 1}]
    assert coverage.complete


def test_the_service_reports_a_rotation(rows: Any) -> None:
    """A managed rotation has no UpdateSecretVersionStage of the account."""
    event = record("RotationSucceeded", 1, serviceEventDetails={"secretId": ARN})
    reads = [read(NAME, hours, versionStage="AWSPREVIOUS") for hours in (2, 30)]
    (found,) = rows(previous(dt.timedelta(days=1)), record("DescribeSecret"), event, *reads)
    assert found["reads"] == 1


@pytest.mark.parametrize("key", ["arn", "aRN"])
def test_the_arn_of_a_response_names_the_secret(rows: Any, key: str) -> None:
    """User Guide, cloudtrail_log_entries: aRN before February 2024."""
    made = record("CreateSecret", requestParameters={"name": NAME}, responseElements={key: ARN})
    assert rows(mentions(ARN), made) == [{"records": 1}]
    assert rows(mentions(OTHER), made) == [{"records": 0}]


def test_an_event_of_two_accounts_counts_once(rows: Any) -> None:
    """CloudTrail User Guide, record contents: sharedEventID."""
    ours = {**read(ARN), "sharedEventID": "shared"}
    theirs = {**read(ARN, who={"type": "AWSAccount", "principalId": "AIDA"}), "sharedEventID": "shared"}
    assert callers(rows(who(NAME), theirs, ours)) == {APP: (1, 0)}


def test_a_repeated_record_counts_once(told: Any, tmp_path: Path) -> None:
    one = read(NAME)
    without_id = {key: value for key, value in read(NAME).items() if key != "eventID"}
    assert callers(told(who(NAME), one, one, without_id, without_id)[0]) == {APP: (2, 0)}
    path = save(tmp_path / "same.json", one)
    with opened() as table:
        table.load(files([path, path]))
        assert callers(table.ask(who(NAME)).rows) == {APP: (1, 0)}


def test_records_of_others_are_left_out(told: Any) -> None:
    """Network activity has no parameters: gist.github.com/rami-wiz, VPCe Examples."""
    network = record("GetSecretValue", eventCategory="NetworkActivity", eventType="AwsVpceEvent")
    insight = {"eventVersion": "1.09", "eventCategory": "Insight", "insightDetails": {}}
    other = record("DescribeInstances", eventSource="ec2.amazonaws.com")
    key = record(
        "Decrypt", eventSource="kms.amazonaws.com", requestParameters={"encryptionContext": {"a": "b"}}
    )
    key_only = record("Encrypt", eventSource="kms.amazonaws.com", requestParameters={"keyId": "k"})
    found, coverage = told(who(NAME), network, insight, other, key, key_only, read(NAME))
    assert callers(found) == {APP: (1, 0)}
    assert (coverage.records, coverage.events, coverage.complete) == (6, 1, True)


WRAPPED = {
    "log file": lambda one: {"Records": [one]},
    "LookupEvents": lambda one: {"Events": [{"EventId": "x", "CloudTrailEvent": json.dumps(one)}]},
    "event of LookupEvents": lambda one: {"EventId": "x", "CloudTrailEvent": json.dumps(one)},
    "EventBridge": lambda one: {"version": "0", "detail-type": "AWS API Call via CloudTrail", "detail": one},
    "record": lambda one: one,
    "log file in another order": lambda one: {"a": 1, "Records": [one]},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_records_are_found_in_every_document(wrap: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{json.dumps(wrap(read(NAME)))}\n{json.dumps(wrap(read(NAME)))}\n")
    with opened() as table:
        table.load(files([str(path)]))
        assert callers(table.ask(who(NAME)).rows) == {APP: (2, 0)}
        assert table.coverage.complete


def test_a_digest_has_no_records(tmp_path: Path) -> None:
    """elastic/integrations, test-cloudtrail-digest-json.log."""
    (tmp_path / "CloudTrail-Digest").mkdir()
    (tmp_path / "CloudTrail-Digest" / "broken.json").write_text("{")
    (tmp_path / "digest.json").write_text(json.dumps({"digestStartTime": "x", "logFiles": []}))
    save(tmp_path / "log.json", read(NAME))
    with opened() as table:
        table.load(files([str(tmp_path)]))
        assert (table.coverage.files, table.coverage.complete) == (2, True)


def changed(**members: Any) -> dict[str, Any]:
    """A read without or with other members; ``...`` removes one."""
    made = {**read(NAME), **members}
    return {key: value for key, value in made.items() if value is not ...}


INCOMPLETE: dict[str, tuple[object, str]] = {
    "no name": (changed(eventName=...), "eventName is missing"),
    "no source": (changed(eventSource=...), "eventSource is missing"),
    "no Region": (changed(awsRegion=...), "awsRegion is missing"),
    "no time": (changed(eventTime=...), "eventTime is missing, or is not a time"),
    "wrong time": (changed(eventTime="2026-02-30T00:00:00Z"), "eventTime is missing, or is not a time"),
    "time without a zone": (
        changed(eventTime="2026-02-03T00:00:00"),
        "eventTime is missing, or is not a time",
    ),
    "number as time": (changed(eventTime=1), "eventTime is missing, or is not a time"),
    "no caller": (changed(userIdentity=...), "userIdentity is missing"),
    "caller is text": (changed(userIdentity="jo"), "userIdentity is not an object"),
    "request is text": (changed(requestParameters="x"), "requestParameters is not an object"),
    "no request": (changed(requestParameters=None), "GetSecretValue names no secret"),
    "secret is an object": (
        changed(requestParameters={"secretId": {"a": 1}}),
        "GetSecretValue names no secret",
    ),
    "empty batch": (
        changed(eventName="BatchGetSecretValue", requestParameters={"secretIdList": []}),
        "BatchGetSecretValue names no secret",
    ),
    "event of the service": (record("RotationStarted"), "RotationStarted names no secret"),
    "no account": (
        changed(recipientAccountId=..., userIdentity={"invokedBy": "x"}),
        "recipientAccountId and userIdentity.accountId are missing",
    ),
    "large": (changed(sourceIPAddress="x" * (1 << 20)), "the record is larger than 1 MB"),
}


@pytest.mark.parametrize(("wrong", "cause"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_record_is_a_gap(told: Any, wrong: object, cause: str) -> None:
    found, coverage = told(who(NAME), read(NAME), wrong, read(NAME))
    (gap,) = coverage.gaps
    assert (gap.code, gap.cause, gap.after, gap.count) == ("incomplete", cause, 1, 1)
    assert callers(found) == {APP: (2, 0)}
    assert not coverage.complete


@pytest.mark.parametrize("foreign", [1, "text", None, [], {"a": 1}, {"level": "info", "message": "x"}])
def test_foreign_values_are_a_gap(told: Any, foreign: object) -> None:
    _, coverage = told(who(NAME), foreign, read(NAME), foreign)
    (gap,) = coverage.gaps
    assert (gap.code, gap.after, gap.count, coverage.gap_count) == ("foreign", 0, 2, 2)


def test_no_record_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"level": "info"}\n')
    with opened() as table, pytest.raises(NoRecords, match="this is not a record of CloudTrail"):
        table.load(files([str(tmp_path)]))


def test_rows_have_no_other_parameters() -> None:
    hidden: dict[str, Any] = {
        "secretString": "never-shown",
        "tags": [{"key": "never-shown"}],
        "encryptionContext": {"x": "y"},
    }
    made = row(read(NAME, 0, None, **hidden) | {"userAgent": "never-shown", "more": "never-shown"})
    assert isinstance(made, dict)
    assert made.keys() == COLUMNS.keys()
    assert "never-shown" not in str(made)
    assert made["requestParameters"] == {"secretId": NAME}


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
MEMBERS = st.sampled_from([*COLUMNS, "detail", "detail-type", "Records", "Events", "CloudTrailEvent"])


@given(st.dictionaries(MEMBERS, JSON), st.booleans())
def test_any_member_may_be_anything(members: dict[str, Any], whole: bool) -> None:
    for each in unwrapped({**(read(NAME) if whole else {}), **members}):
        made = row(each)
        assert made is None or isinstance(made, Damage) or line(made)


@pytest.mark.parametrize("listed", [True, 1, "abc", {"a": 1}, None])
def test_the_list_of_secrets_may_be_anything(listed: object) -> None:
    assert secrets_in({"requestParameters": {"secretIdList": listed}}) == ()


DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    "text",
    [
        '{"Events": [' * 400 + "1" + "]}" * 400,
        f'{{"Records": [{DEEP}]}}',
        json.dumps(read(NAME)).replace('"192.0.2.7"', DEEP),
        json.dumps({"Events": [{"CloudTrailEvent": DEEP}]}),
    ],
)
def test_deep_values_end_without_an_exception(text: str, tmp_path: Path) -> None:
    path = save(tmp_path / "log.json", read(NAME))
    (tmp_path / "deep.json").write_text(text)
    with opened() as table:
        table.load(files([str(tmp_path / "deep.json"), path]))
        assert APP in callers(table.ask(who(NAME)).rows)


def test_any_error_code_is_a_refusal(rows: Any) -> None:
    assert callers(rows(who(NAME), {**read(NAME), "errorCode": {"a": 1}})) == {APP: (0, 1)}


def test_unusual_characters_reach_the_answer(rows: Any) -> None:
    strange = "a\ud800'\"\\\x00;\u202e\n[bold]x"
    identity = {"type": "IAMUser", "arn": strange}
    (found,) = rows(who(NAME), read(NAME, who=identity))
    assert found["principal"] == strange.replace("\ud800", "?")
