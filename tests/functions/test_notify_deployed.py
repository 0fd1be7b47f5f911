"""The deployed stack reports a failed rotation once: EventBridge, the notify function, its role, the topic.

A real PostgreSQL refuses; EventBridge delivers every event twice.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer
from tests.iam import scenarios
from tests.inbox import Inbox
from tests.world import World, unique

PAGE = scenarios.ROOT / "docs" / "how-to" / "deploying.md"
BEGIN, END = "<!-- made by tests/functions/test_notify_deployed.py -->\n", "<!-- end -->\n"
WAIT = 300.0
NAME = "mails"


@dataclass(frozen=True)
class Deployed:
    """The stack, the messages on its topic, and the ARN of its notify function."""

    stack: scenarios.Stack
    inbox: Inbox
    function: str

    def handled(self, secret: str, count: int) -> list[str]:
        """Wait until the function has ended `count` times for a secret; return the outcomes in order."""
        ended = f'"secret":"{secret}"'
        log = self.stack.world.aws.wait_for_log(self.function, ended, WAIT, times=count)
        return [json.loads(line)["outcome"] for line in log.splitlines() if ended in line]

    def secret(self, name: str) -> tuple[str, str]:
        """Create a user and its secret, with rotation on; return the ARN and the user's name."""
        user = self.stack.world.user()
        return self.stack.store(name, user, Rotation=scenarios._rotation(self.stack)), user["username"]

    def rotate(self, arn: str, token: str) -> bool:
        """Start or repeat a rotation; return True if it succeeded."""
        self.stack.world.secrets.rotate_secret(SecretId=arn, ClientRequestToken=token)
        return bool(self.stack.world.aws.wait_for_rotation(arn, token, WAIT).ok)


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, server: PostgresServer) -> Iterator[Deployed]:
    """The stack with its roles enforced."""
    stack = scenarios.deploy(World(aws, server), NAME, MaxRejectedLogins="20")
    resources = aws.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    topic = next(each for each in resources if each.get("LogicalResourceId") == "AlarmTopic")
    found = aws.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["Outputs"]
    (function,) = [each["OutputValue"] for each in found if each["OutputKey"] == "NotifyFunctionArn"]
    aws.watch(stack.watched())
    aws.event_deliveries = 2
    yield Deployed(stack, Inbox(aws.client, topic["PhysicalResourceId"], NAME), function)
    aws.event_deliveries = 1
    aws.watch(None)
    aws.client("cloudformation").delete_stack(StackName=NAME)


def test_each_failed_rotation_is_one_message(
    deployed: Deployed,
) -> None:
    world = deployed.stack.world
    arn, user = deployed.secret("app/db")
    scenarios._wait_for_trial(deployed.stack, arn)
    world.sql(f'ALTER ROLE "{user}" RENAME TO "{user}_gone"')
    first = str(uuid.uuid4())
    assert [deployed.rotate(arn, first) for _ in range(3)] == [False] * 3
    outcomes = deployed.handled(arn, 6)
    # The outcome is one message per day, and midnight may pass meanwhile.
    days = {event.time.date() for event in world.aws.service_events(arn) if event.name == "RotationFailed"}
    assert sorted(outcomes) == ["repeated"] * (6 - len(days)) + ["sent"] * len(days)
    messages = deployed.inbox.take()
    assert [message.subject for message in messages] == ["Rotation failed: mails/app/db (setSecret)"] * len(
        days
    )
    check_page(messages[0].subject, messages[0].body)
    assert_no_value(world, arn, messages[0].body)

    world.sql(f'ALTER ROLE "{user}_gone" RENAME TO "{user}"')
    world.set_password(user, world.value(arn)["password"])
    assert deployed.rotate(arn, first)
    world.sql(f'DROP ROLE "{user}"')
    assert not deployed.rotate(arn, str(uuid.uuid4()))
    assert deployed.handled(arn, 8)[6:] == ["sent", "repeated"]
    assert len(deployed.inbox.take()) == 1


def assert_no_value(world: World, arn: str, body: str) -> None:
    for stage in ("AWSCURRENT", "AWSPENDING"):
        assert world.value(arn, stage)["password"] not in body


def check_page(subject: str, body: str) -> None:
    """The page shows this message, except for parts that differ between runs. UPDATE_DOCS writes it."""
    shown = f"Subject: {subject}\n\n{body}"
    for pattern, constant in (
        (" --stack mails", ""),  # not needed for a stack with the default name
        (r"\bmails\b", "rotators"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-25 02:00:07 UTC"),
        (r"next rotation \d{4}-\d\d-\d\d", "next rotation 2026-12-25"),
        (r"app/db-\w{6}\b", "app/db-AbCdEf"),
        (r"\bapp_\w+", "app"),
        (r"127\.0\.0\.1(:| port )\d+", r"db.example.com\g<1>5432"),
    ):
        shown = re.sub(pattern, constant, shown)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    example, after = rest.split(END)
    recorded = f"\n```\n{shown}```\n\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(before + BEGIN + recorded + END + after, encoding="utf-8")
        return
    assert example == recorded, "Run this test with UPDATE_DOCS=1."


def test_a_failed_test_of_a_rotation_is_reported(deployed: Deployed) -> None:
    world = deployed.stack.world
    user = world.user()
    world.sql(f'DROP ROLE "{user["username"]}"')
    arn = deployed.stack.store("tried", user, Rotation=scenarios._rotation(deployed.stack))
    assert deployed.handled(arn, 2) == ["sent", "repeated"]
    (message,) = deployed.inbox.take()
    assert message.subject == "Rotation test failed: mails/tried (testSecret)"
    assert "nothing was rotated" in message.body
    assert "[credentials-rejected]" not in message.body


def test_another_functions_failure_names_its_log(deployed: Deployed) -> None:
    world = deployed.stack.world
    world.aws.register("foreign", "tests.local.handlers.rotate")
    arn = world.secrets.create_secret(
        Name=unique("foreign"), SecretString='{"password": "first-pa55", "fail": "createSecret"}'
    )["ARN"]
    token = str(uuid.uuid4())
    world.secrets.rotate_secret(
        SecretId=arn, RotationLambdaARN=world.aws.function_arn("foreign"), ClientRequestToken=token
    )
    assert not world.aws.wait_for_rotation(arn, token, WAIT).ok
    assert deployed.handled(arn, 2) == ["sent", "repeated"]
    (message,) = deployed.inbox.take()
    assert message.subject.endswith("(createSecret)")
    assert "aws logs tail /aws/lambda/rotators-foreign --since 1h --region us-east-1\n" in message.body
    assert "rotators doctor" not in message.body
