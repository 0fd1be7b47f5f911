"""The examples, deployed with the commands of their READMEs, with roles and resource policies enforced.

One module, because the examples share the stack of rotators: each README changes its parameters, as a user
would. The tests run in the order of this file; the last one removes everything.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.iam.calls import ApiCall
from rotators.iam.evaluator import decide_with
from tests.examples.checkout import Shell
from tests.examples.place import (
    EVERYTHING,
    PROD,
    REGION,
    TOOLS,
    Place,
    caller,
    document,
    listed,
    rotate,
    secret_of_prod,
    started,
    with_roles,
)

pytestmark = pytest.mark.processes

STRANGER = "333333333333"


# --- aurora-postgres


def test_aurora_both_users_log_in_after_two_rotations(place: Place, shop: Shell) -> None:
    arn = place.output("shop-db", "SecretArn")
    current, previous = place.value(arn), place.value(arn, "AWSPREVIOUS")
    assert {current["username"], previous["username"]} == {"shop", "shop_clone"}
    assert place.world.logs_in(current)
    assert place.world.logs_in(previous)


def test_aurora_the_admin_rotates_itself(place: Place, shop: Shell) -> None:
    arn = place.output("shop-db", "AdminSecretArn")
    before = place.value(arn)
    rotate(place, arn)
    assert place.world.logs_in(place.value(arn))
    assert not place.world.logs_in(before)


def test_aurora_no_rotation_failed_on_the_way(place: Place, shop: Shell) -> None:
    for name in ("SecretArn", "AdminSecretArn"):
        events = place.aws.service_events(place.output("shop-db", name))
        assert not [event.name for event in events if "Failed" in event.name or "Abandoned" in event.name]


def test_aurora_an_unlisted_key_denies_the_function(place: Place, shop: Shell) -> None:
    """The other stack must name the template's own key."""
    key = place.output("shop-db", "KeyArn")
    others = [
        {**each, "Resource": [arn for arn in listed(each["Resource"]) if arn != key]}
        for each in place.policies["rotators-rotate"]
    ]
    decrypt = ApiCall(
        "rotators-rotate",
        "kms:Decrypt",
        key,
        {
            **caller(TOOLS),
            "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com",
            "kms:EncryptionContext:SecretARN": place.output("shop-db", "SecretArn"),
        },
    )
    root = document(place.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert decide_with(place.policies["rotators-rotate"], decrypt, resource=root).allowed
    assert not decide_with(others, decrypt, resource=root).allowed


def test_aurora_the_application_role_reads_its_secret(place: Place, shop: Shell) -> None:
    with_roles(place, {"shop": [], "other": []})
    arn = place.output("shop-db", "SecretArn")
    application = place.client("secretsmanager", key="local-shop")
    assert json.loads(application.get_secret_value(SecretId=arn)["SecretString"])["username"]


@pytest.mark.parametrize(
    ("key", "secret", "operation"),
    [
        ("local-other", "SecretArn", "get_secret_value"),
        ("local-shop", "AdminSecretArn", "get_secret_value"),
        ("local-shop", "SecretArn", "delete_secret"),
    ],
)
def test_aurora_the_application_role_only_reads_its_secret(
    place: Place, shop: Shell, key: str, secret: str, operation: str
) -> None:
    with_roles(place, {"shop": [], "other": []})
    client = place.client("secretsmanager", key=key)
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(client, operation)(SecretId=place.output("shop-db", secret))


@pytest.mark.parametrize("stack", ["shop-db", "acme-api"])
def test_secrets_are_closed_to_requests_without_tls(
    place: Place, shop: Shell, acme: dict[str, Any], stack: str
) -> None:
    arn = place.output(stack, "SecretArn")
    policy = document(place.client("secretsmanager").get_resource_policy(SecretId=arn)["ResourcePolicy"])
    for secure, allowed in (("true", True), ("false", False)):
        context = {**caller(TOOLS, "shop"), "aws:SecureTransport": secure}
        call = ApiCall("shop", "secretsmanager:GetSecretValue", arn, context)
        assert decide_with(EVERYTHING, call, resource=policy).allowed is allowed


# --- third-party-rotator


def accepted(value: dict[str, Any]) -> bool:
    """True if the service accepts a key."""
    connection = HTTPConnection(value["host"], value["port"])
    headers = {"X-User": value["username"], "Authorization": f"Bearer {value['api_key']}"}
    connection.request("GET", "/whoami", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status == 200


def test_third_party_both_keys_work_after_two_rotations(place: Place, acme: dict[str, Any]) -> None:
    arn = place.output("acme-api", "SecretArn")
    assert accepted(place.value(arn))
    assert accepted(place.value(arn, "AWSPREVIOUS"))
    assert not accepted(acme)


# --- private-subnets


def test_every_client_of_the_vpc_reaches_the_endpoints(place: Place, endpoints: Shell) -> None:
    ec2 = place.client("ec2")
    found = [each for each in ec2.describe_vpc_endpoints()["VpcEndpoints"] if each["State"] == "available"]
    assert {each["ServiceName"].rpartition(".")[2] for each in found} == {"secretsmanager", "rds", "sts"}
    groups = {group["GroupId"] for each in found for group in each["Groups"]}
    (group,) = ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    (vpc,) = ec2.describe_vpcs(VpcIds=[group["VpcId"]])["Vpcs"]
    admitted = {
        (rule["FromPort"], rule["ToPort"], each["CidrIp"])
        for rule in group["IpPermissions"]
        for each in rule["IpRanges"]
    }
    assert admitted == {(443, 443, vpc["CidrBlock"])}


SECRET = f"arn:aws:secretsmanager:{REGION}:{TOOLS}:secret:rotators/shop/db-AbCdEf"
SECRET_OF_PROD = SECRET.replace(TOOLS, PROD)
ROLE_OF_PROD = f"arn:aws:iam::{PROD}:role/rotators-target"
TOKEN = {"aws:FederatedProvider": "oidc", "aws:SecureTransport": "true"}


@pytest.mark.parametrize(
    ("action", "resource", "context", "passes"),
    [
        # The application in the same VPC, the function, and the role that the function assumes.
        ("secretsmanager:GetSecretValue", SECRET, caller(TOOLS, "shop"), True),
        ("secretsmanager:PutSecretValue", SECRET, caller(TOOLS, "rotators-rotate"), True),
        ("secretsmanager:PutSecretValue", SECRET_OF_PROD, caller(PROD, "rotators-target"), True),
        ("secretsmanager:ListSecrets", "*", caller(TOOLS), True),
        ("secretsmanager:PutSecretValue", SECRET.replace(TOOLS, STRANGER), caller(STRANGER), False),
        ("sts:AssumeRole", ROLE_OF_PROD, caller(TOOLS, "rotators-rotate"), True),
        ("sts:GetCallerIdentity", "*", caller(TOOLS), True),
        ("sts:AssumeRole", ROLE_OF_PROD, caller(STRANGER), False),
        (
            "sts:AssumeRoleWithWebIdentity",
            f"arn:aws:iam::{TOOLS}:role/pod",
            {**TOKEN, "aws:ResourceAccount": TOOLS},
            True,
        ),
        (
            "sts:AssumeRoleWithWebIdentity",
            f"arn:aws:iam::{STRANGER}:role/pod",
            {**TOKEN, "aws:ResourceAccount": STRANGER},
            False,
        ),
        ("rds:DescribeDBClusters", f"arn:aws:rds:{REGION}:{TOOLS}:cluster:shop", caller(TOOLS), True),
        ("rds:DescribeDBClusters", f"arn:aws:rds:{REGION}:{PROD}:cluster:shop", caller(PROD), True),
        ("rds:DescribeDBClusters", f"arn:aws:rds:{REGION}:{STRANGER}:cluster:x", caller(STRANGER), False),
    ],
)
def test_endpoints_admit_principals_of_our_accounts_only(
    place: Place, endpoints: Shell, action: str, resource: str, context: dict[str, str], passes: bool
) -> None:
    policy = place.endpoint_policies()[action.partition(":")[0]]
    # The owner of another account's resource would also have to allow it; this checks only the endpoint.
    owner = [{**EVERYTHING[0], "Principal": "*"}]
    call = ApiCall("somebody", action, resource, context)
    assert decide_with(EVERYTHING, call, resource=owner, endpoint=policy).allowed is passes


# --- cross-account


def test_cross_account_two_rotations_pass_the_endpoints(place: Place, across: Shell) -> None:
    arn = secret_of_prod(place)
    first = place.value(arn, account=PROD)
    assert place.world.logs_in(first)
    rotate(place, arn, PROD)
    assert place.world.logs_in(place.value(arn, account=PROD))
    assert not place.world.logs_in(first)
    callers = {seen.call.principal for seen in place.aws.seen()}
    assert {"rotators-prod-rotate", "rotators-target"} <= callers


def test_cross_account_a_one_account_endpoint_stops_rotation(place: Place, across: Shell) -> None:
    """The policy permits only the account of the endpoint."""
    arn = secret_of_prod(place)
    value = place.value(arn, account=PROD)
    narrow = {
        "secretsmanager": [
            {
                "Sid": "OneAccount",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "secretsmanager:*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": TOOLS}},
            }
        ]
    }
    place.aws.watch(place.policies, narrow)
    outcome = started(place, arn, PROD)
    place.aws.watch(place.policies)
    assert not outcome.ok
    assert "AccessDenied" in str(outcome.steps[0].error_type)
    assert place.world.logs_in(value)
    # The next rotation resumes the stuck one.
    rotate(place, arn, PROD)


