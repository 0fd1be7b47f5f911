"""The notify handler: its messages, events without a message, and a missing log or secret."""

from __future__ import annotations

import datetime as dt
import functools
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.notify import handler
from rotators.aws.failures import FailedStep
from rotators.core.errors import ConfigurationError, InvalidEvent, StoreError
from rotators.handlers.failure_events import FAILURES, FailureEvent
from rotators.handlers.failure_mail import Mail, Situation, composed
from rotators.handlers.notify import notify
from rotators.local.aws import LocalAws
from tests.inbox import Inbox, Message
from tests.world import unique

EVENTS = Path(__file__).parents[2] / "events"
Client = Callable[[str], Any]
NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


class Scene:
    """A secret whose rotation fails, the rotate function's log, and the topic.

    Attributes:
        name, arn: name and ARN of the secret.
        stack: name of the stack; function: ARN of its rotate function.
        waits: seconds for which the handler waited for the log.
        on_wait: called at each wait.
        token: token of the version with AWSPENDING.
    """

    def __init__(self, aws: LocalAws, client: Client, patch: pytest.MonkeyPatch) -> None:
        self.aws = aws
        self.secrets, self._logs = client("secretsmanager"), client("logs")
        name = unique("told")
        self.function = aws.register(f"{name}-rotate", "functions.rotate.handler")
        self.stack = f"rotators-{name}"
        self._group, own_group = f"/aws/lambda/{self.stack}-rotate", f"/aws/lambda/{name}-notify"
        for group in (self._group, own_group):
            self._logs.create_log_group(logGroupName=group)
        self._logs.create_log_stream(logGroupName=self._group, logStreamName="all")
        self.topic = client("sns").create_topic(Name=name)["TopicArn"]
        self.inbox = Inbox(client, self.topic, name)
        patch.setenv("ALARM_TOPIC_ARN", self.topic)
        patch.setenv("ROTATE_FUNCTION_ARN", self.function)
        patch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", own_group)
        self.waits: list[float] = []
        self.on_wait: Callable[[], object] = lambda: None
        self.name = f"app/{name}"
        value = '{"password": "s3cr3t-Pa55"}'
        self.arn = self.secrets.create_secret(Name=self.name, SecretString=value)["ARN"]
        aws.enable_rotation(self.arn, f"{name}-rotate")
        self.begin()

    def begin(self) -> None:
        """Start a new rotation."""
        self.token = str(uuid.uuid4())
        self.aws.stage(self.arn, self.token)

    def log(self, code: str = "target-refused", **keys: Any) -> None:
        """Write a failed step into the rotate function's log, in the form of telemetry."""
        line = {
            "secret": self.arn,
            "token": self.token,
            "step": "setSecret",
            "outcome": "failed",
            "error_code": code,
            "error_message": f"[{code}] it did not work. Next: Do this.",
            "retryable": False,
            **keys,
        }
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": json.dumps(line)}]
        self._logs.put_log_events(logGroupName=self._group, logStreamName="all", logEvents=events)

    def forget_log(self) -> None:
        self._logs.delete_log_group(logGroupName=self._group)

    def event(self, name: str = "RotationFailed", **detail: Any) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "source": "aws.secretsmanager",
            "detail": {
                "eventName": name,
                "eventTime": NOON.isoformat(),
                "awsRegion": "us-east-1",
                "recipientAccountId": "123456789012",
                "additionalEventData": {"SecretId": self.arn},
                **detail,
            },
        }

    def notify(self, event: dict[str, Any] | None = None) -> str:
        """Deliver an event; return the logged outcome."""
        return str(notify(event or self.event(), self._wait)["Action"])

    def message(self) -> Message:
        """The one message that has arrived."""
        (message,) = self.inbox.take()
        return message

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.on_wait()


@pytest.fixture(scope="module")
def client(aws: LocalAws) -> Client:
    """A function that returns clients; each is created once, because this takes half a second."""
    return functools.cache(aws.client)


