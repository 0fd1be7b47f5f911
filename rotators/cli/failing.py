"""A rotation that fails on purpose, and the message that the deployed stack sends about it."""

from __future__ import annotations

import json
import secrets
import time

from rotators.cli.deployed import DeployedStack
from rotators.cli.stack import Seeded
from rotators.local.errors import LocalStackError

_QUEUE = "rotators-messages"
_ROTATION_SECONDS = 120.0
_MESSAGE_SECONDS = 60.0
_LONG_POLL_SECONDS = 1


def fail_once(stack: DeployedStack, secret: Seeded) -> dict[str, str]:
    """Change the user's password at the database, let the next rotation fail, and wait for the message.

    Args:
        stack: deployed stack.
        secret: secret of a single user. Afterwards its rotation is incomplete and its password does not log
            in.

    Returns:
        The message on the stack's alarm topic: ``subject``, one line, and ``body``, plain text.

    Raises:
        LocalStackError: the rotation succeeded, or no message came.
    """
    queue = _subscribed(stack)
    _change_password(stack, stack.value(secret.arn)["username"])
    token = stack.rotate_by_cli(secret.arn)
    if stack.aws.wait_for_rotation(secret.arn, token, _ROTATION_SECONDS).ok:
        raise LocalStackError("a rotation succeeded although no stored password logs in")
    return _message(stack, queue)


def _subscribed(stack: DeployedStack) -> str:
    """Return the URL of a queue that is subscribed to the alarm topic."""
    sqs = stack.aws.client("sqs")
    queue = str(sqs.create_queue(QueueName=_QUEUE)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = stack.output("AlarmTopicArn")
    stack.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queue


def _change_password(stack: DeployedStack, user: str) -> None:
    password, server = secrets.token_urlsafe(24), stack.server
    with server.connect() as admin:
        admin.execute(server.with_verifier("ALTER ROLE {} PASSWORD {}", user, password, admin))


def _message(stack: DeployedStack, queue: str) -> dict[str, str]:
    sqs, deadline = stack.aws.client("sqs"), time.monotonic() + _MESSAGE_SECONDS
    while time.monotonic() < deadline:
        received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=_LONG_POLL_SECONDS)
        for message in received.get("Messages", []):
            envelope = json.loads(message["Body"])
            return {"subject": envelope["Subject"], "body": envelope["Message"]}
    raise LocalStackError(
        "no message about the failed rotation was received",
        remedy="Run with --parameter LogLevel=DEBUG and read the log of the function rotators-notify.",
    )