def test_cross_account_only_stack_functions_assume_the_role(place: Place, across: Shell) -> None:
    role = place.client("iam", account=PROD).get_role(RoleName="rotators-target")["Role"]
    trust = role["AssumeRolePolicyDocument"]["Statement"]
    trusted = {place.output("rotators-prod", name) for name in ("RotateRoleArn", "OperateRoleArn")}
    others = {
        place.output("rotators", "RotateRoleArn"),
        caller(TOOLS)["aws:PrincipalArn"],
        caller(PROD)["aws:PrincipalArn"],
    }
    allowed = set()
    for arn in trusted | others:
        context = {**caller(arn.split(":")[4]), "aws:PrincipalArn": arn}
        call = ApiCall("somebody", "sts:AssumeRole", ROLE_OF_PROD, context)
        if decide_with(EVERYTHING, call, resource=trust).allowed:
            allowed.add(arn)
    assert allowed == trusted


# --- removal


def test_without_private_dns_the_endpoint_url_is_used(place: Place, across: Shell, endpoints: Shell) -> None:
    endpoints.type(
        "aws cloudformation deploy --stack-name rotators-endpoints"
        " --template-file examples/private-subnets/template.yaml"
        " --parameter-overrides WithRds=false WithSts=false"
    )
    endpoints.run("Without private DNS")
    url = place.output("rotators-endpoints", "SecretsManagerUrl")
    found = place.client("lambda").get_function_configuration(FunctionName="rotators-rotate")
    assert found["Environment"]["Variables"]["SECRETS_MANAGER_ENDPOINT"] == url
    assert url.startswith("https://vpce-")
    (endpoint,) = [
        each
        for each in place.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        if each["State"] == "available"
    ]
    assert endpoint["PrivateDnsEnabled"] is False


def test_the_examples_are_removed_as_their_readmes_say(
    place: Place, across: Shell, endpoints: Shell, acme: dict[str, Any], shop: Shell
) -> None:
    keys = {place.output("shop-db", "KeyArn")}
    across.run("Remove")
    with place.checkout.shell("third-party-rotator") as shell:
        shell.run("Remove")
    endpoints.run("Remove")
    shop.run("Remove")
    for account, left in ((TOOLS, {"rotators"}), (PROD, set())):
        stacks = place.client("cloudformation", account=account).describe_stacks()["Stacks"]
        assert {each["StackName"] for each in stacks} == left
    states = {place.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys}
    assert states == {"PendingDeletion"}


def test_every_example_with_a_template_is_tested() -> None:
    templates = {path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/template.yaml")}
    followed = {"aurora-postgres", "cross-account", "private-subnets", "third-party-rotator"}
    assert {path.name for path in templates} == followed
    assert all((path / "README.md").exists() for path in templates)