@pytest.fixture
def scene(aws: LocalAws, client: Client, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(aws, client, monkeypatch)


def test_a_message_names_cause_and_remedy(scene: Scene) -> None:
    scene.log()
    assert scene.notify() == "sent"
    message = scene.message()
    assert message.subject == f"Rotation failed: {scene.name} (setSecret)"
    for line in (
        "When:           2026-11-25 12:00:00 UTC",
        f"Secret:         {scene.name}",
        f"ARN:            {scene.arn}",
        "Account:        123456789012 in us-east-1",
        "Step:           setSecret",
        "Error code:     target-refused",
        "Cause:          it did not work",
        "  Do this.",
        f"      AWS_REGION=us-east-1 rotators doctor {scene.name} --remote --stack {scene.stack}",
    ):
        assert line in message.body.splitlines()
    assert scene.waits == []


def test_a_repeated_failure_sends_nothing(scene: Scene) -> None:
    scene.log()
    assert [scene.notify() for _ in range(3)] == ["sent", "repeated", "repeated"]
    scene.log("target-unavailable/timeout")
    assert [scene.notify() for _ in range(2)] == ["sent", "repeated"]
    scene.log()
    assert scene.notify() == "repeated"
    later = scene.event(eventTime=(NOON + dt.timedelta(days=1)).isoformat())
    assert [scene.notify(later) for _ in range(2)] == ["sent", "repeated"]
    scene.begin()
    scene.log()
    assert [scene.notify() for _ in range(2)] == ["sent", "repeated"]
    assert len(scene.inbox.take()) == 4


def test_the_newest_error_of_the_rotation_counts(scene: Scene) -> None:
    scene.log("of-another-rotation", token=str(uuid.uuid4()))
    scene.log("first")
    scene.log("second")
    scene.log("of-another-rotation", token=str(uuid.uuid4()))
    scene.notify()
    assert "Error code:     second\n" in scene.message().body


def test_a_late_log_line_is_awaited(scene: Scene) -> None:
    scene.on_wait = scene.log
    assert scene.notify() == "sent"
    assert scene.waits == [1.0]
    assert "Error code:     target-refused\n" in scene.message().body


def test_a_message_without_log_quotes_the_service(scene: Scene) -> None:
    error = f"Error when executing lambda {scene.function} during testSecret step"
    assert scene.notify(scene.event(errorMessage=error)) == "sent"
    assert sum(scene.waits) == 15
    message = scene.message()
    assert message.subject.endswith(" (testSecret)")
    assert f"Cause:          {error}\n" in message.body
    assert "the function has logged none" in message.body


def test_an_unreadable_log_is_mentioned(scene: Scene) -> None:
    scene.forget_log()
    assert scene.notify() == "sent"
    assert scene.waits == []
    assert "Not known:      the step's error: [" in scene.message().body


def test_an_undescribed_secret_is_named_by_arn(scene: Scene) -> None:
    scene.secrets.delete_secret(SecretId=scene.arn, ForceDeleteWithoutRecovery=True)
    event = scene.event()
    assert [scene.notify(event), scene.notify(event)] == ["sent", "repeated"]
    message = scene.message()
    assert message.subject == f"Rotation failed: {scene.name}"
    assert scene.arn in message.body
    assert "Not known:      schedule and versions: [secret-not-found]" in message.body


def test_a_failed_test_is_found_by_its_secret(scene: Scene) -> None:
    scene.log("of-the-test", step="testSecret", token=str(uuid.uuid4()))
    assert scene.notify(scene.event("TestRotationFailed")) == "sent"
    message = scene.message()
    assert message.subject == f"Rotation test failed: {scene.name} (testSecret)"
    assert "Error code:     of-the-test\n" in message.body


def test_an_abandoned_rotation_needs_no_log(scene: Scene) -> None:
    event = scene.event("RotationAbandoned")
    assert [scene.notify(event), scene.notify(event)] == ["sent", "repeated"]
    assert scene.waits == []
    message = scene.message()
    assert message.subject == f"Rotation abandoned: {scene.name}"
    assert "Cause:          the secret's value was changed while the rotation ran\n" in message.body


def test_a_refused_message_is_sent_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.log()
    monkeypatch.setenv("ALARM_TOPIC_ARN", f"{scene.topic}-gone")
    with pytest.raises(StoreError, match=r"Publish on .*-gone failed with NotFound"):
        scene.notify()
    monkeypatch.setenv("ALARM_TOPIC_ARN", scene.topic)
    assert scene.notify() == "sent"


def test_without_log_group_every_failure_is_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.log()
    monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/none")
    assert [scene.notify() for _ in range(2)] == ["sent", "sent"]


def test_a_missing_topic_is_a_configuration_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.log()
    monkeypatch.delenv("ALARM_TOPIC_ARN")
    with pytest.raises(ConfigurationError, match="ALARM_TOPIC_ARN"):
        scene.notify()


def test_the_log_describes_what_was_done(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.log()
    capsys.readouterr()
    scene.notify()
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    wanted = {"outcome": "sent", "secret": scene.arn, "token": scene.token, "cause_code": "target-refused"}
    assert {**line, **wanted} == line


def files(*, bad: bool) -> list[Any]:
    found = [path for path in sorted(EVENTS.glob("notify-*.json")) if ("-bad-" in path.name) == bad]
    assert len(found) >= 4
    return [pytest.param(path, id=path.stem) for path in found]


@pytest.mark.parametrize("path", files(bad=False))
def test_an_event_is_reported(scene: Scene, path: Path) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))
    assert handler(event)["Action"] == "sent"
    message = scene.message()
    if path.stem == "notify-without-secret":
        assert message.subject == "Rotation failed: a secret (setSecret)"
        assert "aws cloudtrail lookup-events" in message.body
    else:
        assert ": rotators/app/db" in message.subject
        assert ":function:rotators-rotate" in message.body or "RotationAbandoned" in message.body


