"""The examples, deployed as their READMEs say, with roles and resource policies enforced.

One module, because the examples share the stack of rotators: each README changes its parameters, as a user
would. The tests run in the order in which they stand; the last one removes everything.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.iam.evaluator import Call
from rotators.local.iam.resources import decide_with
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


def test_aurora_without_its_key_in_the_parameters_the_function_cannot_read(place: Place, shop: Shell) -> None:
    """What the template's own key is good for: the other stack must name it."""
    key = place.output("shop-db", "KeyArn")
    others = [
        {**each, "Resource": [arn for arn in listed(each["Resource"]) if arn != key]}
        for each in place.policies["rotators-rotate"]
    ]
    decrypt = Call(
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


def test_aurora_the_application_reads_its_secret_with_its_role_alone(place: Place, shop: Shell) -> None:
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
def test_aurora_nobody_else_reads_and_the_application_does_no_more(
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
        call = Call("shop", "secretsmanager:GetSecretValue", arn, context)
        assert decide_with(EVERYTHING, call, resource=policy).allowed is allowed


# --- third-party-rotator


def accepted(value: dict[str, Any]) -> bool:
    """Whether the service takes a key."""
    connection = HTTPConnection(value["host"], value["port"], timeout=5)
    headers = {"X-User": value["username"], "Authorization": f"Bearer {value['api_key']}"}
    connection.request("GET", "/whoami", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status == 200


def test_third_party_two_keys_are_accepted_after_two_rotations(place: Place, acme: dict[str, Any]) -> None:
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
        # The application beside the function, the function, and the role that the function assumes.
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
def test_the_endpoints_let_the_principals_of_our_accounts_pass(
    place: Place, endpoints: Shell, action: str, resource: str, context: dict[str, str], passes: bool
) -> None:
    policy = place.endpoint_policies()[action.partition(":")[0]]
    # Of another account's resource the owner would have to allow it too; only the endpoint is asked here.
    owner = [{**EVERYTHING[0], "Principal": "*"}]
    call = Call("somebody", action, resource, context)
    assert decide_with(EVERYTHING, call, resource=owner, endpoint=policy).allowed is passes


# --- cross-account


def test_cross_account_a_secret_is_rotated_twice_through_the_endpoints(place: Place, across: Shell) -> None:
    arn = secret_of_prod(place)
    first = place.value(arn, account=PROD)
    assert place.world.logs_in(first)
    rotate(place, arn, PROD)
    assert place.world.logs_in(place.value(arn, account=PROD))
    assert not place.world.logs_in(first)
    callers = {seen.call.principal for seen in place.aws.seen()}
    assert {"rotators-prod-rotate", "rotators-target"} <= callers


def test_cross_account_an_endpoint_that_admits_one_account_only_stops_the_rotation(
    place: Place, across: Shell
) -> None:
    """What the endpoint's policy did before it could name other accounts."""
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
    # The next rotation takes the stuck one up again.
    rotate(place, arn, PROD)


def test_cross_account_the_functions_of_the_stack_assume_the_role_and_nobody_else(
    place: Place, across: Shell
) -> None:
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
        call = Call("somebody", "sts:AssumeRole", ROLE_OF_PROD, context)
        if decide_with(EVERYTHING, call, resource=trust).allowed:
            allowed.add(arn)
    assert allowed == trusted


# --- and away again


def test_without_private_dns_the_function_calls_the_endpoint_by_its_own_name(
    place: Place, across: Shell, endpoints: Shell
) -> None:
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


def test_every_example_with_a_template_has_a_readme_that_was_followed() -> None:
    templates = {path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/template.yaml")}
    followed = {"aurora-postgres", "cross-account", "private-subnets", "third-party-rotator"}
    assert {path.name for path in templates} == followed
    assert all((path / "README.md").exists() for path in templates)
