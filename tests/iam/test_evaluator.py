"""IAM's decision, rule by rule; rotators/iam names the sources."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.iam.calls import ApiCall
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.evaluator import Decision, decide
from rotators.iam.patterns import arn_matches, matches

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf"


def statement(**changes: Any) -> dict[str, Any]:
    base = {"Sid": "S", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ARN}
    return {**base, **changes}


def allowed(
    *statements: dict[str, Any], action: str = "secretsmanager:GetSecretValue", **context: Any
) -> bool:
    keys = {key.replace("__", ":").replace("_S_", "/"): value for key, value in context.items()}
    return decide(statements, ApiCall("me", action, ARN, keys)).allowed


def test_nothing_is_allowed_by_default() -> None:
    decision = decide([], ApiCall("me", "a:B", ARN))
    assert (decision.allowed, decision.sid) == (False, None)


def test_a_denial_wins_and_is_named() -> None:
    deny = statement(Sid="D", Effect="Deny")
    call = ApiCall("me", "secretsmanager:GetSecretValue", ARN)
    assert decide([statement(), deny], call) == Decision(allowed=False, statement=deny)


@pytest.mark.parametrize(
    ("action", "fits"),
    [
        ("secretsmanager:getsecretvalue", True),
        ("secretsmanager:Get*", True),
        ("secretsmanager:GetSecretValu?", True),
        ("*", True),
        (["kms:Decrypt", "secretsmanager:GetSecretValue"], True),
        ("secretsmanager:PutSecretValue", False),
        ("secretsmanager:Get", False),
    ],
)
def test_actions_fit_whatever_their_case(action: Any, fits: bool) -> None:
    assert allowed(statement(Action=action)) is fits


@pytest.mark.parametrize(
    ("resource", "fits"),
    [
        ("*", True),
        (ARN[:-6] + "??????", True),
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:app/*", True),
        ("arn:aws:secretsmanager:*:123456789012:secret:app/*", True),
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:APP/*", False),
        ("arn:aws:secretsmanager:us-east-1:999999999999:secret:*", False),
        ("arn:aws:secretsmanager:*:secret:app/db-AbCdEf", False),
    ],
)
def test_resources_fit_part_by_part(resource: str, fits: bool) -> None:
    assert allowed(statement(Resource=resource)) is fits


@pytest.mark.parametrize(
    ("condition", "context", "fits"),
    [
        ({"StringEquals": {"a:K": "v"}}, {"a__k": "v"}, True),
        ({"StringEquals": {"a:K": ["u", "v"]}}, {"a__K": "v"}, True),
        ({"StringEquals": {"a:K": "v*"}}, {"a__K": "v1"}, False),
        ({"StringLike": {"a:K": "v*"}}, {"a__K": "v1"}, True),
        ({"StringEquals": {"a:K": "v"}}, {}, False),
        ({"StringEqualsIfExists": {"a:K": "v"}}, {}, True),
        ({"StringEqualsIfExists": {"a:K": "v"}}, {"a__K": "w"}, False),
        ({"StringEquals": {"a:K": "v", "a:L": "w"}}, {"a__K": "v"}, False),
        ({"StringEquals": {"a:K": "v"}, "StringLike": {"a:L": "w*"}}, {"a__K": "v", "a__L": "ww"}, True),
        ({"ArnLike": {"a:K": ARN[:-6] + "*"}}, {"a__K": ARN}, True),
        ({"ArnEquals": {"a:K": "arn:aws:*:AbCdEf"}}, {"a__K": ARN}, False),
    ],
)
def test_all_conditions_must_hold(condition: Any, context: dict[str, Any], fits: bool) -> None:
    assert allowed(statement(Condition=condition), **context) is fits


@pytest.mark.parametrize(
    "unknown",
    [
        {"Expires": "2026-12-24"},
        {"Condition": {"StringMatches": {"aws:SourceIp": "10.*"}}},
    ],
)
def test_what_is_not_known_is_no_permission(unknown: dict[str, Any]) -> None:
    with pytest.raises(PolicyUnsupported, match="not known"):
        allowed(statement(**unknown))


TEXT = st.text("ab*?:/[]", max_size=8)


@given(TEXT)
def test_a_text_fits_itself_and_a_star(text: str) -> None:
    assert matches(text, text)
    assert matches("*", text)


@given(TEXT, st.text("ab:/", max_size=8))
def test_wildcards_are_those_of_the_shell_without_brackets(pattern: str, value: str) -> None:
    same = pattern.replace("[", "[[]")
    assert matches(pattern, value) is fnmatch.fnmatchcase(value, same)


@given(
    st.lists(st.text("ab*?", max_size=3), min_size=6, max_size=6),
    st.lists(st.text("ab", max_size=3), min_size=6, max_size=6),
)
def test_an_arn_matches_part_by_part(patterns: list[str], parts: list[str]) -> None:
    assert arn_matches(":".join(patterns), ":".join(parts)) is all(map(matches, patterns, parts))
