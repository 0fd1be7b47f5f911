"""IAM's decision with policies of resources and endpoints; rotators/iam names the sources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rotators.iam.calls import ApiCall, Context
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.evaluator import decide_with
from rotators.iam.grants import statements_of_grants
from rotators.iam.principals import Match, Principals

HERE, THERE = "123456789012", "222222222222"
ROLE = f"arn:aws:iam::{HERE}:role/app"
SECRET = f"arn:aws:secretsmanager:us-east-1:{HERE}:secret:db-AbCdEf"
ELSEWHERE = SECRET.replace(HERE, THERE)
CONTEXT = {"aws:PrincipalArn": ROLE, "aws:PrincipalAccount": HERE, "aws:SecureTransport": "true"}


def call(resource: str = SECRET, action: str = "secretsmanager:GetSecretValue", **context: str) -> ApiCall:
    changed = {key.replace("__", ":"): value for key, value in context.items()}
    return ApiCall("app", action, resource, {**CONTEXT, **changed})


def allow(principal: Any = None, **changes: Any) -> list[dict[str, Any]]:
    statement = {"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*", **changes}
    return [{**statement, "Principal": principal} if principal is not None else statement]


def relation(principal: Any, to: ApiCall) -> Match:
    return Principals({"Principal": principal}).match(to)[0]


ROOT = {"AWS": f"arn:aws:iam::{HERE}:root"}
ITSELF = {"AWS": ROLE}
PLAIN_DENIED = [
    {
        "Sid": "D",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
]


@pytest.mark.parametrize(
    ("principal", "match"),
    [
        ("*", Match.EVERYBODY),
        ({"AWS": "*"}, Match.EVERYBODY),
        (ITSELF, Match.CALLER),
        ({"AWS": ["arn:aws:iam::1:role/x", ROLE]}, Match.CALLER),
        (ROOT, Match.ACCOUNT),
        ({"AWS": HERE}, Match.ACCOUNT),
        ({"AWS": THERE}, Match.NOBODY),
        ({"AWS": f"{ROLE}-other"}, Match.NOBODY),
        ({"Service": "lambda.amazonaws.com"}, Match.NOBODY),
        ({"Federated": "*"}, Match.NOBODY),
    ],
)
def test_a_principal_matches_its_callers(principal: Any, match: Match) -> None:
    assert relation(principal, call()) is match


@pytest.mark.parametrize("principal", [None, {}, {"CanonicalUser": "x"}])
def test_an_unknown_principal_is_an_error(principal: Any) -> None:
    with pytest.raises(PolicyUnsupported, match="not known"):
        relation(principal, call())


@pytest.mark.parametrize(
    ("identity", "resource", "allowed"),
    [
        ([], None, False),
        (allow(), None, True),
        ([], allow(ITSELF), True),
        ([], allow("*"), True),
        # If an account is the principal, the policies in that account decide.
        ([], allow(ROOT), False),
        (allow(), allow(ROOT), True),
        (allow(), allow({"AWS": THERE}), True),
        (allow(), PLAIN_DENIED, True),
        (allow(Effect="Deny"), allow(ITSELF), False),
    ],
)
def test_in_one_account_either_policy_is_enough(identity: Any, resource: Any, allowed: bool) -> None:
    assert decide_with(identity, call(), resource=resource).allowed is allowed


@pytest.mark.parametrize(
    ("identity", "resource", "allowed"),
    [
        (allow(), None, False),
        ([], allow(ITSELF), False),
        (allow(), allow(ITSELF), True),
        (allow(), allow(ROOT), True),
        (allow(), allow({"AWS": THERE}), False),
    ],
)
def test_across_accounts_both_policies_are_needed(identity: Any, resource: Any, allowed: bool) -> None:
    assert decide_with(identity, call(ELSEWHERE), resource=resource).allowed is allowed


@pytest.mark.parametrize(
    ("action", "resource_arn"),
    [
        ("kms:Decrypt", f"arn:aws:kms:us-east-1:{HERE}:key/1"),
        ("sts:AssumeRole", f"arn:aws:iam::{HERE}:role/target"),
    ],
)
@pytest.mark.parametrize(
    ("identity", "resource", "allowed"),
    [
        (allow(), allow({"AWS": THERE}), False),
        (allow(), allow(ROOT), True),
        ([], allow(ROOT), False),
        ([], allow(ITSELF), True),
    ],
)
def test_keys_and_roles_must_admit_account_or_caller(
    action: str, resource_arn: str, identity: Any, resource: Any, allowed: bool
) -> None:
    assert decide_with(identity, call(resource_arn, action), resource=resource).allowed is allowed


def test_a_denial_in_any_policy_wins() -> None:
    plain = call(aws__SecureTransport="false")
    decision = decide_with(allow(), plain, resource=[*allow(ITSELF), *PLAIN_DENIED])
    assert (decision.allowed, decision.sid) == (False, "D")
    decision = decide_with(allow(), plain, endpoint=[*allow("*"), *PLAIN_DENIED])
    assert (decision.allowed, decision.sid) == (False, "D")


def test_an_endpoint_filters_and_grants_nothing() -> None:
    ours = allow("*", Condition={"StringEquals": {"aws:PrincipalAccount": [HERE]}})
    assert decide_with(allow(), call(), endpoint=ours).allowed
    assert not decide_with([], call(), endpoint=ours).allowed
    assert not decide_with(allow(), call(aws__PrincipalAccount=THERE), endpoint=ours).allowed
    assert not decide_with([], call(), resource=allow(ITSELF), endpoint=[]).allowed


def test_an_identity_provider_token_has_no_account() -> None:
    federated = ApiCall(
        "pod",
        "sts:AssumeRoleWithWebIdentity",
        f"arn:aws:iam::{HERE}:role/pod",
        {"aws:FederatedProvider": "oidc"},
    )
    assert relation({"Federated": "*"}, federated) is Match.CALLER
    assert relation({"AWS": HERE}, federated) is Match.NOBODY


def test_a_session_is_a_condition() -> None:
    session = {"AWS": f"arn:aws:sts::{HERE}:assumed-role/app/one"}
    decision = decide_with([], call(), resource=allow(session), boundary=allow(Action="kms:*"))
    assert (decision.allowed, decision.conditions) == (False, ("the session one",))


def test_a_boundary_perhaps_limits_everybody() -> None:
    open_call = replace(call(), known=())
    boundary = allow(Action="kms:*")
    assert not decide_with([], call(), resource=allow("*"), boundary=boundary).allowed
    decision = decide_with([], open_call, resource=allow("*"), boundary=boundary)
    assert decision.conditions == ("the Principal * is not limited by the permissions boundary",)
    assert decide_with([], open_call, resource=allow("*"), boundary=allow()).allowed


USER = f"arn:aws:iam::{HERE}:user/ann"


@pytest.mark.parametrize(
    ("arn", "identity", "resource", "boundary", "allowed"),
    [
        (ROLE, allow(), None, allow(), True),
        (ROLE, allow(), None, allow(Action="kms:*"), False),
        (ROLE, allow(), None, allow(Effect="Deny"), False),
        (ROLE, [], None, allow(), False),
        # It limits what a resource's policy grants to a role, not to a user (access_policies_boundaries).
        (ROLE, [], allow(ITSELF), allow(Action="kms:*"), False),
        (USER, [], allow({"AWS": USER}), allow(Action="kms:*"), True),
    ],
)
def test_a_boundary_limits_and_grants_nothing(
    arn: str, identity: Any, resource: Any, boundary: Any, allowed: bool
) -> None:
    made = call(aws__PrincipalArn=arn)
    assert decide_with(identity, made, resource=resource, boundary=boundary).allowed is allowed


@pytest.mark.parametrize(
    ("organisation", "allowed"),
    [
        ([allow()], True),
        ([allow(), allow(Action="kms:*")], False),
        ([[*allow(), *allow(Effect="Deny")]], False),
        ([[*allow(Action="kms:*"), *allow(Action="secretsmanager:*")]], True),
        ([[]], False),
    ],
)
def test_every_level_of_scps_must_allow(organisation: Any, allowed: bool) -> None:
    assert decide_with([], call(), resource=allow(ITSELF), organisation=organisation).allowed is allowed


@pytest.mark.parametrize(
    ("principals", "bounded", "denied"),
    [
        ([ROLE, ROOT["AWS"]], False, False),
        ([ROLE, HERE], False, False),
        ([ROOT["AWS"]], False, True),
        ([ROLE], False, True),
        ([f"{ROLE}-other", HERE], False, True),
        ([ROLE, HERE], True, True),
        (["*"], False, False),
    ],
)
def test_not_principal_spares_those_it_names(principals: Any, bounded: bool, denied: bool) -> None:
    """reference_policies_elements_notprincipal; it always denies principals with a boundary."""
    denial = {"Effect": "Deny", "NotPrincipal": {"AWS": principals}, "Action": "*", "Resource": "*"}
    boundary = allow() if bounded else None
    assert decide_with(allow(), call(), resource=[denial], boundary=boundary).allowed is not denied


def test_a_service_needs_the_resources_policy_only() -> None:
    service = ApiCall(
        "s", "secretsmanager:GetSecretValue", SECRET, {"aws:PrincipalServiceName": "redshift.amazonaws.com"}
    )
    admitted = allow({"Service": "redshift.amazonaws.com"})
    assert decide_with([], service, resource=admitted).allowed
    assert not decide_with([], service, resource=allow({"Service": "rds.amazonaws.com"})).allowed


GRANT = {"GrantId": "g", "GranteePrincipal": ROLE, "Operations": ["Decrypt", "DescribeKey"]}
KEY = f"arn:aws:kms:us-east-1:{HERE}:key/1"


@pytest.mark.parametrize(
    ("constraints", "action", "allowed"),
    [
        ({}, "kms:Decrypt", True),
        ({}, "kms:GenerateDataKey", False),
        ({"EncryptionContextSubset": {"SecretARN": SECRET}}, "kms:Decrypt", True),
        ({"EncryptionContextSubset": {"SecretARN": ELSEWHERE}}, "kms:Decrypt", False),
        ({"EncryptionContextEquals": {"SecretARN": SECRET}}, "kms:Decrypt", False),
        ({"EncryptionContextEquals": {"SecretARN": SECRET}}, "kms:DescribeKey", True),
    ],
)
def test_grants_permit_within_their_constraints(constraints: Any, action: str, allowed: bool) -> None:
    """KMS API reference, GrantConstraints."""
    context: Context = {
        **CONTEXT,
        "kms:EncryptionContext:SecretARN": SECRET,
        "kms:EncryptionContextKeys": ("SecretARN", "SecretVersionId"),
    }
    made = ApiCall("app", action, KEY, context)
    statements = statements_of_grants([{**GRANT, "Constraints": constraints}])
    assert decide_with([], made, resource=statements).allowed is allowed
