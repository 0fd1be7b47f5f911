"""IAM's decisions as AWS's documentation states them: a row for each statement, with its page.

Pages without a guide's name are of the IAM User Guide
(https://docs.aws.amazon.com/IAM/latest/UserGuide/PAGE.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rotators.iam.calls import ApiCall
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.evaluator import decide_with
from rotators.iam.grants import statements_of_grants

HERE, THERE = "123456789012", "222222222222"
ROLE = f"arn:aws:iam::{HERE}:role/app"
USER = f"arn:aws:iam::{HERE}:user/ann"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/app/one"
ROOT = f"arn:aws:iam::{HERE}:root"
SECRET = f"arn:aws:secretsmanager:us-east-1:{HERE}:secret:app/db-AbCdEf"
KEY = f"arn:aws:kms:us-east-1:{HERE}:key/1"
ELSEWHERE = SECRET.replace(HERE, THERE)
GET, DECRYPT = "secretsmanager:GetSecretValue", "kms:Decrypt"

YES, NO, UNKNOWN = "allowed", "refused", "unknown"
Statement = dict[str, Any]


def statement(effect: str = "Allow", *, without: str = "", **changes: Any) -> Statement:
    """A statement about everything, without one element and with others."""
    base = {"Effect": effect, "Action": "*", "Resource": "*", **changes}
    return {name: value for name, value in base.items() if name != without}


def allow(**changes: Any) -> list[Statement]:
    return [statement(**changes)]


def deny(**changes: Any) -> list[Statement]:
    return [statement("Deny", **changes)]


def to(*principals: str, **changes: Any) -> list[Statement]:
    return allow(Principal={"AWS": list(principals)}, **changes)


def when(operator: str, wanted: Any, key: str = "aws:ResourceTag/k") -> list[Statement]:
    """A statement that allows everything on a condition."""
    return allow(Condition={operator: {key: wanted}})


@dataclass(frozen=True)
class Row:
    """A documented decision.

    Attributes:
        source: page that states it.
        answer: the decision.
        identity: the caller's own policies.
        tag: value or values of the condition key aws:ResourceTag/k; None without one.
        context: other condition keys.
        policies: of other kinds, as `decide_with` takes them.
        action, resource, caller: of the call.
    """

    source: str
    answer: str
    identity: list[Statement] = field(default_factory=list)
    tag: str | tuple[str, ...] | None = None
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    action: str = GET
    resource: str = SECRET
    caller: str = ROLE

    def call(self) -> ApiCall:
        who = {"aws:PrincipalArn": self.caller, "aws:PrincipalAccount": self.caller.split(":")[4]}
        tag = {} if self.tag is None else {"aws:ResourceTag/k": self.tag}
        return ApiCall("caller", self.action, self.resource, {**who, **tag, **self.context}, known=("",))

    def answered(self) -> str:
        """The answer if all keys of the request are known that the evaluator supports."""
        decision = decide_with(self.identity, self.call(), **self.policies)
        return YES if decision.allowed else UNKNOWN if decision.conditions else NO


OPERATORS = "reference_policies_elements_condition_operators"
SETS = "reference_policies_condition-single-vs-multi-valued-context-keys"
LOGIC = "reference_policies_condition-logic-multiple-context-keys-or-values"
VARIABLES = "reference_policies_variables"

# --- conditions

CONDITIONS = [
    # "If the key ... is not present ..., the values do not match and the condition is false."
    *(
        Row(f"{OPERATORS} (Important)", NO, when(name, wanted))
        for name, wanted in {
            "StringEquals": "v",
            "StringEqualsIgnoreCase": "v",
            "StringLike": "*",
            "NumericEquals": "1",
            "NumericLessThan": "1",
            "NumericLessThanEquals": "1",
            "NumericGreaterThan": "1",
            "NumericGreaterThanEquals": "1",
            "DateEquals": "2026-01-01T00:00:00Z",
            "DateLessThan": "2026-01-01T00:00:00Z",
            "DateLessThanEquals": "2026-01-01T00:00:00Z",
            "DateGreaterThan": "2026-01-01T00:00:00Z",
            "DateGreaterThanEquals": "2026-01-01T00:00:00Z",
            "Bool": "true",
            "BinaryEquals": "QQ==",
            "IpAddress": "10.0.0.0/8",
            "ArnEquals": SECRET,
            "ArnLike": SECRET,
        }.items()
    ),
    # "If the policy condition requires that the key is not matched ..., the condition is true."
    *(
        Row(f"{OPERATORS} (Important)", YES, when(name, wanted))
        for name, wanted in {
            "StringNotEquals": "v",
            "StringNotEqualsIgnoreCase": "v",
            "StringNotLike": "*",
            "NumericNotEquals": "1",
            "DateNotEquals": "2026-01-01T00:00:00Z",
            "NotIpAddress": "10.0.0.0/8",
            "ArnNotEquals": SECRET,
            "ArnNotLike": SECRET,
        }.items()
    ),
    # "... IfExists to the end of any condition operator name except the Null condition."
    *(
        Row(f"{OPERATORS}#Conditions_IfExists", YES, when(f"{name}IfExists", wanted))
        for name, wanted in {
            "StringEquals": "v",
            "StringNotEquals": "v",
            "StringLike": "v",
            "NumericLessThan": "1",
            "DateLessThan": "2026-01-01T00:00:00Z",
            "Bool": "true",
            "BinaryEquals": "QQ==",
            "IpAddress": "10.0.0.0/8",
            "ArnLike": SECRET,
            "ForAllValues:StringEquals": "v",
        }.items()
    ),
    Row(f"{OPERATORS}#Conditions_IfExists", NO, when("StringEqualsIfExists", "v"), tag="w"),
    Row(
        f"{OPERATORS}#Conditions_IfExists: a negated denial holds without the key",
        NO,
        [*allow(), *deny(Condition={"StringNotEqualsIfExists": {"aws:ResourceTag/k": "v"}})],
    ),
    Row(f"{OPERATORS}#Conditions_IfExists", UNKNOWN, when("NullIfExists", "true")),
    Row(
        f"{OPERATORS}#Conditions_IfExists and {SETS} differ",
        UNKNOWN,
        when("ForAnyValue:StringLikeIfExists", "v"),
    ),
    # Null: "true (the key doesn't exist - it is null) or false (the key exists and its value is not null)".
    Row(f"{OPERATORS}#Conditions_Null", YES, when("Null", "true")),
    Row(f"{OPERATORS}#Conditions_Null", NO, when("Null", "true"), tag="v"),
    Row(f"{OPERATORS}#Conditions_Null", NO, when("Null", "false")),
    Row(f"{OPERATORS}#Conditions_Null", YES, when("Null", "false"), tag="v"),
    Row(f"{OPERATORS}#Conditions_Null: its value is not null", NO, when("Null", "false"), tag=""),
    Row(f"{OPERATORS}#Conditions_Null", UNKNOWN, when("Null", "perhaps"), tag="v"),
    Row(f"{OPERATORS}#Conditions_Null: no variables", UNKNOWN, when("Null", "${aws:username}"), tag="v"),
    # Set operators.
    Row(SETS, YES, when("ForAllValues:StringEquals", ["a", "b"]), tag=("a", "b")),
    Row(SETS, NO, when("ForAllValues:StringEquals", ["a"]), tag=("a", "b")),
    Row(f"{SETS}: also true without the key", YES, when("ForAllValues:StringEquals", "a")),
    Row(
        f"{SETS}: a null data set, such as an empty string",
        YES,
        when("ForAllValues:StringEquals", "a"),
        tag="",
    ),
    Row(SETS, YES, when("ForAnyValue:StringEquals", ["b", "c"]), tag=("a", "b")),
    Row(SETS, NO, when("ForAnyValue:StringEquals", "c"), tag=("a", "b")),
    Row(f"{SETS}: false without the key", NO, when("ForAnyValue:StringEquals", "a")),
    Row(f"{SETS}: false without the key", NO, when("ForAnyValue:StringNotEquals", "a")),
    Row(f"{SETS}: false with an empty data set", NO, when("ForAnyValue:StringLike", "*"), tag=""),
    Row(
        "reference_policies_condition_examples-multi-valued-context-keys: Null beside ForAllValues",
        NO,
        allow(
            Condition={
                "Null": {"aws:ResourceTag/k": "false"},
                "ForAllValues:StringLike": {"aws:ResourceTag/k": "a*"},
            }
        ),
    ),
    Row(
        f"{SETS}: multivalued keys require a set operator", UNKNOWN, when("StringEquals", "a"), tag=("a", "b")
    ),
    # Several operators, keys and values.
    Row(f"{LOGIC}: values are joined by OR", YES, when("StringEquals", ["v", "w"]), tag="w"),
    Row(f"{LOGIC}: values of a negated operator by NOR", NO, when("StringNotEquals", ["v", "w"]), tag="w"),
    Row(
        f"{LOGIC}: keys are joined by AND",
        NO,
        allow(Condition={"StringEquals": {"aws:ResourceTag/k": "v", "aws:ResourceTag/l": "v"}}),
        tag="v",
    ),
    Row(
        f"{LOGIC}: operators are joined by AND",
        NO,
        allow(Condition={"StringEquals": {"aws:ResourceTag/k": "v"}, "Null": {"aws:ResourceTag/k": "true"}}),
        tag="v",
    ),
    # Values.
    Row(f"{OPERATORS}#Conditions_String", NO, when("StringEquals", "V"), tag="v"),
    Row(f"{OPERATORS}#Conditions_String", YES, when("StringEqualsIgnoreCase", "V"), tag="v"),
    Row(f"{OPERATORS}#Conditions_String", NO, when("StringEquals", "v*"), tag="v1"),
    Row(f"{OPERATORS}#Conditions_String", YES, when("StringLike", "v?*"), tag="v1"),
    Row(f"{OPERATORS}#Conditions_Numeric", YES, when("NumericLessThanEquals", "10"), tag="10"),
    Row(f"{OPERATORS}#Conditions_Numeric", UNKNOWN, when("NumericNotEquals", "ten"), tag="10"),
    Row(
        f"{OPERATORS}#Conditions_Numeric: no variables",
        UNKNOWN,
        when("NumericNotEquals", "${aws:k}"),
        tag="1",
    ),
    Row(
        f"{OPERATORS}#Conditions_Date: epoch time",
        YES,
        when("DateLessThan", "1798000000"),
        tag="2026-01-01T00:00:00Z",
    ),
    Row(
        f"{OPERATORS}#Conditions_Date: no wildcards",
        UNKNOWN,
        when("DateNotEquals", "2026-*"),
        tag="2026-01-01",
    ),
    Row(f"{OPERATORS}#Conditions_IPAddress", YES, when("IpAddress", "2001:DB8::/32"), tag="2001:db8::1"),
    Row(f"{OPERATORS}#Conditions_IPAddress: /32", NO, when("IpAddress", "10.0.0.1"), tag="10.0.0.2"),
    Row(f"{OPERATORS}#Conditions_IPAddress", UNKNOWN, when("NotIpAddress", "10.0.0.0/33"), tag="10.0.0.1"),
    Row(f"{OPERATORS}#Conditions_Boolean", UNKNOWN, when("Bool", "yes"), tag="true"),
    Row(f"{OPERATORS}#Conditions_BinaryEquals", UNKNOWN, when("BinaryEquals", "Q"), tag="QQ=="),
    Row(
        f"{OPERATORS}#Conditions_ARN: each of the six components",
        NO,
        when("ArnLike", "arn:aws:someservice:*:111122223333:finance/*"),
        tag="arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
    ),
    Row(
        f"{OPERATORS}#Conditions_ARN: the same as a text",
        YES,
        when("StringLike", "arn:aws:someservice:*:111122223333:finance/*"),
        tag="arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
    ),
    Row(f"{OPERATORS}#Conditions_ARN", UNKNOWN, when("ArnNotLike", "*"), tag=SECRET),
    Row(f"{OPERATORS}: an operator of the future", UNKNOWN, when("StringMatches", "v"), tag="v"),
    Row(f"{OPERATORS}: a set operator of the future", UNKNOWN, when("ForNoValue:StringEquals", "v"), tag="v"),
]

# --- variables

NAMED = {"aws:PrincipalTag/team": "shop"}
OWN = "${aws:PrincipalTag/team}"

IN_VARIABLES = [
    Row(f"{VARIABLES}#policy-vars-tags", YES, when("StringEquals", OWN), tag="shop", context=NAMED),
    Row(f"{VARIABLES}#policy-vars-no-value", NO, when("StringEquals", OWN), tag="shop"),
    Row(f"{VARIABLES}#policy-vars-no-value: a tag is not the text", NO, when("StringLike", OWN), tag=OWN),
    Row(
        f"{VARIABLES}#policy-vars-no-value: negated ones match null, or the statement is invalid (Note)",
        UNKNOWN,
        when("StringNotEquals", OWN),
        tag="shop",
    ),
    Row(
        f"{VARIABLES}#policy-vars-default-values",
        YES,
        when("StringEquals", "${aws:PrincipalTag/team, 'all'}"),
        tag="all",
    ),
    Row(
        f"{VARIABLES}#policy-vars-wildcards: a wildcard in a value is text",
        NO,
        when("StringLike", OWN),
        tag="shop",
        context={"aws:PrincipalTag/team": "*"},
    ),
    Row(f"{VARIABLES}#policy-vars-specialchars", YES, when("StringLike", "a${*}"), tag="a*"),
    Row(f"{VARIABLES}#policy-vars-specialchars", NO, when("StringLike", "a${*}"), tag="ab"),
    Row(
        f"{VARIABLES}#policy-vars-resourceelement",
        YES,
        allow(Resource=SECRET.replace("app/", f"{OWN}/")),
        context={"aws:PrincipalTag/team": "app"},
    ),
    Row(
        f"{VARIABLES}#policy-vars-resourceelement: only after the fifth colon",
        UNKNOWN,
        allow(Resource=SECRET.replace(HERE, "${aws:PrincipalAccount}")),
    ),
    Row(f"{VARIABLES}: not closed", UNKNOWN, when("StringNotEquals", "${aws:username"), tag="v"),
    Row(
        f"{SETS}: no variable of several values",
        NO,
        when("StringEquals", "${aws:TagKeys}"),
        tag="a",
        context={"aws:TagKeys": ("a", "b")},
    ),
]

# --- elements

ELEMENTS = [
    Row(
        "reference_policies_elements_action: not case-sensitive",
        YES,
        allow(Action="SecretsManager:getsecretvalue"),
    ),
    Row("reference_policies_elements_action", NO, allow(Action="secretsmanager:Get")),
    Row("reference_policies_elements_notaction", YES, allow(without="Action", NotAction="iam:*")),
    Row("reference_policies_elements_notaction", NO, allow(without="Action", NotAction="secretsmanager:*")),
    Row(
        "reference_policies_elements_notaction: with Deny",
        NO,
        [*allow(), *deny(without="Action", NotAction="iam:*")],
    ),
    Row("reference_policies_elements_notresource", NO, allow(without="Resource", NotResource=SECRET)),
    Row("reference_policies_elements_notresource", YES, allow(without="Resource", NotResource=KEY)),
    Row(
        "reference_policies_elements_notresource: with Deny",
        NO,
        [*allow(), *deny(without="Resource", NotResource=KEY)],
    ),
    Row("reference_policies_elements: mutually exclusive", UNKNOWN, allow(NotAction="iam:*")),
    Row("reference_policies_elements: mutually exclusive", UNKNOWN, allow(NotResource=KEY)),
    Row("reference_policies_grammar: Action is required", UNKNOWN, allow(without="Action")),
    Row("reference_policies_grammar: Resource is required", UNKNOWN, allow(without="Resource")),
    Row(
        "reference_policies_elements_resource: an ARN has six parts",
        UNKNOWN,
        allow(Resource="arn:aws:secretsmanager:*"),
    ),
    Row("reference_policies_elements_principal: not in identity policies", UNKNOWN, to(ROLE)),
    Row("reference_policies_grammar: an element of the future", UNKNOWN, allow(Expires="2027")),
    Row("reference_policies_grammar: Condition is a map", UNKNOWN, allow(Condition=["StringEquals"])),
    Row("reference_policies_grammar: a denial too", UNKNOWN, [*allow(), *deny(Expires="2027")]),
]

# --- principals

NOT_PRINCIPAL = "reference_policies_elements_notprincipal"


def all_but(*principals: str, effect: str = "Deny") -> dict[str, Any]:
    statements = [statement(effect, NotPrincipal={"AWS": list(principals)})]
    return {"resource": statements}


PRINCIPALS = [
    Row(f"{NOT_PRINCIPAL}: with the account", YES, allow(), policies=all_but(ROLE, ROOT)),
    Row(f"{NOT_PRINCIPAL}: others are denied", NO, allow(), policies=all_but(USER, ROOT)),
    Row(f"{NOT_PRINCIPAL}: without the account it might deny", UNKNOWN, allow(), policies=all_but(ROLE)),
    Row(
        f"{NOT_PRINCIPAL}: a session, its role and account",
        YES,
        allow(),
        policies=all_but(SESSION, ROLE, ROOT),
    ),
    Row(f"{NOT_PRINCIPAL}: a session without its role", UNKNOWN, allow(), policies=all_but(SESSION, ROOT)),
    Row(
        "access_policies_boundaries: NotPrincipal denies those with a boundary",
        NO,
        allow(),
        policies={**all_but(ROLE, ROOT), "boundary": allow()},
    ),
    Row(f"{NOT_PRINCIPAL}: Allow means all others", YES, policies=all_but(USER, effect="Allow")),
    Row(f"{NOT_PRINCIPAL}: Allow does not mean those named", NO, policies=all_but(ROLE, effect="Allow")),
    Row(f"{NOT_PRINCIPAL}: Allow for all but an account", UNKNOWN, policies=all_but(ROOT, effect="Allow")),
    Row(
        "reference_policies_elements_principal: a kind of the future",
        UNKNOWN,
        policies={"resource": allow(Principal={"Robot": "r"})},
    ),
    Row(
        f"{NOT_PRINCIPAL}: a kind of the future",
        UNKNOWN,
        allow(),
        policies={"resource": [statement("Deny", NotPrincipal={"Robot": "r"})]},
    ),
    Row(
        "reference_policies_elements_principal: mutually exclusive",
        UNKNOWN,
        policies={"resource": [statement(Principal="*", NotPrincipal={"AWS": THERE})]},
    ),
]

# --- kinds of policies

EVALUATION = "reference_policies_evaluation-logic"
DENYING = "reference_policies_evaluation-logic_policy-eval-denyallow"
ACROSS = "reference_policies_evaluation-logic-cross-account"
BOUNDARIES = "access_policies_boundaries"

KINDS = [
    Row(f"{EVALUATION}: denied by default", NO),
    *(
        Row(
            f"{DENYING}: an explicit denial in any policy wins ({name})",
            NO,
            identity,
            policies={**given, name: denial},
        )
        for identity, given in [(allow(), {"resource": to(ROLE)})]
        for name, denial in {
            "resource": [*to(ROLE), *deny(Principal="*")],
            "boundary": [*allow(), *deny()],
            "session": [*allow(), *deny()],
            "endpoint": [*allow(Principal="*"), *deny(Principal="*")],
            "organisation": [allow(), [*allow(), *deny()]],
        }.items()
    ),
    Row(f"{DENYING}: in the caller's policies", NO, [*allow(), *deny()], policies={"resource": to(ROLE)}),
    Row(
        f"{DENYING}: for the caller's account",
        NO,
        allow(),
        policies={"resource": deny(Principal={"AWS": ROOT})},
    ),
    Row(f"{EVALUATION}: one account, either is enough", YES, policies={"resource": to(ROLE)}),
    Row(f"{EVALUATION}: the account as principal delegates", NO, policies={"resource": to(ROOT)}),
    Row(f"{ACROSS}: both are needed", YES, allow(), policies={"resource": to(ROLE)}, resource=ELSEWHERE),
    Row(f"{ACROSS}: both are needed", YES, allow(), policies={"resource": to(ROOT)}, resource=ELSEWHERE),
    Row(f"{ACROSS}: both are needed", NO, policies={"resource": to(ROLE)}, resource=ELSEWHERE),
    Row(f"{ACROSS}: both are needed", NO, allow(), resource=ELSEWHERE),
    Row(f"{BOUNDARIES}: it filters", NO, allow(), policies={"boundary": allow(Action="s3:*")}),
    Row(f"{BOUNDARIES}: it grants nothing", NO, policies={"boundary": allow()}),
    Row(
        f"{BOUNDARIES}: it limits what a resource's policy grants to a role",
        NO,
        policies={"boundary": allow(Action="s3:*"), "resource": to(ROLE)},
    ),
    Row(
        f"{BOUNDARIES}: and not what it grants to a user",
        YES,
        policies={"boundary": allow(Action="s3:*"), "resource": to(USER)},
        caller=USER,
    ),
    Row(
        "access_policies#policies_session: it filters",
        NO,
        allow(),
        policies={"session": allow(Action="s3:*")},
    ),
    Row("access_policies#policies_session: it grants nothing", NO, policies={"session": allow()}),
    Row(
        "access_policies#policies_session: it limits what is granted to the role",
        NO,
        policies={"session": allow(Action="s3:*"), "resource": to(ROLE)},
    ),
    Row(
        f"{EVALUATION}: all of the filters", YES, allow(), policies={"session": allow(), "boundary": allow()}
    ),
    Row(
        f"{EVALUATION}: all of the filters",
        NO,
        allow(),
        policies={"session": allow(), "boundary": allow(Action="s3:*")},
    ),
    Row(
        "orgs_manage_policies_scps: every level must allow",
        NO,
        allow(),
        policies={"organisation": [allow(), []]},
    ),
    Row("orgs_manage_policies_scps: they grant nothing", NO, policies={"organisation": [allow()]}),
]

# --- keys

GUIDE = "https://docs.aws.amazon.com/kms/latest/developerguide"
GRANTS = "https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html"
VIA = {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
ENCRYPTION = {
    "kms:EncryptionContext:SecretARN": SECRET,
    "kms:EncryptionContext:SecretVersionId": "v",
    "kms:EncryptionContextKeys": ("SecretARN", "SecretVersionId"),
}
BOTH = {"SecretARN": SECRET, "SecretVersionId": "v"}


def key(source: str, answer: str, identity: list[Statement], *policy: Mapping[str, Any], **more: Any) -> Row:
    """A row about a call to KMS that Secrets Manager makes for the caller."""
    given = {"action": DECRYPT, "resource": KEY, "context": {**VIA, **ENCRYPTION}, **more}
    return Row(source, answer, identity, policies={"resource": list(policy)}, **given)


def granted(answer: str, *operations: str, action: str = DECRYPT, to: str = ROLE, **constraints: Any) -> Row:
    """A row about a grant."""
    grant = {"GrantId": "g", "GranteePrincipal": to, "Operations": operations, "Constraints": constraints}
    return key(GRANTS, answer, [], *statements_of_grants([grant]), action=action)


KEYS = [
    key(f"{GUIDE}/key-policies.html: the key's policy must admit", NO, allow()),
    key(f"{GUIDE}/key-policy-default.html: the account's policies", YES, allow(), *to(ROOT)),
    key(f"{GUIDE}/key-policy-default.html: the account alone gives nothing", NO, [], *to(ROOT)),
    key(f"{GUIDE}/key-policies.html: the caller itself", YES, [], *to(ROLE)),
    key(f"{GUIDE}/key-policies.html", NO, allow(), *to(ROOT, Action="kms:DescribeKey")),
    key(
        f"{GUIDE}/conditions-kms.html#conditions-kms-via-service",
        YES,
        [],
        *to(ROLE, Condition={"StringEquals": VIA}),
    ),
    key(
        f"{GUIDE}/conditions-kms.html#conditions-kms-via-service: another service",
        NO,
        [],
        *to(ROLE, Condition={"StringEquals": {"kms:ViaService": "rds.us-east-1.amazonaws.com"}}),
    ),
    key(
        f"{GUIDE}/conditions-kms.html#conditions-kms-encryption-context",
        NO,
        [],
        *to(ROLE, Condition={"StringEquals": {"kms:EncryptionContext:SecretARN": ELSEWHERE}}),
    ),
    granted(YES, "Decrypt"),
    granted(NO, "Encrypt", "GenerateDataKey", "DescribeKey"),
    granted(NO, "Decrypt", to=f"{ROLE}-other"),
    granted(YES, "Decrypt", EncryptionContextSubset={"SecretARN": SECRET}),
    granted(NO, "Decrypt", EncryptionContextSubset={"SecretARN": ELSEWHERE}),
    granted(YES, "Decrypt", EncryptionContextEquals=BOTH),
    granted(NO, "Decrypt", EncryptionContextEquals={"SecretARN": SECRET}),
    # "the key in each key-value pair is not case sensitive, but the value is case sensitive"
    granted(YES, "Decrypt", EncryptionContextEquals={"secretarn": SECRET, "SECRETVERSIONID": "v"}),
    granted(NO, "Decrypt", EncryptionContextSubset={"SecretVersionId": "V"}),
    # "Encryption context grant constraints are not applied to ... management operations"
    granted(YES, "DescribeKey", action="kms:DescribeKey", EncryptionContextEquals={"SecretARN": ELSEWHERE}),
    # "SourceArn ... can also be applied to the DescribeKey operation", "does not apply to RetireGrant"
    granted(NO, "Decrypt", SourceArn=SECRET),
    granted(NO, "DescribeKey", action="kms:DescribeKey", SourceArn=SECRET),
    granted(YES, "RetireGrant", action="kms:RetireGrant", SourceArn=SECRET),
    granted(UNKNOWN, "Decrypt", Moon="full"),
    key(
        f"{GUIDE}/grants.html: a denial of the key's policy wins",
        NO,
        [],
        *deny(Principal={"AWS": ROLE}),
        *statements_of_grants([{"GrantId": "g", "GranteePrincipal": ROLE, "Operations": ["Decrypt"]}]),
    ),
]


ROWS = [*CONDITIONS, *IN_VARIABLES, *ELEMENTS, *PRINCIPALS, *KINDS, *KEYS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source.rpartition("/")[2])
def test_decisions_are_the_documented_ones(row: Row) -> None:
    assert row.answered() == row.answer


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source.rpartition("/")[2])
def test_an_unknown_condition_permits_no_real_request(row: Row) -> None:
    real = replace(row.call(), known=None)
    try:
        decision = decide_with(row.identity, real, **row.policies)
    except PolicyUnsupported:
        assert row.answer == UNKNOWN
    else:
        assert decision.allowed is (row.answer == YES)
