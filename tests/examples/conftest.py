"""One Region of the local AWS for all examples, in which their READMEs are followed."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from psycopg import sql

from rotators.local.aws import LocalAws
from rotators.local.postgres import PostgresServer, find_binaries
from rotators.local.translation import translated
from tests.examples.checkout import ROOT, Checkout, Shell
from tests.world import World, remembered

# Functions of the other tests are in another Region.
REGION = "eu-central-1"
TOOLS, PROD = "123456789012", "222222222222"
Statements = list[dict[str, Any]]


@dataclass
class Place:
    """Where the examples are deployed.

    Attributes:
        world: the local AWS and the PostgreSQL.
        checkout: where the commands of the READMEs run.
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
            service: boto3's name of it.
            key: ``local-NAME`` calls as the role NAME; the default is a developer, whom nothing restricts.
            account: of the developer.
        """
        wanted = (service, key, account)
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(*wanted)
        return self._clients[wanted]

    def _new_client(self, service: str, key: str, account: str) -> Any:
        keys = {"aws_access_key_id": key, "aws_secret_access_key": "local"}
        if account != TOOLS:
            role = f"arn:aws:iam::{account}:role/people"
            found = self.client("sts").assume_role(RoleArn=role, RoleSessionName="people")["Credentials"]
            keys = {
                "aws_access_key_id": found["AccessKeyId"],
                "aws_secret_access_key": found["SecretAccessKey"],
                "aws_session_token": found["SessionToken"],
            }
        return boto3.session.Session().client(  # type: ignore[call-overload]  # any service
            service, endpoint_url=self.aws.endpoint, region_name=REGION, config=Config(proxies={}), **keys
        )

    def output(self, stack: str, name: str, account: str = TOOLS) -> str:
        """An output of a stack."""
        found = self.client("cloudformation", account=account).describe_stacks(StackName=stack)["Stacks"][0]
        return str(next(each["OutputValue"] for each in found["Outputs"] if each["OutputKey"] == name))

    def enforce(
        self, stack: str, account: str = TOOLS, endpoints: Mapping[str, Statements] | None = None
    ) -> None:
        """From now on, let the roles of a stack decide, beside those that did already."""
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
        """The value that carries a stage."""
        secrets = self.client("secretsmanager", account=account)
        found: dict[str, Any] = json.loads(
            secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        )
        for name in ("password", "api_key"):
            if name in found:
                remembered(found[name])
        return found

    def wait_for(self, arn: str, event: str, times: int = 1) -> None:
        """Wait until an event of a secret came so often; a failed rotation ends the wait."""
        for _ in itertools.count():
            events = [each.name for each in self.aws.service_events(arn)]
            assert not [name for name in events if name.endswith("Failed")], self.log()
            if events.count(event) >= times:
                return
            time.sleep(0.02)

    def log(self) -> str:
        """What the rotate functions printed."""
        logs = self.client("logs")
        groups = logs.describe_log_groups()["logGroups"]
        return "\n".join(
            event["message"]
            for group in groups
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        )


def roles(place: Place, stack: str, account: str) -> dict[str, Statements]:
    """The statements of a stack's roles: by function name, or by the role's own name."""
    iam = place.client("iam", account=account)
    found = place.client("cloudformation", account=account).describe_stack_resources(StackName=stack)
    # moto lists what a condition left out, too.
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


@pytest.fixture(scope="module")
def place(aws: LocalAws, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The Region, with nothing deployed; clusters lead to the private PostgreSQL."""
    folder = tmp_path_factory.mktemp("checkout")
    world = World(aws, server)
    template = translated(ROOT / "template.yaml", REGION, _code(aws))
    path = folder / ".template.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    functions = [
        each["Properties"]["FunctionName"]["Fn::Sub"].rpartition("-")[2]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::Function"
    ]
    checkout = Checkout(
        folder,
        _environment(aws, folder),
        template=path,
        authority=str(server.ca),
        functions=functions,
        more_path=[] if shutil.which("psql") else [find_binaries().directory],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "database", lambda given: _database(world, given))
        yield Place(world, checkout)
        aws.watch(None)
    with world.login(world.admin()) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        for name in ("shop_clone", "shop", "dbadmin"):
            if world.exists(name):
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _environment(aws: LocalAws, folder: Path) -> dict[str, str]:
    """The variables for the commands; two profiles are two accounts."""
    found = aws.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{PROD}:role/people", RoleSessionName="people"
    )["Credentials"]
    credentials = folder / ".credentials"
    credentials.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = local\naws_secret_access_key = local\n"
            for name in ("default", "tools")
        )
        + f"[prod]\naws_access_key_id = {found['AccessKeyId']}\n"
        f"aws_secret_access_key = {found['SecretAccessKey']}\naws_session_token = {found['SessionToken']}\n",
        encoding="utf-8",
    )
    exports = {**aws.exports(), "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    del exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
    return {
        **exports,
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_PAGER": "",
    }


def _code(aws: LocalAws) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    storage = aws.client("s3")
    storage.create_bucket(Bucket="examples")
    storage.put_object(Bucket="examples", Key="code", Body=buffer.getvalue())
    return "s3://examples/code"


def _database(world: World, given: Mapping[str, Any]) -> tuple[str, int]:
    """What Aurora makes: the admin, who is no superuser, and the database, which is the admin's."""
    admin, password = str(given["master_username"]), remembered(str(given["master_user_password"]))
    world.create_user(admin, password, options="CREATEROLE CREATEDB")
    with world.login(world.admin()) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(given["database_name"]), sql.Identifier(admin)
            )
        )
    return world.server.host, world.server.port


@pytest.fixture(scope="module")
def shop(place: Place) -> Iterator[Shell]:
    """examples/aurora-postgres, followed up to the second rotation with the roles enforced."""
    place.client("iam").create_role(RoleName="shop", AssumeRolePolicyDocument=json.dumps(_TRUST))
    with place.checkout.shell("aurora-postgres") as shell:
        shell.run("1. Cluster")
        shell.run("2. The stack of rotators")
        place.enforce("rotators")
        shell.run("3. The application's user")
        shell.run("4. Rotation", 0)
        arn = place.output("shop-db", "SecretArn")
        place.wait_for(arn, "RotationSucceeded")
        shell.run("4. Rotation", 1)
        place.wait_for(arn, "RotationSucceeded", 2)
        shell.run("5. The application")
        yield shell


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
