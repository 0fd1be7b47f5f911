"""The answers of `rotators access` are the decisions of the local AWS, for generated policies.

The local AWS decides about real requests, whose context is complete. If the command's answer is yes or no, it
applies to every request; if access is conditional, both results are possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotators.local.aws import LocalAws
from rotators.manage.access import access_to
from rotators.manage.guards import Guards
from rotators.manage.inventory import described
from rotators.manage.principals import read_account
from tests.manage.principals import ACCOUNT, Identities, arn, policy
from tests.world import unique

TOKEN = "11111111-1111-4111-8111-111111111111"


@dataclass
class Place:
    """A secret with its key, and a role with a tag.

    Attributes:
        identities: the role.
        secret: ARN of the secret.
        key: ARN of its key.
        role: name of the role.
        boundary: ARN of a managed policy.
        seen: how often each answer was given.
    """

    identities: Identities
    secret: str
    key: str
    role: str
    boundary: str
    seen: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def place(aws: LocalAws) -> Iterator[Place]:
    """The place of all examples. Afterwards, each answer must have been given."""
    identities = Identities(aws)
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    tags = [{"Key": "team", "Value": "shop"}]
    secret = aws.client("secretsmanager").create_secret(
        Name=unique("agrees"), SecretString="x", ClientRequestToken=TOKEN, KmsKeyId=key, Tags=tags
    )["ARN"]
    role = identities.role(tags={"team": "shop"})
    boundary = identities.managed(
        {"Effect": "Allow", "NotAction": "secretsmanager:PutSecretValue", "Resource": "*"}
    )
    made = Place(identities, secret, key, role, boundary)
    yield made
    identities.delete()
    aws.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    assert {name.partition(" ")[2] for name in made.seen} == {"yes", "no", "conditional"}, made.seen


ACTIONS = [
    "*",
    "secretsmanager:*",
    "secretsmanager:GetSecretValue",
    "secretsmanager:*Secret*",
    "secretsmanager:RotateSecret",
    "kms:*",
    "kms:Decrypt",
]
CONDITIONS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    {"StringEquals": {"secretsmanager:ResourceTag/team": ["web", "shop"]}},
    {"StringNotEquals": {"aws:PrincipalTag/team": "shop"}},
    {"StringEqualsIfExists": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}},
    {"StringLike": {"kms:EncryptionContext:SecretARN": "arn:aws:secretsmanager:*:*:secret:agrees*"}},
    {"Null": {"aws:PrincipalTag/env": "true"}},
    {"Bool": {"aws:SecureTransport": "false"}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/role_*"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}},
    {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "SecretARN"}},
]
RESOURCES = ["*", "arn:aws:secretsmanager:*:*:secret:agrees*", "arn:aws:kms:*:*:key/*"]


def statements(*, of_resource: bool = False) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Statements of a policy."""

    def made(draw: Callable[..., Any]) -> dict[str, Any]:
        statement = {
            "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
            draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(st.sampled_from(ACTIONS)),
            draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(st.sampled_from(RESOURCES)),
        }
        if condition := draw(st.sampled_from(CONDITIONS)):
            statement["Condition"] = condition
        if of_resource:
            denies = statement["Effect"] == "Deny"
            name = draw(st.sampled_from(["Principal", "NotPrincipal"])) if denies else "Principal"
            statement[name] = draw(st.sampled_from(PRINCIPALS))
        return statement

    return st.lists(st.composite(made)(), max_size=3)


ROLE = "ROLE"
PRINCIPALS: list[Any] = [
    "*",
    {"AWS": ROLE},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    {"AWS": [ROLE, ACCOUNT]},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:role/another"},
    {"Service": "lambda.amazonaws.com"},
]
DELEGATING = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}


def allowed(call: Callable[[], object]) -> bool:
    """Whether IAM lets a call pass; another refusal counts as yes."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" not in error.response["Error"]["Code"]
    return True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    own=statements(),
    of_secret=statements(of_resource=True),
    of_key=st.one_of(
        st.just([DELEGATING]), statements(of_resource=True).map(lambda found: [DELEGATING, *found])
    ),
    bounded=st.booleans(),
)
def test_the_command_describes_what_happens(
    place: Place, own: Any, of_secret: Any, of_key: Any, bounded: bool
) -> None:
    attach(place, own, of_secret, of_key, bounded=bounded)
    principal = read_account().find(f"role/{place.role}")
    found = access_to(Guards().of(described(place.secret)), principal).verdicts
    secrets, same = place.identities.client(place.role), {"SecretString": "x", "ClientRequestToken": TOKEN}
    with place.identities.enforced():
        able = {
            "read": allowed(lambda: secrets.get_secret_value(SecretId=place.secret)),
            "write": allowed(lambda: secrets.put_secret_value(SecretId=place.secret, **same))
            or allowed(lambda: secrets.update_secret(SecretId=place.secret, **same)),
            "rotate": allowed(lambda: secrets.rotate_secret(SecretId=place.secret)),
        }
    for name, verdict in found.items():
        place.seen[f"{name} {verdict.answer}"] += 1
        if verdict.answer != "conditional":
            assert able[name] is (verdict.answer == "yes"), (name, verdict)


def attach(place: Place, own: Any, of_secret: Any, of_key: Any, *, bounded: bool) -> None:
    """Replace all policies."""
    aws, iam = place.identities.aws, place.identities.iam
    if own:
        place.identities.give(place.role, *own)
    else:
        place.identities.give(place.role)
        for name in iam.list_role_policies(RoleName=place.role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=place.role, PolicyName=name)
    if bounded:
        iam.put_role_permissions_boundary(RoleName=place.role, PermissionsBoundary=place.boundary)
    else:
        iam.delete_role_permissions_boundary(RoleName=place.role)
    secrets, kms = aws.client("secretsmanager"), aws.client("kms")
    text = policy(*of_secret).replace(ROLE, arn(place.role))
    if of_secret:
        secrets.put_resource_policy(SecretId=place.secret, ResourcePolicy=text)
    else:
        secrets.delete_resource_policy(SecretId=place.secret)
    document = policy(DELEGATING, *of_key).replace(ROLE, arn(place.role))
    kms.put_key_policy(KeyId=place.key, PolicyName="default", Policy=document)
