"""Roles and users of the local AWS for tests about access."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from rotators.aws import clients
from tests.cli.command import command
from tests.world import unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

ACCOUNT = "123456789012"
Statement = dict[str, Any]

READ = ["secretsmanager:GetSecretValue", "kms:Decrypt"]


def policy(*statements: Statement) -> str:
    """A policy as JSON text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, **more: Any) -> Statement:
    """A statement that allows actions on everything, with other elements."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def deny(*actions: str, **more: Any) -> Statement:
    """A statement that denies actions."""
    return {**allow(*actions, **more), "Effect": "Deny"}


@dataclass
class Identities:
    """Roles and users, by names that are unique in the run."""

    aws: LocalAws
    statements: dict[str, list[Statement]] = field(default_factory=dict)

    @property
    def iam(self) -> Any:
        return self.aws.client("iam")

    def role(self, *statements: Statement, tags: dict[str, str] | None = None, **more: Any) -> str:
        """Create a role with an inline policy, and return its name."""
        name = unique("role")
        listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        trust = policy({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"})
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=listed, **more)
        self.give(name, *statements)
        return name

    def give(self, role: str, *statements: Statement) -> None:
        """Replace the inline policy of a role."""
        self.statements[role] = list(statements)
        if statements:
            document = policy(*statements)
            self.iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=document)

    def managed(self, *statements: Statement) -> str:
        """Create a managed policy, and return its ARN."""
        created = self.iam.create_policy(PolicyName=unique("policy"), PolicyDocument=policy(*statements))
        return str(created["Policy"]["Arn"])

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Let the local AWS refuse what the policies do not allow."""
        self.aws.watch(self.statements)
        try:
            yield
        finally:
            self.aws.watch(None)

    @contextmanager
    def acting(self, *statements: Statement) -> Iterator[str]:
        """Run the commands as a new role with these permissions; yield its name."""
        role = self.role(*statements)
        with pytest.MonkeyPatch.context() as patch, self.enforced():
            patch.setenv("AWS_ACCESS_KEY_ID", f"local-{role}")
            clients._client.cache_clear()  # a client keeps its credentials
            try:
                yield role
            finally:
                clients._client.cache_clear()

    def client(self, role: str, service: str = "secretsmanager") -> Any:
        """A client that calls as a role."""
        key = {"AccessKeyId": f"local-{role}", "SecretAccessKey": "x", "SessionToken": "x"}
        return self.aws.client(service, credentials=key)

    def delete(self) -> None:
        """Delete the roles, so that other tests do not list them."""
        for name in self.statements:
            for inline in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
                self.iam.delete_role_policy(RoleName=name, PolicyName=inline)
            for each in self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
                self.iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
            self.iam.delete_role(RoleName=name)


def forget(secrets: Any, prefix: str) -> None:
    """Delete the secrets whose names begin so, because other tests look at all secrets with a policy."""
    listed = secrets.list_secrets(Filters=[{"Key": "name", "Values": [prefix]}])["SecretList"]
    for each in listed:
        secrets.delete_secret(SecretId=each["ARN"], ForceDeleteWithoutRecovery=True)


def arn(role: str) -> str:
    """The ARN of a role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


def told(*arguments: str, status: int = 0) -> Any:
    """The JSON document of `rotators access`."""
    done = command("access", *arguments, "--json")
    assert done.status == status, done.text
    return json.loads(done.stdout)


def answers(secret: str, principal: str, *more: str) -> Sequence[str]:
    """Return whether a principal can read, write and rotate a secret."""
    found = {each["principal"]: each for each in told(secret, *more)["principals"]}[principal]
    return [found[name]["access"] for name in ("read", "write", "rotate")]
