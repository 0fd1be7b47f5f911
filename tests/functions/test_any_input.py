"""Handlers with any input: only coded errors, refused input changes nothing, and no value is shown.

The environment variable INPUT_EXAMPLES sets the number of inputs per test for a long run, new ones each time
(or those of --hypothesis-seed). Inputs that failed in long runs are kept as examples.
"""

from __future__ import annotations

import io
import json
import logging
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from _pytest.logging import LogCaptureHandler
from hypothesis import example, given

from functions import notify, operate, receipt, retrieve, rotate, store, widget
from rotators.aws import clients
from rotators.aws import secrets as gateway
from rotators.core.errors import InvalidInput, RotatorsError, SecretFormatError
from tests.functions.inputs import (
    DEEP,
    VALUE,
    Nested,
    bounded,
    environments,
    events,
    stored_texts,
    whole,
)
from tests.spellings import spellings

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

Handler = Callable[[Any], Any]

WRITES = {
    "CreateSecret",
    "PutSecretValue",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "RotateSecret",
    "TagResource",
    "Publish",
}
FORMS = spellings(VALUE)
EVENTS, SECRETS, WIDGETS, ENVIRONMENTS = 150, 30, 20, 10


class Scene:
    """A secret with a rotation in progress, the topic, and a record of handlers' calls, output and errors.

    Attributes:
        arn: ARN of the secret, whose value is in no example.
        written: the write operations of the last call.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._client = aws.client("secretsmanager")
        value = {
            "engine": "postgres",
            "username": "app",
            "password": "pw-of-the-scene",
            "host": "127.0.0.1",
            "port": 1,
        }
        self._current = json.dumps(value)
        name = f"any-{uuid.uuid4()}"
        self.arn = str(self._client.create_secret(Name=name, SecretString=self._current)["ARN"])
        aws.enable_rotation(self.arn)
        self.written: list[str] = []

    def begin(self) -> dict[str, Any]:
        """Stage an empty version; return the event of its createSecret."""
        token = str(uuid.uuid4())
        self._aws.stage(self.arn, token)
        return {"Step": "createSecret", "SecretId": self.arn, "ClientRequestToken": token}

    def holds(self, text: str) -> None:
        """Store a text as AWSCURRENT, without checks, as the service accepts it."""
        secret = self._aws._secret(self.arn)
        version = next(
            token for token, each in secret.versions.items() if "AWSCURRENT" in each["version_stages"]
        )
        secret.versions[version]["secret_string"] = text
        gateway._values.clear()

    def stages(self) -> dict[str, list[str]]:
        return dict(self._client.describe_secret(SecretId=self.arn)["VersionIdsToStages"])

    def watch(self, handler: Handler, event: Any) -> tuple[Any, RotatorsError | None]:
        """Call a handler; return its answer or its coded error. Fails if anything shows VALUE."""
        out = io.StringIO()
        answer, failure = None, None
        self.written.clear()
        for client in (clients.secrets_manager, clients.secrets_reader, clients.sns):
            self._note(client)
        with redirect_stdout(out), redirect_stderr(out):
            try:
                answer = handler(event)
            except RotatorsError as error:
                failure = error
        for kept in logging.root.handlers:
            if isinstance(kept, LogCaptureHandler):
                kept.reset()  # a hundred thousand lines need too much memory, and stdout contains them too
        shown = [out.getvalue(), *([] if failure is None else everything_shown(failure))]
        leaks = [text for text in shown if any(form in text for form in FORMS)]
        assert not leaks
        return answer, failure

    def _note(self, client: Callable[[], Any]) -> None:
        with suppress(RotatorsError):  # no client can be created in this environment
            client().meta.events.register("after-call", self._noted, unique_id="any-input")

    def _noted(self, model: Any, http_response: Any, **_: object) -> None:
        if model.name in WRITES and http_response.status_code == HTTPStatus.OK:
            self.written.append(model.name)


def everything_shown(error: BaseException) -> list[str]:
    """Everything that a log could print of an error and of the errors that it references."""
    shown = ["".join(traceback.format_exception(error)), repr(error), repr(vars(error)), repr(error.args)]
    for other in (error.__cause__, error.__context__):
        if other is not None:
            shown += everything_shown(other)
    return shown


@pytest.fixture(scope="module")
def scene(aws: LocalAws) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        topic = aws.client("sns").create_topic(Name=f"any-{uuid.uuid4()}")["TopicArn"]
        patch.setenv("ALARM_TOPIC_ARN", topic)
        for name in ("RECEIPTS_BUCKET", "RECEIPTS_KEY_ARN", "ROTATE_FUNCTION_ARN"):
            patch.setenv(name, "none")
        patch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/none")
        # Each environment needs its own clients: read botocore's data once, and do not wait between attempts.
        loader = botocore.session.Session().get_component("data_loader")
        patch.setattr("botocore.session.create_loader", lambda _path: loader)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
        yield Scene(aws)


HANDLERS: dict[str, Handler] = {
    "rotate": rotate.handler,
    "store": store.handler,
    "retrieve": retrieve.handler,
    "operate": operate.handler,
    "notify": notify.handler,
    "receipt": receipt.handler,
}


def check_event(scene: Scene, name: str, event: Any) -> None:
    _, failure = scene.watch(HANDLERS[name], whole(event))
    if isinstance(failure, InvalidInput):
        assert not scene.written


@bounded(EVENTS)
@given(event=events("rotate"))
@example(event=Nested(DEEP))
@example(event={"Step": VALUE, "SecretId": "a", "ClientRequestToken": "t" * 32})
@example(event={"Step": "setSecret", "SecretId": VALUE, "ClientRequestToken": "t" * 32})
@example(event={"Step": "setSecret", "SecretId": "a", "ClientRequestToken": VALUE + "t" * 10})
@example(event={"Step": "setSecret", "SecretId": "\ud800", "ClientRequestToken": "t" * 32})
def test_any_rotate_event(scene: Scene, event: Any) -> None:
    check_event(scene, "rotate", event)


@bounded(EVENTS)
@given(event=events("store"))
@example(event={"Name": "app/db", VALUE: "SecretString"})
@example(event={"Name": "app/db", "SecretString": "x", "Tags": [{"Key": "k", "Value": "v", VALUE: 1}]})
@example(event={"Name": "app/db", "Value": Nested(DEEP)})
@example(event={"Name": "app/db", "Value": {"engine": VALUE}})
@example(event={"Name": "app/db", "Value": {"engine": "postgres", "host": VALUE, "password": "p"}})
@example(
    event={
        "Name": "app/db",
        "Value": {"engine": "postgres", "host": "h", "username": "u", "password": "p", "strategy": VALUE},
    }
)
def test_any_store_event(scene: Scene, event: Any) -> None:
    check_event(scene, "store", event)


@bounded(EVENTS)
@given(event=events("retrieve"))
def test_any_retrieve_event(scene: Scene, event: Any) -> None:
    check_event(scene, "retrieve", event)


@bounded(EVENTS)
@given(event=events("operate"))
@example(event={"Action": "doctor", "SecretId": VALUE})
@example(event={"Action": "doctor", "SecretId": "\ud800"})
@example(event={"Action": "check", "SecretId": "a", VALUE: 1})
def test_any_operate_event(scene: Scene, event: Any) -> None:
    check_event(scene, "operate", event)


@bounded(EVENTS)
@given(event=events("notify"))
@example(event={"id": VALUE, "detail": {"eventName": "RotationAbandoned"}})
@example(event={"id": Nested(DEEP), "detail": {"eventName": "RotationAbandoned"}})
@example(event={"detail": {"eventName": "RotationAbandoned", "errorMessage": Nested(DEEP)}})
@example(event={"detail": {"eventName": "RotationAbandoned", "eventTime": Nested(DEEP)}})
@example(event={"detail": {"eventName": "RotationAbandoned", "eventTime": "0001-01-01T00:00:00+14:00"}})
def test_any_notify_event(scene: Scene, event: Any) -> None:
    check_event(scene, "notify", event)


@bounded(EVENTS)
@given(event=events("receipt"))
@example(event={"Fill": True, "DryRun": Nested(DEEP)})
@example(event={"detail": {"eventName": "RotationSucceeded", "eventTime": Nested(DEEP)}})
@example(
    event={"detail": {"eventName": "RotationSucceeded", "additionalEventData": {"SecretId": Nested(DEEP)}}}
)
@example(event={"detail": {"eventName": "RotationSucceeded", "responseElements": {"arn": Nested(DEEP)}}})
def test_any_receipt_event(scene: Scene, event: Any) -> None:
    check_event(scene, "receipt", event)


@bounded(WIDGETS)
@given(event=events("widget"))
@example(event=Nested(DEEP))
@example(event={"describe": VALUE, "widgetContext": {"theme": VALUE}})
@example(event={"widgetContext": {"theme": VALUE, "params": {"name": VALUE}}})
def test_any_widget_event(scene: Scene, event: Any) -> None:
    answer, failure = scene.watch(widget.handler, whole(event))
    assert failure is None
    assert isinstance(answer, str)
    assert not [form for form in FORMS if form in answer]
    assert not scene.written


@bounded(SECRETS)
@given(text=stored_texts)
@example(text='{"a":' * DEEP + "1" + "}" * DEEP)
@example(text=json.dumps({"engine": VALUE, "password": VALUE}))
@example(text=json.dumps({"engine": "postgres", "strategy": VALUE, "password": VALUE}))
def test_any_stored_secret_rotated(scene: Scene, text: str) -> None:
    event = scene.begin()
    scene.holds(text)
    before = scene.stages()
    _, failure = scene.watch(rotate.handler, event)
    assert scene.stages() == before
    if isinstance(failure, SecretFormatError):
        assert not scene.written


@bounded(SECRETS)
@given(text=stored_texts)
@example(text='{"a":' * DEEP + "1" + "}" * DEEP)
@example(text='{"a":NaN}')
@example(text='{"a":"\\ud800"}')
def test_any_stored_secret_retrieved(scene: Scene, text: str) -> None:
    scene.holds(text)
    answer, failure = scene.watch(retrieve.handler, {"SecretId": scene.arn, "Refresh": True})
    assert failure is None
    assert not scene.written
    json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()


@bounded(SECRETS)
@given(text=stored_texts)
def test_any_stored_secret_examined(scene: Scene, text: str) -> None:
    scene.holds(text)
    answer, _ = scene.watch(operate.handler, {"Action": "doctor", "SecretId": scene.arn})
    assert not scene.written
    assert not [form for form in FORMS if form in json.dumps(answer)]


def check_environment(scene: Scene, handler: Handler, event: Any, changes: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for variable, text in changes.items():
            patch.setenv(variable, text)
        clients._client.cache_clear()
        _, failure = scene.watch(handler, event)
        assert failure is None or not scene.written
    clients._client.cache_clear()


@bounded(ENVIRONMENTS)
@given(changes=environments)
@example(changes={"POWERTOOLS_LOG_LEVEL": "FOO"})
@example(changes={"POWERTOOLS_METRICS_DISABLED": ""})
@example(changes={"POWERTOOLS_METRICS_NAMESPACE": " "})
@example(changes={"POWERTOOLS_LOGGER_SAMPLE_RATE": "FOO"})
@example(changes={"AWS_ACCESS_KEY_ID": " "})
@example(changes={"AWS_SESSION_TOKEN": "\udcff"})
@example(changes={"AWS_MAX_ATTEMPTS": "FOO"})
@example(changes={"AWS_ENDPOINT_URL": "http://["})
def test_any_environment_of_rotate(scene: Scene, changes: dict[str, str]) -> None:
    check_environment(scene, rotate.handler, scene.begin(), changes)


@bounded(ENVIRONMENTS)
@given(changes=environments)
def test_any_environment_of_store(scene: Scene, changes: dict[str, str]) -> None:
    check_environment(scene, store.handler, {"Name": "any/environment", "Value": {"a": "b"}}, changes)


@bounded(ENVIRONMENTS)
@given(changes=environments)
def test_any_environment_of_retrieve(scene: Scene, changes: dict[str, str]) -> None:
    check_environment(scene, retrieve.handler, {"SecretId": scene.arn, "Refresh": True}, changes)


@bounded(ENVIRONMENTS)
@given(changes=environments)
def test_any_environment_of_operate(scene: Scene, changes: dict[str, str]) -> None:
    check_environment(scene, operate.handler, {"Action": "doctor", "SecretId": scene.arn}, changes)


@bounded(ENVIRONMENTS)
@given(changes=environments)
def test_any_environment_of_notify(scene: Scene, changes: dict[str, str]) -> None:
    detail = {"eventName": "RotationAbandoned", "additionalEventData": {"SecretId": scene.arn}}
    check_environment(scene, notify.handler, {"id": str(uuid.uuid4()), "detail": detail}, changes)


@bounded(ENVIRONMENTS)
@given(changes=environments)
def test_any_environment_of_widget(scene: Scene, changes: dict[str, str]) -> None:
    check_environment(scene, widget.handler, {}, changes)
