"""Each function has exactly the permissions that it needs: every statement and every action has a call.

The tests deploy the template's stacks, enforce their roles, and make all calls of the functions and the
command. The table in docs/reference/permissions.md lists these calls.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.iam.calls import ApiCall
from rotators.iam.evaluator import decide
from rotators.iam.rules import PreparedPolicy
from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer
from tests.iam import scenarios
from tests.iam.scenarios import ACCOUNT, OPERATOR, PEOPLE, REGION, Stack, deploy
from tests.world import World, unique

PAGE = scenarios.ROOT / "docs" / "reference" / "permissions.md"
BEGIN, END = "<!-- made by tests/iam -->\n", "<!-- end -->\n"


def remove_policies(world: World) -> None:
    """Remove the policies of other tests' secrets, because the commands of viewers look at all secrets."""
    for page in world.secrets.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            if secret.get("PrimaryRegion", REGION) == REGION:
                world.secrets.delete_resource_policy(SecretId=secret["ARN"])


@pytest.fixture(scope="module")
def stacks(aws: LocalAws, server: PostgresServer) -> Iterator[dict[str, Stack]]:
    """All variants of the deployed stack, after all their calls."""
    world = World(aws, server)
    remove_policies(world)
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    no_key = {"CreateKmsKey": "false"}
    made = {
        "tagged": deploy(world, "tagged", AdminTagValue="yes", ReceiptRetentionDays="1"),
        "listed": deploy(
            world,
            "listed",
            **no_key,
            AdminSecretArns="ADMIN",
            RetrieveTagValue="app",
            SubnetIds="subnet-1",
            SecurityGroupIds="sg-1",
        ),
        "keyed": deploy(
            world,
            "keyed",
            **no_key,
            KmsKeyArns=key,
            AdminSecretArns="ADMIN",
            RetrieveTagValue="app",
            AlarmTopicArn=encrypted_topic(aws, "given", key),
        ),
        "assuming": deploy(world, "assuming", TargetRoleArn=f"arn:aws:iam::{ACCOUNT}:role/target"),
    }
    for name, stack in made.items():
        (scenarios.exercise if name == "tagged" else scenarios.exercise_shortly)(stack)
    made["cached"] = scenarios.with_caches(world, "cached")
    made["redshift"] = scenarios.with_redshift(world, "redshift")
    if os.geteuid() == 0:  # otherwise there is no domain controller
        made["directory"] = scenarios.with_directory(world, "directory")
    made["again"] = scenarios.redeployed(world, "again")
    made["answering"] = scenarios.with_callers(world, "answering")
    made["sealing"] = scenarios.with_sealing(world, "sealing")
    made["adopting"] = scenarios.adopted(world, "adopting")
    yield made
    for name in made:
        aws.client("cloudformation").delete_stack(StackName=name)


