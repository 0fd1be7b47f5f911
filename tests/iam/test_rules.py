"""Policies that are prepared once decide as if they were read again for each call."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rotators.iam.calls import ApiCall, Context, Keys
from rotators.iam.evaluator import decide_with
from rotators.iam.rules import PreparedPolicy

HERE, THERE = "123456789012", "222222222222"
ROLES = [f"arn:aws:iam::{account}:{name}" for account in (HERE, THERE) for name in ("role/app", "user/ann")]
SECRETS = [f"arn:aws:secretsmanager:us-east-1:{HERE}:secret:{name}-AbCdEf" for name in ("app/a", "web/b")]
KEY = f"arn:aws:kms:us-east-1:{HERE}:key/1"
ACTIONS = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "kms:Decrypt"]

CONDITIONS: list[Any] = [
    {},
    {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    {"StringNotLike": {"aws:PrincipalTag/team": ["sh*", "w?b"]}},
    {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}},
    {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HERE}:role/*"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Null": {"aws:ResourceTag/team": "true"}},
    {"StringMatches": {"aws:ResourceTag/team": "shop"}},
]
PRINCIPALS: list[Any] = [
    "*",
    {"AWS": ROLES[0]},
    {"AWS": [f"arn:aws:iam::{HERE}:root", ROLES[1]]},
    {"AWS": f"arn:aws:sts::{HERE}:assumed-role/app/one"},
    {"Robot": "r"},
]


@st.composite
def statements(draw: Any, *, of_resource: bool = False) -> list[dict[str, Any]]:
    """Statements of a policy."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        action, resource = draw(st.sampled_from(["", "Not"])), draw(st.sampled_from(["", "Not"]))
        statement = {
            "Effect": draw(st.sampled_from(["Allow", "Deny"])),
            f"{action}Action": draw(st.sampled_from(["*", "secretsmanager:Get*", "KMS:decrypt", *ACTIONS])),
            f"{resource}Resource": draw(
                st.sampled_from(["*", *SECRETS, SECRETS[0].replace("app/", "${aws:PrincipalTag/team}*"), KEY])
            ),
            "Condition": draw(st.sampled_from(CONDITIONS)),
        }
        if of_resource:
            name = draw(st.sampled_from(["Principal", "NotPrincipal"]))
            statement[name] = draw(st.sampled_from(PRINCIPALS))
        found.append(statement)
    return found


TAGS = st.sampled_from([{}, {"aws:PrincipalTag/team": "shop"}, {"aws:PrincipalTag/Team": "app"}])
MAYBE = st.none() | statements()


@given(
    people=st.lists(st.tuples(st.sampled_from(ROLES), TAGS, statements(), MAYBE, MAYBE), max_size=3),
    guarded=st.lists(
        st.tuples(st.sampled_from([*SECRETS, KEY]), st.none() | statements(of_resource=True)), max_size=3
    ),
    organisation=st.lists(statements(), max_size=1),
)
def test_shared_policies_decide_as_separate_ones(people: Any, guarded: Any, organisation: Any) -> None:
    """As the matrix of access: each policy, and the keys of callers and requests, serve many pairs."""
    levels = [PreparedPolicy(each) for each in organisation]
    resources = [(arn, None if policy is None else PreparedPolicy(policy)) for arn, policy in guarded]
    request: Context = {"aws:ResourceTag/team": "shop", "aws:TagKeys": ("team", "env")}
    for arn, tags, own, boundary, session in people:
        who = {"aws:PrincipalArn": arn, "aws:PrincipalAccount": arn.split(":")[4], **tags}
        keys = Keys(who).with_others(Keys(request))
        identity = PreparedPolicy.joined([PreparedPolicy(own[:1]), PreparedPolicy(own[1:])])
        bounds = [each if each is None else PreparedPolicy(each) for each in (boundary, session)]
        for (resource, shared), (_, separate) in zip(resources, guarded, strict=True):
            for action in ACTIONS:
                fast = decide_with(
                    identity,
                    ApiCall("me", action, resource, keys, ("aws:PrincipalTag/",)),
                    resource=shared,
                    boundary=bounds[0],
                    session=bounds[1],
                    organisation=levels,
                )
                assert fast == decide_with(
                    own,
                    ApiCall("me", action, resource, {**who, **request}, ("aws:PrincipalTag/",)),
                    resource=separate,
                    boundary=boundary,
                    session=session,
                    organisation=organisation,
                )
