"""Messages on a topic of the local AWS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Message:
    """One message that SNS delivered."""

    subject: str
    body: str


class Inbox:
    """A queue that is subscribed to a topic.

    Args:
        client: returns a client for a service of the local AWS.
        topic: ARN of the topic.
        name: name of the queue; it must be unique.
    """

    def __init__(self, client: Callable[[str], Any], topic: str, name: str) -> None:
        self._sqs = client("sqs")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])

    def take(self) -> list[Message]:
        """Return the messages that have arrived since the last call."""
        taken: list[Message] = []
        while found := self._receive():
            for message in found:
                envelope = json.loads(message["Body"])
                taken.append(Message(envelope.get("Subject", ""), envelope["Message"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        return list(answer.get("Messages", []))
