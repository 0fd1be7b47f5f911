"""The permissions by the policies of a session, and its source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.world import unique

ROLE = "arn:aws:iam::123456789012:role/session-reader"


def allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


READ = allow("secretsmanager:GetSecretValue")


@pytest.fixture
def session(aws: LocalAws, secrets: Any) -> Iterator[Callable[..., bool]]:
    """Tells whether a session of a role that may read, with session policies, can read a secret."""
    arn = secrets.create_secret(Name=unique("session"), SecretString="x")["ARN"]
    aws.watch({"session-reader": [READ]})

    def reads(**policies: Any) -> bool:
        keys = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="one", **policies)["Credentials"]
        client = aws.client("secretsmanager", credentials=keys)
        return bool(client.get_secret_value(SecretId=arn)["SecretString"] == "x")

    yield reads
    aws.watch(None)
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def managed(aws: LocalAws, *statements: dict[str, Any]) -> dict[str, str]:
    """A managed policy, as a parameter of AssumeRole names it."""
    created = aws.client("iam").create_policy(PolicyName=unique("p"), PolicyDocument=document(*statements))
    return {"arn": created["Policy"]["Arn"]}


def test_the_session_policy_limits_the_role(session: Callable[..., bool]) -> None:
    """API:AssumeRole, Policy: the session has what both the role's policies and the session policy allow."""
    assert session()
    assert session(Policy=document(READ))
    with pytest.raises(ClientError, match="not authorized"):
        session(Policy=document(allow("s3:*")))


def test_managed_session_policies_limit_the_role(aws: LocalAws, session: Callable[..., bool]) -> None:
    """API:AssumeRole, PolicyArns: one of all session policies must allow the call, and none deny it."""
    reads, writes = managed(aws, READ), managed(aws, allow("s3:*"))
    assert session(PolicyArns=[writes, reads])
    assert session(PolicyArns=[reads], Policy=document(allow("s3:*")))
    denies = {**READ, "Effect": "Deny"}
    for refused in (
        {"PolicyArns": [writes]},
        {"PolicyArns": [reads, managed(aws, denies)]},
        {"PolicyArns": [reads], "Policy": document(denies)},
    ):
        with pytest.raises(ClientError, match="not authorized"):
            session(**refused)


def test_a_deleted_session_policy_permits_nothing(aws: LocalAws, session: Callable[..., bool]) -> None:
    reads = managed(aws, READ)
    keys = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="one", PolicyArns=[reads])
    aws.client("iam").delete_policy(PolicyArn=reads["arn"])
    client = aws.client("secretsmanager", credentials=keys["Credentials"])
    with pytest.raises(ClientError, match="not authorized"):
        client.get_secret_value(SecretId="any")
    with pytest.raises(ClientError, match="does not exist"):
        session(PolicyArns=[reads])


def test_a_session_has_at_most_ten_managed_policies(aws: LocalAws, session: Callable[..., bool]) -> None:
    """API:AssumeRole, PolicyArns: up to ten."""
    reads = managed(aws, READ)
    assert session(PolicyArns=[reads] * 10)
    with pytest.raises(ClientError, match="less than or equal to 10"):
        session(PolicyArns=[reads] * 11)


def test_an_unknown_policy_is_explained(session: Callable[..., bool]) -> None:
    """An element that the evaluator does not support is an error that names it, and not a lost connection."""
    with pytest.raises(ClientError, match="the element Principal, which is not known") as caught:
        session(Policy=document({**READ, "Principal": "*"}))
    assert caught.value.response["Error"]["Code"] == "PolicyUnsupportedException"


def test_an_unknown_policy_of_a_secret_is_explained(aws: LocalAws, secrets: Any) -> None:
    arn = secrets.create_secret(Name=unique("shared"), SecretString="x")["ARN"]
    elsewhere = "arn:aws:iam::222222222222:role/people"
    keys = aws.client("sts").assume_role(RoleArn=elsewhere, RoleSessionName="one")["Credentials"]
    statement = {
        **READ,
        "Principal": {"AWS": elsewhere},
        "Condition": {"IpAddress": {"aws:SourceIp": "home"}},
    }
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=document(statement))
    with pytest.raises(ClientError, match="a value that is not known"):
        aws.client("secretsmanager", credentials=keys).get_secret_value(SecretId=arn)
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
