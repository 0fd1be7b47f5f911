"""Audit records as OCSF events: valid by the class's facts, complete, and never stopped by a bad line."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

from rotators import __version__
from rotators.cli.schema import schema_of
from rotators.core.audit import LONGEST, AuditRecord, StageMove, line, timestamp
from rotators.manage.errors import RecordInvalid
from rotators.manage.ocsf import ocsf_event, record_in
from tests.cli.command import command

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf"

# Facts of OCSF 1.8.0 (github.com/ocsf/ocsf-schema, tag v1.8.0), only of the attributes that the mapping may
# use: events/base_event.json, events/iam/iam.json, events/iam/entity_management.json, profiles/cloud.json,
# objects/*.json; types from dictionary.json.
REQUIRED: dict[str, set[str]] = {
    "entity_management": {
        "activity_id",
        "category_uid",
        "class_uid",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
        "entity",
        "cloud",  # by the profile cloud
    },
    "metadata": {"product", "version"},
    "product": set(),
    "cloud": {"provider"},
    "account": set(),
    "api": {"operation"},
    "request": {"uid"},
    "actor": set(),
    "user": set(),
    "managed_entity": set(),
}
AT_LEAST_ONE: dict[str, set[str]] = {
    "product": {"name", "uid"},
    "account": {"name", "uid"},
    "actor": {"process", "user", "invoked_by", "session", "app_name", "app_uid"},
    "user": {"account", "name", "uid"},
    "managed_entity": {"name", "uid", "device", "group", "org", "policy", "user"},
}
TEXTS = {
    "entity_management": {
        "activity_name",
        "category_name",
        "class_name",
        "type_name",
        "severity",
        "status",
        "status_code",
    },
    "metadata": {
        "version",
        "log_name",
        "log_version",
        "original_event_uid",
        "original_time",
        "correlation_uid",
    },
    "product": {"name", "vendor_name", "version"},
    "cloud": {"provider", "region"},
    "account": {"uid", "type"},
    "api": {"operation"},
    "request": {"uid"},
    "actor": {"app_name"},
    "user": {"uid"},
    "managed_entity": {"name", "uid", "type"},
}
NUMBERS = {
    "entity_management": {
        "activity_id",
        "category_uid",
        "class_uid",
        "type_uid",
        "severity_id",
        "status_id",
        "time",
    },
    "account": {"type_id"},
    "managed_entity": {"type_id"},
}
OBJECTS = {
    "entity_management": {
        "metadata": "metadata",
        "cloud": "cloud",
        "api": "api",
        "actor": "actor",
        "entity": "managed_entity",
    },
    "metadata": {"product": "product"},
    "cloud": {"account": "account"},
    "api": {"request": "request"},
    "actor": {"user": "user"},
}
ACTIVITIES = {
    1: "Create",
    2: "Read",
    3: "Update",
    4: "Delete",
    5: "Move",
    8: "Enable",
    9: "Disable",
    99: "Other",
}
STATUSES = {0: "Unknown", 1: "Success", 2: "Failure"}


def assert_valid(kind: str, found: dict[str, Any]) -> None:
    """Check an object against the facts: required attributes, constraints, known attributes, types."""
    assert found.keys() >= REQUIRED[kind]
    assert not AT_LEAST_ONE.get(kind) or found.keys() & AT_LEAST_ONE[kind]
    for name, value in found.items():
        if name in TEXTS[kind]:
            assert isinstance(value, str), name
            assert value, name
        elif name in NUMBERS.get(kind, set()):
            assert type(value) is int, name
        elif name in OBJECTS.get(kind, {}):
            assert_valid(OBJECTS[kind][name], value)
        else:
            assert (kind, name) in {("entity_management", "unmapped"), ("metadata", "profiles")}


def assert_event(event: dict[str, Any]) -> None:
    """Check an event, and the attributes that belong together."""
    assert_valid("entity_management", event)
    assert (event["class_uid"], event["category_uid"]) == (3004, 3)
    assert event["type_uid"] == 3004 * 100 + event["activity_id"]
    assert ACTIVITIES[event["activity_id"]] == event["activity_name"]
    assert STATUSES[event["status_id"]] == event["status"]
    assert event["metadata"]["version"] == "1.8.0"
    assert event["metadata"]["profiles"] == ["cloud"]
    assert event["entity"]["type_id"] == 99
    assert event["entity"]["type"] in {"Key", "Secret"}


def audited(**members: Any) -> AuditRecord:
    required: dict[str, Any] = {
        "time": timestamp(1_700_000_000.25),
        "duration_ms": 12.5,
        "source": "rotate",
        "action": "rotate",
        "outcome": "succeeded",
    }
    return AuditRecord(**{**required, **members})


FULL = audited(
    step="finishSecret",
    result="done",
    secret=ARN,
    account="123456789012",
    region="eu-west-1",
    versions=["v2"],
    moved=[StageMove("AWSCURRENT", "v1", "v2")],
    rotator="postgres",
    strategy="single",
    token="v2",
    caller="arn:aws:iam::123456789012:role/shop",
    function="arn:aws:lambda:eu-west-1:123456789012:function:rotate",
    request_id="r-1",
)


def test_a_full_record_keeps_all_its_facts() -> None:
    event = ocsf_event(FULL)
    assert_event(event)
    assert event["time"] == 1_700_000_000_250
    assert (event["entity"]["type"], event["entity"]["uid"]) == ("Secret", ARN)
    assert event["cloud"] == {
        "provider": "AWS",
        "region": "eu-west-1",
        "account": {"uid": "123456789012", "type_id": 10, "type": "AWS Account"},
    }
    assert event["actor"]["user"]["uid"] == FULL.caller
    assert event["api"] == {"operation": "finishSecret", "request": {"uid": "r-1"}}
    text = json.dumps(event)
    for value in FULL.document().values():
        texts = value if isinstance(value, list) else [value]
        assert all(json.dumps(each) in text for each in texts if each != "succeeded")


@pytest.mark.parametrize(
    ("members", "activity"),
    [
        ({}, "Update"),
        ({"source": "store", "action": "store", "result": "created"}, "Create"),
        ({"source": "store", "action": "store", "result": "updated"}, "Update"),
        ({"source": "store", "action": "store", "result": "unchanged"}, "Read"),
        ({"source": "retrieve", "action": "retrieve"}, "Read"),
        ({"source": "operate", "action": "doctor"}, "Read"),
        ({"source": "operate", "action": "repair"}, "Update"),
        ({"source": "command", "action": "tag", "operation": "TagResource"}, "Update"),
        ({"source": "command", "action": "delete", "operation": "DeleteSecret"}, "Delete"),
        ({"source": "command", "action": "restore", "operation": "RestoreSecret"}, "Enable"),
        ({"source": "command", "action": "rename", "operation": "CreateSecret"}, "Create"),
        ({"source": "command", "action": "export"}, "Read"),
        ({"source": "command", "action": "rotate", "operation": "RotateSecret"}, "Update"),
        ({"source": "command", "action": "new command"}, "Other"),
    ],
)
def test_the_activity_describes_what_was_done(members: dict[str, Any], activity: str) -> None:
    event = ocsf_event(audited(**members))
    assert_event(event)
    assert event["activity_name"] == activity


def test_a_key_is_an_entity_too() -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-4333-8444-555555555555"
    event = ocsf_event(audited(source="command", action="key rotate", key=arn))
    assert_event(event)
    assert (event["entity"]["type"], event["entity"]["uid"]) == ("Key", arn)
    assert event["activity_name"] == "Update"


@pytest.mark.parametrize("outcome", get_args(get_type_hints(AuditRecord)["outcome"]))
def test_every_outcome_has_a_status(outcome: str) -> None:
    event = ocsf_event(audited(outcome=outcome, error_code="access-denied"))
    assert_event(event)
    assert event["status_code"] == "access-denied"


TEXT = st.text(min_size=1, max_size=20)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("operation", "step", "result", "secret", "caller", "token", "request_id", "region"), TEXT
        ),
        "versions": st.lists(TEXT),
        "moved": st.lists(st.builds(StageMove, TEXT, TEXT, st.none() | TEXT)),
        "duration_ms": st.floats(0, 1e9),
    },
)


@given(MEMBERS)
def test_every_record_can_be_read_again(members: dict[str, Any]) -> None:
    record = audited(**members)
    read = record_in(f"{line(record.document())}\n")
    assert read is not None
    assert read.document() == record.document()
    assert_event(ocsf_event(read))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(st.sampled_from([*FULL.document(), "new"]), JSON)
def test_a_foreign_value_is_read_or_refused(name: str, value: Any) -> None:
    text = line({**FULL.document(), name: value})
    try:
        read = record_in(text)
    except RecordInvalid:
        return
    assert read is not None
    event = ocsf_event(read)
    assert_event(event)
    json.dumps(event, allow_nan=False).encode()


@pytest.mark.parametrize("name", ["id", "time", "duration_ms", "source", "action", "outcome"])
def test_a_missing_member_is_named(name: str) -> None:
    document = FULL.document()
    del document[name]
    with pytest.raises(RecordInvalid, match=name):
        record_in(line(document))


def test_other_lines_have_no_record() -> None:
    for text in (
        "",
        "START RequestId: 1",
        '{"level":"INFO","token":"audit"}',
        '{"message":"{\\"audit\\": 1}"}',
    ):
        assert record_in(text) is None


def test_the_page_shows_a_record_and_its_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "audit.md").read_text(encoding="utf-8")
    record, event = map(json.loads, re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    Draft202012Validator(schema_of("audit-record")).validate(record)
    assert set(re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE)) >= {
        each.name for each in fields(AuditRecord)
    }
    read = record_in(json.dumps(record))
    assert read is not None
    event["metadata"]["product"]["version"] = __version__
    assert ocsf_event(read) == event


# --- the command

LINE = line(FULL.document())
LOG = f'INIT_START\n{{"level":"INFO"}}\n2026-11-27T09:00:00 rotate {LINE}\n\n{LINE}\n'


def plain(path: Path, text: str) -> None:
    path.write_text(text)


def compressed(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()))


def events(text: str) -> list[dict[str, Any]]:
    found = [json.loads(each) for each in text.splitlines()]
    for event in found:
        assert_event(event)
    return found


@pytest.mark.parametrize("write", [plain, compressed])
def test_a_log_becomes_one_event_per_record(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    write(tmp_path / "log", LOG)
    done = command("audit", "ocsf", str(tmp_path / "log"))
    assert (done.status, done.stderr) == (0, "")
    assert events(done.stdout) == [ocsf_event(FULL)] * 2


def test_a_bad_line_is_named_and_skipped(tmp_path: Path) -> None:
    hostile = line({**FULL.document(), "secret": "\x1b]0;owned\x07\x7f\ud800"})
    (tmp_path / "log").write_text(f'{LINE[:100]}\n{LINE}\n{{"audit":[]}}\n{hostile}\n')
    done = command("audit", "ocsf", str(tmp_path / "log"))
    assert done.status == 1
    assert re.findall(r"line \d", done.stderr) == ["line 1", "line 3"]
    assert len(events(done.stdout)) == 2
    assert done.stdout.isascii()
    assert done.stdout.replace("\n", "").isprintable()
    assert "\\ud800" not in done.stdout.replace("\\\\", "")


def test_a_truncated_archive_prints_its_readable_part(tmp_path: Path) -> None:
    data = gzip.compress((f"{LINE}\n" * 5000).encode())
    (tmp_path / "log.gz").write_bytes(data[: len(data) // 2])
    done = command("audit", "ocsf", str(tmp_path / "log.gz"))
    assert done.status == 1
    assert "file-unreadable" in done.stderr
    assert 0 < len(events(done.stdout)) < 5000


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 1000, b"{}\n", b"x" * LONGEST * 100])
def test_a_file_without_records_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(content)
    done = command("audit", "ocsf", str(tmp_path / "log"))
    assert (done.status, done.stdout) == (1, "")
    assert "file-unreadable" in done.stderr