@pytest.mark.parametrize("path", files(bad=True))
def test_a_bad_failure_event_sends_nothing(scene: Scene, path: Path) -> None:
    with pytest.raises(InvalidEvent, match="eventName"):
        handler(json.loads(path.read_text(encoding="utf-8")))
    assert scene.inbox.take() == []


def mail(name: str = "app/db", text: str = "it did not work", own: bool = True) -> Mail:
    event = FailureEvent("id", "RotationFailed", name, NOON, "123456789012", "us-east-1", text, None, "")
    step = FailedStep(name, "t", "setSecret", text, f"[{text}] {text}. Next: {text}", retryable=False)
    function = "arn:aws:lambda:us-east-1:123456789012:function:shop-rotate"
    return composed(Situation(event, name, function, own, text, NOON, "t", step, (text,)))


HOSTILE = st.text(st.characters(codec=None), max_size=700) | st.sampled_from(
    ["\n\nRun: rm -rf /\n", "\x1b[31mred", "\u202egnp.exe", "\u2028next line", "a" * 9000, "'; rm -rf / #"]
)


@given(name=HOSTILE, text=HOSTILE, own=st.booleans())
def test_outside_text_forges_no_line_and_no_subject(name: str, text: str, own: bool) -> None:
    found = mail(name, text, own)
    assert found.subject.isascii()
    assert found.subject.isprintable()
    assert found.subject[0].isalpha()
    assert len(found.subject) < 100
    # Only the empty lines at the ends of parts, because the line of an empty text is omitted.
    assert len(found.body.split("\n\n")) == 4
    assert len(found.body.splitlines()) <= len(mail().body.splitlines())
    assert all(line.isprintable() for line in found.body.split("\n"))
    assert len(found.body.encode()) < 256 * 1024
    assert "://" not in found.body


def test_a_name_is_quoted_for_the_shell() -> None:
    assert "rotators doctor 'a; rm -rf ~' --remote --stack shop\n" in mail("a; rm -rf ~").body


def test_a_long_name_leaves_room_for_the_step() -> None:
    subject = mail("app/" + "x" * 508).subject
    assert len(subject) == 99
    assert subject.endswith("x... (setSecret)")


def test_a_cause_cannot_fake_the_remedy() -> None:
    step = FailedStep(
        "s", "t", "setSecret", "c", "[c] no. Next: rm -rf /. Next: Ask the owner.", retryable=True
    )
    event = FailureEvent("id", "RotationFailed", "s", NOON, "", "", "", None, "")
    body = composed(Situation(event, "s", None, True, None, None, "t", step, ())).body
    assert "Cause:          no. Next: rm -rf /\n" in body
    assert "What to do next:\n  Ask the owner.\n" in body
    assert "This error may go away without a change." in body


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize(
    "place",
    [
        {"additionalEventData": {"SecretId": "arn:s"}},
        {"additionalEventData": {"aRN": "arn:s"}},
        {"serviceEventDetails": {"secretId": "arn:s"}},
        {"additionalEventData": {"SecretId": ["no text"], "arn": "arn:s"}},
        {"requestParameters": {"secretId": "arn:s"}},
        {"resources": [{"ARN": "arn:s"}]},
    ],
)
def test_every_spelling_of_an_event_names_the_secret(name: str, place: dict[str, Any]) -> None:
    event = FailureEvent.from_event({"id": "1", "detail": {"eventName": name, **place}})
    assert (event.name, event.secret) == (name, "arn:s")


def test_the_functions_name_is_not_a_secrets_name(scene: Scene) -> None:
    error = f"Error when executing lambda {scene.function} during setSecret step"
    assert scene.notify(scene.event(additionalEventData=None, errorMessage=error)) == "sent"
    assert scene.waits == []
    body = scene.message().body
    assert "Not known:      the secret: the event does not name it in a known place\n" in body
    assert "aws cloudtrail lookup-events" in body


def test_an_illegal_name_is_not_looked_up() -> None:
    event = {"detail": {"eventName": FAILURES[0], "additionalEventData": {"SecretId": 'a" OR "b'}}}
    assert FailureEvent.from_event(event).secret == ""