def encrypted_topic(aws: LocalAws, name: str, key: str) -> str:
    """A topic that the stack did not create."""
    topic = aws.client("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key})
    return str(topic["TopicArn"])


def own_calls(stack: Stack) -> Iterator[tuple[str, ApiCall]]:
    """The calls of the stack's functions and operator, with the caller."""
    for call in [*(seen.call for seen in stack.seen), *stack.requests]:
        who = stack.who(call.principal)
        if who in stack.policies:
            yield who, call


def test_every_recorded_call_is_allowed(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        calls = list(own_calls(stack))
        assert len(calls) > 1
        policies = {who: PreparedPolicy.of(statements) for who, statements in stack.policies.items()}
        for who, call in calls:
            assert decide(policies[who], call).allowed, (stack.name, call)


def test_forbidden_calls_of_function_code_are_denied(stacks: dict[str, Stack]) -> None:
    attempts = [(stack, call) for stack in stacks.values() for call in stack.attempts]
    assert attempts
    for stack, call in attempts:
        decision = decide(stack.policies[stack.who(call.principal)], call)
        assert not decision.allowed
        assert decision.sid in {"KeepCodeFromInterfaces", "KeepAccessTags", "NeverDirectly"}


def granted(stacks: dict[str, Stack]) -> list[tuple[tuple[str, ...], str, str]]:
    """Callers, Sid and action of everything that the roles of the stacks grant or deny.

    Of people with several policies, the last one counts, and each of them may be the one who needs it.
    """
    return sorted(
        {
            (holders(who), statement["Sid"], action)
            for stack in stacks.values()
            for who, statements in stack.policies.items()
            for statement in (stack.single[PEOPLE[who][-1]] if who in PEOPLE else statements)
            for action in actions(statement)
        }
    )


def holders(who: str) -> tuple[str, ...]:
    if who not in PEOPLE:
        return (who,)
    return tuple(each for each, policies in PEOPLE.items() if policies[-1] == PEOPLE[who][-1])


def actions(statement: dict[str, Any]) -> list[str]:
    given = statement["Action"]
    return [given] if isinstance(given, str) else list(given)


def without(statements: list[dict[str, Any]], sid: str, action: str) -> list[dict[str, Any]]:
    """The statements without one action of one of them."""
    changed = copy.deepcopy(statements)
    for statement in changed:
        if statement["Sid"] == sid:
            statement["Action"] = [each for each in actions(statement) if each != action]
    return [statement for statement in changed if statement["Action"]]


EVERYTHING = {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}


def needed(stacks: dict[str, Stack], who: str, sid: str, action: str) -> bool:
    """True if the decision about some call changes without an action of a statement.

    A denial counts against all that other policies of the caller may allow.
    """
    for stack in stacks.values():
        held = stack.policies.get(who, [])
        denies = any(each["Sid"] == sid and each["Effect"] == "Deny" for each in held)
        more = [EVERYTHING] if denies else []
        full, fewer = (
            PreparedPolicy.of([*held, *more]),
            PreparedPolicy.of([*without(held, sid, action), *more]),
        )
        attempts = [(stack.who(call.principal), call) for call in stack.attempts]
        for caller, call in [*own_calls(stack), *attempts]:
            if caller == who and decide(full, call).allowed != decide(fewer, call).allowed:
                return True
    return False


def test_every_statement_and_every_action_is_needed(stacks: dict[str, Stack]) -> None:
    everything = granted(stacks)
    assert len(everything) > 50
    assert not [
        (callers, *what)
        for callers, *what in everything
        if not any(needed(stacks, who, *what) for who in callers)
    ]


COMMANDS = re.compile(r"^\| (`[^|]+) \| (`[^|]+) \|$", re.MULTILINE)
NOT_RUN = {
    "dashboard": "it serves the page of `report` until Ctrl-C",
    "exec": "it replaces the process; it reads a value as `export` does",
    "any command with --engine": "an option",
}


def table() -> dict[str, frozenset[str]]:
    """Each command of the page about many secrets, with the policies that it names for it."""
    page = (scenarios.ROOT / "docs" / "how-to" / "managing.md").read_text(encoding="utf-8")
    text = page.partition("\n## Permissions\n")[2]
    return {
        command: frozenset(name.removesuffix("Arn") for name in re.findall(r"`(\w+Arn)`", policies))
        for commands, policies in COMMANDS.findall(text)
        for command in re.findall(r"`([^`]+)`", commands)
    }


def test_the_page_names_the_policies_of_each_command(stacks: dict[str, Stack]) -> None:
    stack, told = stacks["tagged"], table()
    ran = {(each.command, frozenset(PEOPLE[each.who])) for each in stack.ran}
    missing = {item for item in told.items() if item[0] not in NOT_RUN} - ran
    assert not missing
    assert not {each.command for each in stack.ran} - told.keys()


def test_no_command_needs_fewer_policies(stacks: dict[str, Stack]) -> None:
    stack, enough = stacks["tagged"], []
    for command, policies in table().items():
        calls = [
            call
            for each in stack.ran
            if each.command == command and frozenset(PEOPLE[each.who]) == policies
            for call in each.calls
        ]
        for left_out in policies if command not in NOT_RUN else ():
            fewer = [each for name in policies - {left_out} for each in stack.single[name]]
            if all(decide(fewer, call).allowed for call in calls):
                enough.append((command, left_out))
    assert not enough


def test_a_missing_permission_stops_a_rotation_safely(
    stacks: dict[str, Stack],
) -> None:
    stack = stacks["tagged"]
    world = stack.world
    value = world.user()
    arn = stack.store("missing", value)
    policies = stack.watched()
    policies["tagged-rotate"] = without(
        stack.policies["rotate"], "RotateOwnSecrets", "secretsmanager:PutSecretValue"
    )
    world.aws.watch(policies)
    try:
        outcome = stack.rotated(arn)
    finally:
        world.aws.watch(None)
    assert not outcome.ok
    assert [step.error_type for step in outcome.steps] == ["AccessDenied"]
    assert "secretsmanager:PutSecretValue" in str(outcome.steps[0].error_message)
    assert world.logs_in(world.value(arn))


def test_the_deployed_dashboard_calls_the_widget(stacks: dict[str, Stack]) -> None:
    cloudwatch = stacks["tagged"].world.aws.client("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=f"tagged-{REGION}")["DashboardBody"])
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-widget"
    assert body["widgets"][0]["properties"]["endpoint"] == function


def test_the_deployed_widget_shows_a_missing_permission(stacks: dict[str, Stack]) -> None:
    stack = stacks["tagged"]
    event = json.loads((scenarios.ROOT / "events" / "widget-dashboard.json").read_text(encoding="utf-8"))
    assert "</b>secrets" in stack.invoke("widget", event)
    policies = stack.watched()
    policies["tagged-widget"] = without(
        stack.policies["widget"], "ListEverything", "secretsmanager:ListSecrets"
    )
    stack.world.aws.watch(policies)
    try:
        shown = stack.invoke("widget", event)
    finally:
        stack.world.aws.watch(None)
    assert "[access-denied" in shown
    assert "secretsmanager:ListSecrets" in shown
    assert "</b>secrets" not in shown


def test_only_the_url_reaches_a_function_with_callers(stacks: dict[str, Stack]) -> None:
    stack = stacks["answering"]
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:answering-retrieve"
    for who in stack.policies:
        call = ApiCall(f"answering-{who}", "lambda:InvokeFunction", function)
        assert not decide(stack.policies[who], call).allowed
    without_signature = ApiCall(
        "answering-caller", "lambda:InvokeFunctionUrl", function, {"lambda:FunctionUrlAuthType": "NONE"}
    )
    assert not decide(stack.policies["caller"], without_signature).allowed


def test_sealing_keys_are_for_named_secrets(stacks: dict[str, Stack]) -> None:
    """The first key seals for the prefix; both open, which reading the secret decides; nothing else."""
    stack = stacks["sealing"]
    first, second = stack.sealing
    named = {"kms:EncryptionContext:SecretName": "sealing/single"}
    other = {"kms:EncryptionContext:SecretName": "other/single"}

    def allowed(who: str, action: str, key: str, context: dict[str, str]) -> bool:
        return decide(stack.policies[who], ApiCall(f"sealing-{who}", action, key, {**context})).allowed

    for who, seals, opens in (
        ("rotate", True, True),
        ("store", True, False),
        ("retrieve", False, True),
        ("operate", False, True),
        ("notify", False, False),
        ("widget", False, False),
        (OPERATOR, False, False),
        ("values", False, False),
    ):
        assert allowed(who, "kms:GenerateDataKey", first, named) is seals
        assert not allowed(who, "kms:GenerateDataKey", second, named)
        assert not allowed(who, "kms:GenerateDataKey", first, other)
        assert all(allowed(who, "kms:Decrypt", key, named) is opens for key in stack.sealing)
        assert not allowed(who, "kms:Decrypt", first, {})
        assert not allowed(who, "kms:Encrypt", first, named)


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
LOG_GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/"
KEY_OF = {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}


@pytest.mark.parametrize(
    ("who", "action", "resource", "context"),
    [
        ("rotate", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        (
            "rotate",
            "secretsmanager:GetSecretValue",
            SECRET + "tagged/x-AbCdEf",
            {
                "secretsmanager:resource/AllowRotationLambdaArn": (
                    f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other-rotate"
                )
            },
        ),
        ("rotate", "secretsmanager:GetSecretValue", SECRET + "other/admin-AbCdEf", {}),
        (
            "rotate",
            "secretsmanager:PutSecretValue",
            SECRET + "other/admin-AbCdEf",
            {"secretsmanager:ResourceTag/rotators-admin": "yes"},
        ),
        ("rotate", "secretsmanager:RotateSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("rotate", "secretsmanager:DeleteSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("rotate", "kms:Decrypt", "KEY", {}),
        (
            "rotate",
            "kms:GenerateDataKey",
            "KEY",
            {**KEY_OF, "kms:EncryptionContext:SecretARN": SECRET + "other/x-AbCdEf"},
        ),
        ("store", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("store", "secretsmanager:PutSecretValue", SECRET + "other/x-AbCdEf", {}),
        ("store", "secretsmanager:CreateSecret", SECRET + "tagged/x-AbCdEf", {}),
        (
            "store",
            "secretsmanager:CreateSecret",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/another"},
        ),
        (
            "store",
            "secretsmanager:RotateSecret",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:RotationLambdaARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thief"},
        ),
        ("store", "secretsmanager:RotateSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("store", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-retrieve", {}),
        ("operate", "secretsmanager:GetSecretValue", SECRET + "other/x-AbCdEf", {}),
        ("operate", "secretsmanager:PutSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("operate", "secretsmanager:RotateSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("operate", "kms:Decrypt", "KEY", {}),
        ("operate", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-rotate", {}),
        (
            "retrieve",
            "lambda:InvokeFunction",
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-operate",
            {},
        ),
        ("store", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-operate", {}),
        ("retrieve", "secretsmanager:GetSecretValue", SECRET + "other/x-AbCdEf", {}),
        ("retrieve", "secretsmanager:PutSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("retrieve", "kms:Decrypt", "KEY", {"kms:EncryptionContext:SecretARN": SECRET + "tagged/x-AbCdEf"}),
        ("notify", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("notify", "secretsmanager:DescribeSecret", SECRET.replace(ACCOUNT, "210987654321") + "x-AbCdEf", {}),
        ("notify", "logs:FilterLogEvents", f"{LOG_GROUP}tagged-store:log-stream:", {}),
        ("notify", "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:another", {}),
        ("notify", "kms:Decrypt", "KEY", {**KEY_OF, "kms:EncryptionContext:SecretARN": SECRET + "tagged/x"}),
        (
            "notify",
            "kms:GenerateDataKey",
            "KEY",
            {
                "kms:ViaService": f"sns.{REGION}.amazonaws.com",
                "kms:EncryptionContext:aws:sns:topicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:another",
            },
        ),
        ("receipt", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("receipt", "secretsmanager:ListSecretVersionIds", SECRET + "tagged/x-AbCdEf", {}),
        ("receipt", "kms:Sign", "KEY", {}),
        ("receipt", "logs:FilterLogEvents", f"{LOG_GROUP}tagged-store:log-stream:", {}),
        ("receipt", "s3:PutObject", "arn:aws:s3:::another/000000001.json", {}),
        ("receipt", "s3:DeleteObject", "arn:aws:s3:::*", {}),
        ("receipt", "s3:DeleteObjectVersion", "arn:aws:s3:::*", {}),
        ("receipt", "s3:PutObjectRetention", "arn:aws:s3:::*", {}),
        ("receipt", "secretsmanager:PutSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("rotate", "kms:Sign", "RECEIPTS", {}),
        ("operate", "kms:Sign", "RECEIPTS", {}),
        ("widget", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("widget", "secretsmanager:BatchGetSecretValue", "*", {}),
        ("widget", "secretsmanager:DescribeSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("widget", "logs:PutLogEvents", f"{LOG_GROUP}tagged-rotate:log-stream:x", {}),
        (OPERATOR, "secretsmanager:DeleteSecret", SECRET + "tagged/x-AbCdEf", {}),
        (OPERATOR, "secretsmanager:GetSecretValue", SECRET + "other/x-AbCdEf", {}),
        (
            OPERATOR,
            "secretsmanager:RotateSecret",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:RotationLambdaARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thief"},
        ),
        (OPERATOR, "kms:Decrypt", "KEY", {}),
        ("viewer", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("viewer", "secretsmanager:BatchGetSecretValue", "*", {}),
        ("viewer", "secretsmanager:TagResource", SECRET + "tagged/x-AbCdEf", {}),
        (
            "viewer",
            "lambda:InvokeFunction",
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-retrieve",
            {},
        ),
        ("viewer", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:tagged-operate", {}),
        ("viewer", "secretsmanager:PutResourcePolicy", SECRET + "tagged/x-AbCdEf", {}),
        ("manager", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("manager", "secretsmanager:PutSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("manager", "secretsmanager:TagResource", SECRET + "other/x-AbCdEf", {}),
        (
            "manager",
            "secretsmanager:TagResource",
            SECRET + "tagged/x-AbCdEf",
            {"aws:TagKeys": ("team", "rotators-reader")},
        ),
        (
            "manager",
            "secretsmanager:DeleteSecret",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:ForceDeleteWithoutRecovery": "true"},
        ),
        (
            "manager",
            "secretsmanager:RotateSecret",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:RotationLambdaARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thief"},
        ),
        ("manager", "kms:Decrypt", "KEY", {"kms:EncryptionContext:SecretARN": SECRET + "tagged/x-AbCdEf"}),
        ("manager", "kms:Decrypt", "KEY", {**KEY_OF, "kms:EncryptionContext:SecretARN": SECRET + "other/x"}),
        ("values", "secretsmanager:GetSecretValue", SECRET + "other/x-AbCdEf", {}),
        ("values", "secretsmanager:CreateSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("values", "secretsmanager:DeleteSecret", SECRET + "tagged/x-AbCdEf", {}),
        ("values", "kms:GenerateDataKey", "KEY", {}),
        ("values", "secretsmanager:PutResourcePolicy", SECRET + "tagged/x-AbCdEf", {}),
        ("access", "secretsmanager:GetSecretValue", SECRET + "tagged/x-AbCdEf", {}),
        ("access", "secretsmanager:PutResourcePolicy", SECRET + "tagged/x-AbCdEf", {}),
        ("access", "kms:PutKeyPolicy", "KEY", {}),
        ("exclusive", "secretsmanager:PutResourcePolicy", SECRET + "other/x-AbCdEf", {}),
        (
            "exclusive",
            "secretsmanager:PutResourcePolicy",
            SECRET + "tagged/x-AbCdEf",
            {"secretsmanager:BlockPublicPolicy": "false"},
        ),
        (
            "exclusive",
            "lambda:GetFunctionConfiguration",
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other-rotate",
            {},
        ),
        ("rename", "secretsmanager:DeleteResourcePolicy", SECRET + "tagged/x-AbCdEf", {}),
    ],
)
def test_calls_beyond_the_policies_are_denied(
    stacks: dict[str, Stack], who: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    stack = stacks["tagged"]
    arn = resource.replace("KEY", str(stack.key)).replace("RECEIPTS", str(stack.signing))
    call = ApiCall(f"tagged-{who}", action, arn, context)
    assert not decide(stack.policies[who], call).allowed


def checked(stack: Stack, arn: str) -> dict[str, Any]:
    """The result of `rotators check` for a secret that the stack's function rotates."""
    done = CliRunner().invoke(cli, ["check", arn, "--stack", stack.name, "--json"])
    return {each["name"]: each for each in json.loads(done.stdout)["checks"]}


def test_check_names_an_uncovered_prefix_and_key(stacks: dict[str, Stack]) -> None:
    stack = stacks["tagged"]
    world = stack.world
    key = world.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    value = json.dumps(world.user())
    arn = world.secrets.create_secret(Name=unique("uncovered"), SecretString=value, KmsKeyId=key)["ARN"]
    checks = checked(stack, arn)
    name, used = (
        checks["the function's role may use the secret"],
        checks["the function's role may use the key of the secret"],
    )
    assert (name["result"], used["result"]) == ("failed", "failed")
    assert "SecretNamePrefixes" in name["next"]
    assert f"Add {key} to the stack's parameter KmsKeyArns" in used["next"]


def test_check_reads_the_sealing_keys(stacks: dict[str, Stack]) -> None:
    stack = stacks["sealing"]
    world, first = stack.world, stack.sealing[0]
    value = json.dumps(world.user())
    results = {}
    for name in ("sealing/checked", "unsealed"):
        arn = world.secrets.create_secret(Name=unique(name), SecretString=value)["ARN"]
        results[name] = checked(stack, arn)["the function's role may use the sealing keys"]
    assert results["sealing/checked"]["result"] == "ok"
    assert results["unsealed"]["result"] == "failed"
    assert results["unsealed"]["detail"].endswith(f"lacks kms:GenerateDataKey on {first}")


def test_check_reports_unknown_without_permission_to_ask(stacks: dict[str, Stack]) -> None:
    stack = stacks["tagged"]
    arn = stack.store("unasked", stack.world.user())
    policies = stack.watched()
    who = f"tagged-{OPERATOR}"
    policies[who] = without(policies[who], "SimulateRotateRole", "iam:SimulatePrincipalPolicy")
    stack.world.aws.watch(policies)
    try:
        with scenarios.acting(stack, OPERATOR):
            checks = checked(stack, arn)
    finally:
        stack.world.aws.watch(None)
    assert checks["the function's role may use the secret"]["result"] == "unknown"
    assert checks["login"]["result"] == "ok"


def test_untagged_secrets_are_closed_to_tag_readers(stacks: dict[str, Stack]) -> None:
    call = ApiCall("keyed-retrieve", "secretsmanager:GetSecretValue", SECRET + "keyed/x-AbCdEf")
    assert not decide(stacks["keyed"].policies["retrieve"], call).allowed


def test_the_page_shows_the_recorded_calls(stacks: dict[str, Stack]) -> None:
    """With UPDATE_DOCS, this writes the page."""
    if "directory" not in stacks:
        pytest.skip("only root can run a domain controller, so its calls are missing")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    recorded = "\n".join(["| who | action | on | allowed by |", "|---|---|---|---|", *rows(stacks), ""])
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(before + BEGIN + recorded + END + after, encoding="utf-8")
        return
    assert table == recorded, "Run the tests of tests/iam with UPDATE_DOCS=1."


def rows(stacks: dict[str, Stack]) -> list[str]:
    found = set()
    for stack in stacks.values():
        for who, call in own_calls(stack):
            sid = decide(stack.policies[who], call).sid
            # Failures of other stacks' secrets can arrive at any time.
            on = "any secret" if sid == "DescribeAnySecret" else plain(call.resource, stack)
            found.add((who, call.action, on, sid))
    return [f"| {who} | `{action}` | {on} | `{sid}` |" for who, action, on, sid in sorted(found, key=str)]


def plain(resource: str, stack: Stack) -> str:
    """The page's name of a resource."""
    if stack.sealing and re.fullmatch("|".join(stack.sealing), resource):
        return "a sealing key"
    names = {
        rf".*:secret:({stack.name}/|prod/|legacy-).*": "a secret of the prefix",
        r".*:secret:elsewhere.*": "a tagged secret",
        rf".*:secret:{stack.name}-admin.*": "an admin's secret",
        rf"{stack.signing}": "the receipts' key",
        r"arn:aws:kms:.*": "the secrets' key",
        r"arn:aws:s3:::[^/]*": "the receipts' bucket",
        r"arn:aws:s3:::.*": "a receipt",
        rf".*:function:{stack.name}-(\w+)": r"the function `\1`",
        rf".*:log-group:/aws/lambda/{stack.name}-(\w+):.*": r"the log group of `\1`",
        r"arn:aws:sns:.*": "the alarm topic",
        r".*:cluster:.*": "a cluster",
        r"arn:aws:elasticache:.*:user:.*": "a user of ElastiCache",
        r"arn:aws:elasticache:.*:replicationgroup:.*": "a replication group",
        r"arn:aws:memorydb:.*": "a user of MemoryDB",
        r"arn:aws:ds:.*": "a directory",
        r".*:stack/.*": "the stack",
        r".*:db:.*": "an instance",
        r"arn:aws:iam:.*": "the target role",
        r"\*": "`*`",
    }
    for pattern, name in names.items():
        if re.fullmatch(pattern, resource):
            return re.sub(pattern, name, resource, count=1) if "\\1" in name else name
    return resource


def test_policies_are_as_a_linter_wants_them(stacks: dict[str, Stack], tmp_path: Path) -> None:
    """Run parliament in a separate process, because it leaves files open, which causes warnings."""
    import subprocess  # noqa: PLC0415 - one use
    import sys  # noqa: PLC0415 - the same

    code = (
        "import json, sys, parliament; documents = json.load(open(sys.argv[1]));"
        "print(json.dumps([[name, f.issue, str(f.detail)] for name, d in documents.items()"
        " for f in parliament.analyze_policy_string(json.dumps(d)).findings]))"
    )
    documents = {
        f"{stack.name}-{who}": {"Version": "2012-10-17", "Statement": statements}
        for stack in stacks.values()
        for who, statements in stack.policies.items()
    }
    file = tmp_path / "policies.json"
    file.write_text(json.dumps(documents), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code, str(file)], check=True, capture_output=True, text=True)
    findings = json.loads(done.stdout)
    assert not [each for each in findings if each[1] not in LINTED], "\n".join(
        sorted({str(each[1:]) for each in findings})
    )


LINTED = {
    "RESOURCE_STAR": "an interface has no ARN before Lambda has made it; the denial keeps the code from it",
    "UNKNOWN_CONDITION_FOR_ACTION": "Lambda's guide (configuration-vpc) says lambda:SourceFunctionArn here",
}
"""Accepted findings, with the reasons."""
