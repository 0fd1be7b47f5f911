"""The Region in which the examples are deployed, and the actions of the tests in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rotators.local.aws import LocalAws
from tests.examples.checkout import Checkout
from tests.world import World, remembered

# Functions of the other tests are in another Region.
REGION = "eu-central-1"
TOOLS, PROD = "123456789012", "222222222222"
Statements = list[dict[str, Any]]


@dataclass
class Place:
    """The Region in which the examples are deployed.

    Attributes:
        world: the local AWS and the PostgreSQL.
        checkout: the folder in which the commands of the READMEs run.
        policies: the statements of all roles that are enforced, by caller.
    """

    world: World
    checkout: Checkout
    policies: dict[str, Statements] = field(default_factory=dict)
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    @property
    def aws(self) -> LocalAws:
        return self.world.aws

    def client(self, service: str, *, key: str = "local", account: str = TOOLS) -> Any:
        """A client of this Region.

        Args:
            service: boto3's name of the service.
            key: ``local-NAME`` calls as the role NAME; the default is a developer without restrictions.
            account: account of the developer.
        """
        wanted = (service, key, account)
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(*wanted)
        return self._clients[wanted]

    def _new_client(self, service: str, key: str, account: str) -> Any:
        credentials = {"AccessKeyId": key, "SecretAccessKey": "local"}
        if account != TOOLS:
            role = f"arn:aws:iam::{account}:role/people"
            assumed = self.client("sts").assume_role(RoleArn=role, RoleSessionName="people")
            credentials = assumed["Credentials"]
        return self.aws.client(service, region=REGION, credentials=credentials)

    def output(self, stack: str, name: str, account: str = TOOLS) -> str:
        """An output of a stack."""
        found = self.client("cloudformation", account=account).describe_stacks(StackName=stack)["Stacks"][0]
        return str(next(each["OutputValue"] for each in found["Outputs"] if each["OutputKey"] == name))

    def enforce(
        self, stack: str, account: str = TOOLS, endpoints: Mapping[str, Statements] | None = None
    ) -> None:
        """Enforce the roles of a stack from now on, in addition to those already enforced."""
        self.policies |= roles(self, stack, account)
        self.aws.watch(self.policies, endpoints)

    def endpoint_policies(self) -> dict[str, Statements]:
        """The policies of the VPC endpoints, by service."""
        found = self.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        return {
            each["ServiceName"].rpartition(".")[2]: json.loads(each["PolicyDocument"])["Statement"]
            for each in found
            if each["State"] == "available"
        }

    def value(self, arn: str, stage: str = "AWSCURRENT", account: str = TOOLS) -> dict[str, Any]:
        """The value of the version with a stage."""
        secrets = self.client("secretsmanager", account=account)
        found: dict[str, Any] = json.loads(
            secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        )
        for name in ("password", "api_key"):
            if name in found:
                remembered(found[name])
        return found

    def wait_for(self, arn: str, event: str, times: int = 1) -> None:
        """Wait until a secret has `count` events of a kind; a failed rotation ends the wait."""
        failures = ("RotationFailed", "TestRotationFailed")
        ended = self.aws.wait_for_event(arn, event, *failures, times=times)
        assert ended.name not in failures, self.log()

    def log(self) -> str:
        """The log of the rotate functions."""
        logs = self.client("logs")
        groups = logs.describe_log_groups()["logGroups"]
        return "\n".join(
            event["message"]
            for group in groups
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        )


def roles(place: Place, stack: str, account: str) -> dict[str, Statements]:
    """The statements of a stack's roles, by function name, or by the name of the role."""
    iam = place.client("iam", account=account)
    found = place.client("cloudformation", account=account).describe_stack_resources(StackName=stack)
    # moto also lists resources that a condition excludes.
    made = [each for each in found["StackResources"] if "LogicalResourceId" in each]
    functions = {
        each["LogicalResourceId"].removesuffix("Function"): each["PhysicalResourceId"]
        for each in made
        if each["ResourceType"] == "AWS::Lambda::Function"
    }
    policies: dict[str, Statements] = {}
    for each in made:
        if each["ResourceType"] != "AWS::IAM::Role":
            continue
        role = str(each["PhysicalResourceId"])
        inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
        statements = [
            statement
            for name in inline
            for statement in iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"][
                "Statement"
            ]
        ]
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            statements += document["Statement"]
        policies[functions.get(each["LogicalResourceId"].removesuffix("Role"), role)] = statements
    return policies


EVERYTHING = [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]
"""An administrator's policy."""


def caller(account: str, name: str = "somebody") -> dict[str, str]:
    """The IAM context of a call by a role with TLS."""
    return {
        "aws:PrincipalArn": f"arn:aws:iam::{account}:role/{name}",
        "aws:PrincipalAccount": account,
        "aws:SecureTransport": "true",
    }


def secret_of_prod(place: Place) -> str:
    secrets = place.client("secretsmanager", account=PROD)
    return str(secrets.describe_secret(SecretId="rotators/shop/db")["ARN"])


def rotate(place: Place, arn: str, account: str = TOOLS) -> None:
    """Rotate a secret again, and check that this succeeds."""
    outcome = started(place, arn, account)
    assert outcome.ok, place.log()


def started(place: Place, arn: str, account: str) -> Any:
    """Request a rotation; a stuck one is resumed, as in the service. Return the outcome."""
    secrets = place.client("secretsmanager", account=account)
    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    stuck = [version for version, held in stages.items() if held == ["AWSPENDING"]]
    token = stuck[0] if stuck else str(uuid.uuid4())
    secrets.rotate_secret(SecretId=arn, ClientRequestToken=token)
    return place.aws.wait_for_rotation(arn, token)


def with_roles(place: Place, more: dict[str, Statements]) -> None:
    """Enforce the policies of other roles, in addition to those of the stacks."""
    place.policies |= more
    place.aws.watch(place.policies)


def document(text: str) -> Statements:
    statements: Statements = json.loads(text)["Statement"]
    return statements


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
