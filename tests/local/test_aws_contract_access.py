"""Answers of the local AWS about callers and policies, with their sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from tests.world import unique

ROLE = "arn:aws:iam::123456789012:role/author"
DENY = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
PUBLIC = {**DENY, "Effect": "Allow"}


@pytest.fixture
def arn(aws: LocalAws) -> Iterator[str]:
    """A secret."""
    secrets = aws.client("secretsmanager")
    made = secrets.create_secret(Name=unique("validated"), SecretString="x")["ARN"]
    yield made
    secrets.delete_secret(SecretId=made, ForceDeleteWithoutRecovery=True)


def author(aws: LocalAws, service: str) -> Any:
    """A client of the role author."""
    key = {"AccessKeyId": "local-author", "SecretAccessKey": "x", "SessionToken": "x"}
    return aws.client(service, credentials=key)


def checks(aws: LocalAws, arn: str, statement: dict[str, Any], **document: Any) -> list[str]:
    """Names of the checks that a policy does not pass."""
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement], **document})
    answer = author(aws, "secretsmanager").validate_resource_policy(SecretId=arn, ResourcePolicy=text)
    assert answer["PolicyValidationPassed"] is not bool(answer["ValidationErrors"])
    return [each["CheckName"] for each in answer["ValidationErrors"]]


@pytest.mark.parametrize(
    ("statement", "locked_out"),
    [
        (DENY, True),
        ({**DENY, "Principal": {"AWS": ROLE}}, True),
        ({**DENY, "Principal": {"AWS": "123456789012"}}, True),
        ({**DENY, "Principal": {"AWS": f"{ROLE}-other"}}, False),
        ({**DENY, "Action": "secretsmanager:GetSecretValue"}, False),
        ({**DENY, "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ROLE}}}, False),
        ({**DENY, "Condition": {"ArnNotEquals": {"aws:PrincipalArn": f"{ROLE}-other"}}}, True),
        ({**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False),
    ],
)
def test_a_policy_must_not_lock_out_the_caller(
    aws: LocalAws, arn: str, statement: dict[str, Any], locked_out: bool
) -> None:
    """API:ValidateResourcePolicy: it verifies that the policy does not lock out a caller."""
    assert checks(aws, arn, statement) == (["POLICY_LOCKOUT"] if locked_out else [])


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        ({}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}, True),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:SourceVpce": ["vpce-1"]}}, False),
    ],
)
def test_a_condition_must_limit_the_callers(
    aws: LocalAws, arn: str, condition: dict[str, Any], public: bool
) -> None:
    """API:ValidateResourcePolicy; S3 API reference, PublicAccessBlockConfiguration, for what limits."""
    found = checks(aws, arn, {**PUBLIC, "Condition": condition})
    assert found == (["BLOCK_PUBLIC_POLICY"] if public else [])


@pytest.mark.parametrize(
    "statement",
    [
        {**DENY, "Expires": "2026"},
        {**DENY, "NotAction": "kms:*"},
        {key: value for key, value in DENY.items() if key != "Resource"},
        {**DENY, "Principal": {"Everybody": "*"}},
        {**DENY, "Action": "GetSecretValue"},
        {**DENY, "Condition": {"StringMatches": {"aws:SourceIp": "10.*"}}},
        {**DENY, "Condition": ["x"]},
    ],
)
def test_the_syntax_is_checked(aws: LocalAws, arn: str, statement: dict[str, Any]) -> None:
    """IAM User Guide, reference_policies_grammar."""
    assert checks(aws, arn, statement) == ["POLICY_SYNTAX"]


def test_an_unknown_version_is_refused(aws: LocalAws, arn: str) -> None:
    """IAM User Guide, reference_policies_elements_version."""
    assert checks(aws, arn, DENY, Version="2026-01-01") == ["POLICY_SYNTAX"]


def test_sts_names_the_session_of_a_role(aws: LocalAws) -> None:
    """API:GetCallerIdentity."""
    answer = author(aws, "sts").get_caller_identity()
    assert answer["Arn"] == "arn:aws:sts::123456789012:assumed-role/author/author"
    assert answer["Account"] == "123456789012"
    assert aws.client("sts").get_caller_identity()["Arn"].endswith(":user/developer")


def test_account_details_come_in_pages(aws: LocalAws) -> None:
    """IAM API reference, GetAccountAuthorizationDetails: MaxItems, Marker, IsTruncated."""
    iam, name = aws.client("iam"), unique("paged")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    iam.create_user(UserName=name)
    found: list[str] = []
    request: dict[str, Any] = {"MaxItems": 1}
    while True:
        page = iam.get_account_authorization_details(**request)
        items = [
            each["Arn"]
            for kind in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
            for each in page[kind]
        ]
        assert len(items) == 1
        found += items
        if not page["IsTruncated"]:
            break
        request["Marker"] = page["Marker"]
    iam.delete_user(UserName=name)
    assert len(found) == len(set(found))
    assert {made, f"arn:aws:iam::123456789012:user/{name}"} <= set(found)
