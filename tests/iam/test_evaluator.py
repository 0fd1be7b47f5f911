"""IAM's decision, rule by rule; rotators/iam names the sources."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.iam.access_control import IAMPolicy, PermissionResult

from rotators.iam.calls import ApiCall
from rotators.iam.documents import statements_of, unread
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.evaluator import Decision, decide
from rotators.iam.patterns import arn_matcher, matcher

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf"


def statement(**changes: Any) -> dict[str, Any]:
    base = {"Sid": "S", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ARN}
    return {**base, **changes}


def allowed(
    *statements: Mapping[str, Any], action: str = "secretsmanager:GetSecretValue", **context: Any
) -> bool:
    keys = {key.replace("__", ":").replace("_S_", "/"): value for key, value in context.items()}
    return decide(statements, ApiCall("me", action, ARN, keys)).allowed


def test_nothing_is_allowed_by_default() -> None:
    decision = decide([], ApiCall("me", "a:B", ARN))
    assert (decision.allowed, decision.sid) == (False, None)


def test_a_denial_takes_precedence_and_is_named() -> None:
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
        ({"ArnEquals": {"a:K": "arn:aws:*:*:*:*:AbCdEf"}}, {"a__K": ARN}, False),
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
def test_an_unknown_element_is_not_a_permission(unknown: dict[str, Any]) -> None:
    with pytest.raises(PolicyUnsupported, match="not known"):
        allowed(statement(**unknown))


TEXT = st.text("ab*?:/[]", max_size=8)


@given(TEXT)
def test_a_text_fits_itself_and_a_star(text: str) -> None:
    assert matcher(text)(text)
    assert matcher("*")(text)


@given(TEXT, st.text("ab:/", max_size=8))
def test_wildcards_are_those_of_the_shell_without_brackets(pattern: str, value: str) -> None:
    same = pattern.replace("[", "[[]")
    assert matcher(pattern)(value) is fnmatch.fnmatchcase(value, same)


@given(
    st.lists(st.text("ab*?", max_size=3), min_size=6, max_size=6),
    st.lists(st.text("ab", max_size=3), min_size=6, max_size=6),
)
def test_an_arn_matches_part_by_part(patterns: list[str], parts: list[str]) -> None:
    fits = all(matcher(pattern)(part) for pattern, part in zip(patterns, parts, strict=True))
    assert arn_matcher(":".join(patterns))(":".join(parts)) is fits


def test_many_wildcards_are_compared_at_once() -> None:
    """Patterns come from others: one with ten asterisks took hours, in the command and in the local AWS."""
    pattern, value = f"{'*a' * 300}*b", "a" * 3000
    assert not matcher(pattern)(value)
    assert matcher(pattern)(f"{value}b")
    arn = f"arn:aws:s3:::{value}"
    assert not arn_matcher(f"{'*a' * 300}:*:*:*:*:{pattern}")(f"{'a' * 3000}:{arn.partition(':')[2]}")


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize(
    "changes",
    [
        {"Action": None},
        {"Action": ["secretsmanager:GetSecretValue", 5]},
        {"Action": []},
        {"Resource": {"a": "*"}},
        {"Resource": [["*"]]},
        {"Condition": []},
        {"Condition": {"Bool": "true"}},
        {"Condition": {"Bool": {"aws:SecureTransport": None}}},
        {"Condition": {"Bool": {"aws:SecureTransport": [{"a": 1}]}}},
        {"Principal": 5},
        {"Principal": ["*"]},
        {"Principal": {"AWS": 5}},
        {"NotPrincipal": {"AWS": None}},
    ],
)
def test_a_malformed_element_is_not_a_statement(changes: dict[str, Any], effect: str) -> None:
    """It would match nothing, so a denial would permit."""
    with pytest.raises(PolicyUnsupported, match=f"the element {next(iter(changes))} of a statement"):
        statements_of({"Version": "2012-10-17", "Statement": statement(Effect=effect, **changes)})


@pytest.mark.parametrize("effect", [None, ["Allow"], {"a": "Allow"}, "allow"])
def test_an_unknown_effect_is_not_a_statement(effect: Any) -> None:
    with pytest.raises(PolicyUnsupported, match="no Effect of Allow or Deny"):
        statements_of({"Statement": [statement(Effect=effect)]})


@pytest.mark.parametrize("document", ["null", "[]", "5", '{"Statement": null}', "[" * 100_000])
def test_no_policy_is_reported(document: str) -> None:
    with pytest.raises(PolicyUnsupported):
        statements_of(document)


# --- the rest of the policy language


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"NotAction": "secretsmanager:Put*"}, True),
        ({"NotAction": ["kms:*", "secretsmanager:Get*"]}, False),
        ({"NotResource": ARN[:-6] + "*"}, False),
        ({"NotResource": "arn:aws:kms:*:*:key/*"}, True),
    ],
)
def test_not_elements_mean_everything_else(changes: dict[str, Any], fits: bool) -> None:
    without = {key: value for key, value in statement().items() if f"Not{key}" not in changes}
    assert allowed({**without, **changes}) is fits


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "holds"),
    [
        ("StringNotEquals", "v", "w", True),
        ("StringNotEquals", ["v", "w"], "w", False),
        ("StringNotEquals", "v", None, True),
        ("StringNotEquals", "v", ("v", "w"), False),
        ("StringEqualsIgnoreCase", "V", "v", True),
        ("StringNotLike", "v*", "v1", False),
        ("ArnNotLike", ARN[:-6] + "*", ARN, False),
        ("ArnNotEquals", ARN, None, True),
        ("Bool", True, "true", True),
        ("Bool", "false", None, False),
        ("BoolIfExists", "false", None, True),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        ("Null", "false", "v", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThan", "10", "ten", False),
        ("NumericGreaterThanEquals", 10, "10", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-12-24T00:00:00Z", True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "1798000000", False),
        ("IpAddress", ["10.0.0.0/8", "::1"], "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "192.0.2.1", False),
        ("NotIpAddress", "10.0.0.0/8", "192.0.2.1", True),
        ("BinaryEquals", "QQ==", "QQ==", True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", "a", ("a", "b"), False),
        ("ForAllValues:StringEquals", "a", None, True),
        ("ForAnyValue:StringEquals", "a", ("a", "b"), True),
        ("ForAnyValue:StringEquals", "a", None, False),
        ("ForAnyValue:StringNotEquals", "a", ("a", "b"), True),
        ("ForAllValues:StringNotEquals", "a", ("a", "b"), False),
    ],
)
def test_each_operator_compares_as_documented(operator: str, wanted: Any, actual: Any, holds: bool) -> None:
    context = {} if actual is None else {"a__K": actual}
    assert allowed(statement(Condition={operator: {"a:K": wanted}}), **context) is holds


@pytest.mark.parametrize(
    ("pattern", "context", "fits"),
    [
        ("${a:K}", {"a__K": "shop"}, True),
        ("${a:k}/x", {"a__K": "shop"}, False),
        ("${a:K}", {}, False),
        ("${a:K, 'shop'}", {}, True),
        ("${a:K}", {"a__K": "sh*"}, False),
        ("sh${*}", {}, False),
        ("sh*", {}, True),
    ],
)
def test_variables_stand_for_values_of_the_request(pattern: str, context: Any, fits: bool) -> None:
    condition = {"StringLike": {"b:Team": pattern}}
    assert allowed(statement(Condition=condition), b__Team="shop", **context) is fits


def test_variables_work_in_resources() -> None:
    resource = ARN.replace("app/", "${a:K}/")
    assert allowed(statement(Resource=resource), a__K="app")
    assert not allowed(statement(Resource=resource), a__K="*")
    assert not allowed(statement(Resource=resource))


def test_old_versions_have_no_variables() -> None:
    condition = {"StringEquals": {"b:K": "${a:K}"}}
    document = {"Statement": statement(Condition=condition)}
    old, new = statements_of(document), statements_of({**document, "Version": "2012-10-17"})
    assert not allowed(*old, a__K="v", b__K="v")
    assert allowed(*old, a__K="v", b__K="${a:K}")
    assert allowed(*new, a__K="v", b__K="v")


# --- decisions that depend on a real request


def open_call(**context: str) -> ApiCall:
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return ApiCall("me", "secretsmanager:GetSecretValue", ARN, keys, known=("aws:PrincipalTag/",))


FROM_HOME = {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
HOME = ("IpAddress aws:SourceIp 10.0.0.0/8",)


@pytest.mark.parametrize(
    ("statements", "allowed", "conditions"),
    [
        ([statement(**FROM_HOME)], False, HOME),
        ([statement(**FROM_HOME), statement()], True, ()),
        ([statement(), statement(Effect="Deny", **FROM_HOME)], False, (f"unless {HOME[0]}",)),
        ([statement(**FROM_HOME), statement(Effect="Deny")], False, ()),
        ([statement(Effect="Deny", **FROM_HOME)], False, ()),
        ([statement(Condition={"StringEquals": {"aws:PrincipalTag/team": "a"}})], False, ()),
        ([statement(Condition={"StringMatches": {"a:K": "v"}})], False, ("StringMatches a:K v",)),
        ([statement(Resource=ARN.replace("app", "${aws:userid}"))], False, ("Resource {}",)),
        ([statement(Expires="2026")], False, ("the element Expires",)),
        ([*unread("policy x"), statement()], False, ("unless policy x",)),
    ],
)
def test_undecided_conditions_are_named(statements: Any, allowed: bool, conditions: Any) -> None:
    decision = decide(statements, open_call())
    named = tuple(each.format(ARN.replace("app", "${aws:userid}")) for each in conditions)
    assert (decision.allowed, decision.conditions) == (allowed, named)


@given(
    st.lists(
        st.builds(
            lambda effect, operator, keys: statement(
                Effect=effect,
                Condition={operator: dict.fromkeys(keys, "v" if "String" in operator else "true")},
            ),
            st.sampled_from(["Allow", "Deny"]),
            st.sampled_from(["StringEquals", "StringNotEquals", "Null", "ForAllValues:StringEquals"]),
            st.sets(st.sampled_from(["x:A", "x:B"])),
        ),
        max_size=4,
    ),
    st.fixed_dictionaries({}, optional={"x__A": st.sampled_from("vw"), "x__B": st.sampled_from("vw")}),
)
def test_certain_decisions_hold_for_every_request(statements: Any, context: dict[str, str]) -> None:
    """A decision without the keys is the same for all values of a request."""
    certain = decide(statements, open_call())
    if not certain.conditions:
        real = replace(open_call(**context), known=None)
        assert decide(statements, real).allowed is certain.allowed


# --- comparison with moto's evaluator: actions and resources without conditions

ACTIONS = ["secretsmanager:GetSecretValue", "secretsmanager:Get*", "secretsmanager:*", "kms:Decrypt", "*"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "Effect": st.sampled_from(["Allow", "Deny"]),
                "Resource": st.sampled_from(["*", ARN, ARN[:-6] + "*", ARN.replace("app", "web")]),
            }
        ).flatmap(
            lambda made: st.tuples(st.sampled_from(["Action", "NotAction"]), st.sampled_from(ACTIONS)).map(
                lambda action: {**made, action[0]: action[1]}
            )
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["secretsmanager:GetSecretValue", "kms:Decrypt", "secretsmanager:PutSecretValue"]),
)
def test_moto_decides_the_same(statements: Any, action: str) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    theirs = IAMPolicy(document).is_action_permitted(action, ARN)
    assert decide(statements, ApiCall("me", action, ARN)).allowed is (theirs is PermissionResult.PERMITTED)
