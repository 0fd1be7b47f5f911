"""An audit record takes any content, and its line is always one line of valid JSON that is safe to show."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

from rotators.cli.schema import schema_of
from rotators.core.audit import (
    LONGEST,
    AuditRecord,
    StageMove,
    code_of,
    line,
    outcome_of,
    place_of,
    timestamp,
)
from rotators.core.errors import CredentialsRejected, ServiceUnavailable, TargetUnavailable

SCHEMA = Draft202012Validator(schema_of("audit-record"))
TEXTS = st.text(st.characters(), max_size=80) | st.sampled_from(
    ["\ud800", "\x1b[2J\x9b31m", "a\nb\r\u2028c", "\u202e\u200b\x7f", "é" * LONGEST * 2, "\x00" * LONGEST]
)
ANYTHING = TEXTS | st.none() | st.binary() | st.integers() | st.floats() | st.builds(object) | st.sets(TEXTS)


def record(**members: Any) -> AuditRecord:
    required: dict[str, Any] = {
        "time": timestamp(0),
        "duration_ms": 1.5,
        "source": "rotate",
        "action": "rotate",
        "outcome": "succeeded",
    }
    return AuditRecord(**{**required, **members})


@given(
    st.fixed_dictionaries({}, optional={"secret": TEXTS, "caller": TEXTS, "token": TEXTS, "strategy": TEXTS})
)
@example({"secret": "\ud800\x1b]0;owned\x07\nNext: rm -rf"})
def test_a_hostile_text_is_made_visible(texts: dict[str, str]) -> None:
    text = line(
        record(**texts, versions=list(texts.values()), moved=[StageMove(each) for each in texts]).document()
    )
    assert text.isascii()
    assert text.isprintable()
    told = json.loads(text)
    SCHEMA.validate(told)
    for name in texts:
        shown = told["audit"].get(name, "")
        assert len(shown) <= LONGEST
        assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANYTHING, ANYTHING)
def test_content_of_any_type_is_serialised(one: Any, other: Any) -> None:
    told = json.loads(line(record(secret=one, request_id=other, versions=[one]).document()))
    assert told["audit"]["action"] == "rotate"


def test_empty_members_are_left_out() -> None:
    assert set(record().document()) == {
        "version",
        "id",
        "time",
        "duration_ms",
        "source",
        "action",
        "outcome",
    }


def test_two_records_have_different_ids() -> None:
    assert record().document()["id"] != record().document()["id"]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("timeout", "credentials-rejected/timeout"),
        ("Pa55 word", "credentials-rejected"),
        (None, "credentials-rejected"),
    ],
)
def test_a_reason_of_several_words_is_dropped(reason: str | None, code: str) -> None:
    assert code_of(CredentialsRejected("no", reason=reason)) == code


def test_a_lost_answer_leaves_the_outcome_unknown() -> None:
    assert outcome_of(ServiceUnavailable("no answer")) == "unknown"
    assert outcome_of(TargetUnavailable("no answer")) == "failed"


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",), ("123456789012", "eu-west-1")),
        (("a", "arn:aws-cn:lambda:cn-north-1:210987654321:function:f"), ("210987654321", "cn-north-1")),
        (("arn:aws:sts::123456789012:assumed-role/a/b",), ("123456789012", None)),
        (("a", None), (None, None)),
        (("arn:aws:secretsmanager",), (None, None)),
    ],
)
def test_account_and_region_come_from_arns(
    names: tuple[str | None, ...], place: tuple[str | None, str | None]
) -> None:
    assert place_of(*names) == place
