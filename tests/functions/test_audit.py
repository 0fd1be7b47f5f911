"""The audit records of the functions: one line for each secret, without a value, even if stdout is lost."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

from functions import operate, retrieve, rotate, store
from rotators.aws import clients
from rotators.cli.schema import schema_of
from rotators.core.errors import AccessDenied, CredentialsRejected, InvalidEvent, RequestRefused
from rotators.testing._case import STEPS
from tests.functions.test_store_interrupted import failing
from tests.world import World, new_password, unique

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotators-rotate"
CONTEXT = SimpleNamespace(
    aws_request_id="11111111-aaaa-4bbb-8ccc-222222222222", invoked_function_arn=FUNCTION
)
SCHEMA = Draft202012Validator(schema_of("audit-record"))


def audited(text: str) -> list[dict[str, Any]]:
    """The audit records of an output."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    found = [line for line in lines if "audit" in line]
    for line in found:
        SCHEMA.validate(line)
    return [line["audit"] for line in found]


@pytest.fixture
def records(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Gives the audit records since the last call."""
    return lambda: audited(capsys.readouterr().out)


Records = Callable[[], list[dict[str, Any]]]


def test_each_step_is_one_record(world: World, records: Records) -> None:
    value = {**world.user(), "strategy": "single"}
    arn = world.secret(value)
    (current,) = world.stages(arn)
    token = world.begin(arn)
    records()
    for step in STEPS:
        rotate.handler({"Step": step, "SecretId": arn, "ClientRequestToken": token}, CONTEXT)
    found = records()
    assert [each["step"] for each in found] == list(STEPS)
    for each in found:
        assert each["duration_ms"] > 0
        assert (
            each.items()
            >= {
                "source": "rotate",
                "action": "rotate",
                "outcome": "succeeded",
                "result": "done",
                "secret": arn,
                "account": arn.split(":")[4],
                "region": arn.split(":")[3],
                "token": token,
                "versions": [token],
                "rotator": "postgres",
                "strategy": "single",
                "function": FUNCTION,
                "request_id": CONTEXT.aws_request_id,
            }.items()
        )
    moved = [{"stage": "AWSCURRENT", "from_version": current, "to_version": token}]
    assert [each.get("moved") for each in found] == [None, None, None, moved]


def test_a_failed_step_has_only_a_code(world: World, records: Records) -> None:
    arn = world.secret({**world.user(), "password": new_password()})
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    records()
    with pytest.raises(CredentialsRejected):
        world.step("setSecret", arn, token)
    (found,) = records()
    assert (found["outcome"], found["error_code"]) == ("failed", "credentials-rejected")
    assert "message" not in json.dumps(found)
    assert "result" not in found


@pytest.mark.parametrize("function", [rotate, store, retrieve, operate], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "event", [None, {"SecretId": "\x1b[2J\n"}, {"Step": "x" * 100_000}, {"\ud800": "\ud800"}]
)
def test_a_refused_event_is_recorded_without_content(function: Any, event: Any, records: Records) -> None:
    with pytest.raises(InvalidEvent):
        function.handler(event, CONTEXT)
    (found,) = records()
    assert (found["outcome"], found["source"]) == ("failed", function.__name__.rpartition(".")[2])
    assert found["account"] == "123456789012"
    assert "secret" not in found
    assert len(json.dumps(found)) < 1000


def test_a_store_names_version_and_moved_stage(world: World, records: Records) -> None:
    name = unique("audited")
    first = store.handler({"Name": name, "Value": world.user()})
    second = store.handler({"Name": name, "Value": world.user()})
    repeated = store.handler(
        {"Name": name, "Value": world.value(second["ARN"]), "ClientRequestToken": second["VersionId"]}
    )
    created, updated, unchanged = records()
    assert (created["result"], updated["result"]) == ("created", "updated")
    assert repeated["Action"] == unchanged["result"] == "unchanged"
    assert created["secret"] == updated["secret"] == unchanged["secret"] == first["ARN"]
    assert created["moved"] == [{"stage": "AWSCURRENT", "to_version": first["VersionId"]}]
    assert updated["moved"] == [
        {"stage": "AWSCURRENT", "from_version": first["VersionId"], "to_version": second["VersionId"]}
    ]
    assert "moved" not in unchanged


def test_an_unfinished_store_reports_the_moved_stages(world: World, records: Records) -> None:
    name = unique("audited")
    store.handler({"Name": name, "Value": world.user()})
    records()
    with failing("TagResource", "AccessDeniedException"), pytest.raises(AccessDenied):
        store.handler({"Name": name, "Value": world.user(), "Tags": [{"Key": "team", "Value": "shop"}]})
    (found,) = records()
    assert (found["outcome"], found["error_code"]) == ("failed", "access-denied")
    assert [move["stage"] for move in found["moved"]] == ["AWSCURRENT"]
    assert found["secret"].startswith("arn:")


def test_a_read_from_memory_is_recorded(
    world: World, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "60")
    arn = world.secret(world.user())
    (version,) = world.stages(arn)
    for _ in range(2):
        retrieve.handler({"SecretId": arn})
    found = records()
    assert [each["result"] for each in found] == ["read", "cached"]
    assert [(each["secret"], each["versions"]) for each in found] == [(arn, [version])] * 2


def test_each_secret_of_a_batch_is_recorded(world: World, records: Records) -> None:
    arns = [world.secret(world.user()) for _ in range(2)]
    retrieve.handler({"SecretIds": [*arns, "missing"]})
    found = {each["secret"]: each for each in records()}
    assert [found[arn]["outcome"] for arn in arns] == ["succeeded"] * 2
    assert (found["missing"]["outcome"], found["missing"]["error_code"]) == ("failed", "secret-not-found")
    assert len({each["id"] for each in found.values()}) == len(found)


def test_a_refused_caller_is_recorded(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    role = "arn:aws:iam::123456789012:role/shop"
    monkeypatch.setenv("RETRIEVE_CALLERS", f"{role}=shop/")
    user = {"accountId": "123456789012", "userArn": "arn:aws:sts::123456789012:assumed-role/shop/one"}
    request = {
        "version": "2.0",
        "requestContext": {"authorizer": {"iam": user}},
        "body": json.dumps({"SecretIds": ["other/a", "other/b"]}),
        "isBase64Encoded": False,
    }
    assert retrieve.handler(request)["statusCode"] == 403
    found = records()
    assert [(each["secret"], each["caller"]) for each in found] == [("other/a", role), ("other/b", role)]
    assert {each["error_code"] for each in found} == {"caller-refused/secret"}


def interrupted(world: World) -> tuple[str, str]:
    """A secret whose rotation stopped before finishSecret, and its token."""
    arn = world.secret(world.user())
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    return arn, token


def test_a_repair_names_the_moved_stages(world: World, records: Records) -> None:
    arn, token = interrupted(world)
    current = next(each for each, stages in world.stages(arn).items() if "AWSCURRENT" in stages)
    records()
    operate.handler({"Action": "repair", "SecretId": arn, "Idle": True, "DryRun": True}, CONTEXT)
    operate.handler({"Action": "repair", "SecretId": arn, "Idle": True}, CONTEXT)
    planned, made = records()
    assert "moved" not in planned
    assert (made["action"], made["result"], made["secret"]) == ("repair", "healthy", arn)
    assert made["moved"][0] == {"stage": "AWSCURRENT", "from_version": current, "to_version": token}


@contextmanager
def refusing_reads_after_a_move() -> Iterator[None]:
    """Refuse DescribeSecret as soon as a stage has been moved."""
    moved: list[object] = []

    def refuse(**_: object) -> None:
        if moved:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeSecret")

    events = clients.secrets_manager().meta.events
    events.register(
        "after-call.secrets-manager.UpdateSecretVersionStage", lambda **_: moved.append(0), "moved"
    )
    events.register("before-call.secrets-manager.DescribeSecret", refuse, "refuse")
    try:
        yield
    finally:
        events.unregister("after-call.secrets-manager.UpdateSecretVersionStage", unique_id="moved")
        events.unregister("before-call.secrets-manager.DescribeSecret", unique_id="refuse")


def test_a_failed_repair_reports_the_moved_stages(world: World, records: Records) -> None:
    arn, token = interrupted(world)
    records()
    with refusing_reads_after_a_move(), pytest.raises(AccessDenied):
        operate.handler({"Action": "repair", "SecretId": arn, "Idle": True}, CONTEXT)
    (found,) = records()
    assert (found["outcome"], found["error_code"]) == ("failed", "access-denied")
    assert found["moved"][0]["to_version"] == token


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def full() -> Any:
    return open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123 - the test closes it


@contextmanager
def stdout(stream: Any) -> Iterator[None]:
    """Replace stdout during the block; a stream whose content cannot be written fails when it is closed."""
    before, sys.stdout = sys.stdout, stream
    try:
        yield
    finally:
        sys.stdout = before
        with suppress(Exception):
            stream.close()


UNWRITABLE = pytest.mark.parametrize("stream", [closed, full, lambda: None], ids=["closed", "full", "none"])


@UNWRITABLE
def test_a_line_that_is_not_written_reaches_stderr(
    stream: Callable[[], Any], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    capsys.readouterr()
    with stdout(stream()):
        for step in STEPS:
            rotate.handler({"Step": step, "SecretId": arn, "ClientRequestToken": token}, CONTEXT)
        answer = retrieve.handler({"SecretId": arn})
        stored = store.handler({"Name": unique("audited"), "Value": world.user()})
        examined = operate.handler({"Action": "doctor", "SecretId": arn})
    assert (answer["VersionId"], stored["Action"], examined["healthy"]) == (token, "created", True)
    text = capsys.readouterr().err
    found = audited(text)
    assert [each["source"] for each in found] == [*["rotate"] * 4, "retrieve", "store", "operate"]
    assert text.count('"audit_lost":') == len(found)
    assert answer["Value"]["password"] not in text


@UNWRITABLE
def test_a_lost_stderr_changes_nothing(
    stream: Callable[[], Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    broken = stream()
    with stdout(closed()):
        monkeypatch.setattr(sys, "stderr", broken)
        for step in STEPS:
            rotate.handler({"Step": step, "SecretId": arn, "ClientRequestToken": token}, CONTEXT)
        monkeypatch.undo()
    with suppress(Exception):
        broken.close()
    assert "AWSCURRENT" in world.stages(arn)[token]


class Broken:
    """A context whose members cannot be read."""

    def __getattr__(self, name: str) -> str:
        raise LookupError(name)


@pytest.mark.parametrize(
    "context",
    [
        SimpleNamespace(aws_request_id=object(), invoked_function_arn=b"\xff"),
        SimpleNamespace(aws_request_id="\ud800\n\x1b" * 100_000, invoked_function_arn={}),
        "no context",
    ],
    ids=["objects", "huge", "text"],
)
def test_a_strange_context_is_left_out(context: object, world: World, records: Records) -> None:
    arn = world.secret(world.user())
    records()
    assert retrieve.handler({"SecretId": arn}, context)["ARN"] == arn
    (found,) = records()
    assert "function" not in found
    assert found["secret"] == arn


def test_an_unreadable_context_is_reported(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    arn = world.secret(world.user())
    capsys.readouterr()
    assert retrieve.handler({"SecretId": arn}, Broken())["ARN"] == arn
    told = capsys.readouterr()
    assert json.loads(told.err) == {"audit_lost": "LookupError", "function": "retrieve"}
    assert audited(told.out) == []


def test_no_log_level_drops_a_record(world: World, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    arn = world.secret(world.user())
    records()
    retrieve.handler({"SecretId": arn})
    assert len(records()) == 1


def test_texts_of_people_are_in_no_record(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    marks = [unique("word") for _ in range(4)]
    event = {
        "Name": unique("audited"),
        "Value": {**world.user(), "strategy": "single", "note": marks[0]},
        "Description": f"the password is {marks[1]}",
        "Tags": [{"Key": "password", "Value": marks[2]}],
    }
    store.handler(event)
    refusal = failing("PutSecretValue", "InvalidRequestException", f"password {marks[3]}")
    with refusal, pytest.raises(RequestRefused, match=marks[3]):
        store.handler(event)
    stored, refused = audited(capsys.readouterr().out)
    assert (stored["result"], refused["error_code"]) == ("created", "request-refused")
    assert not [mark for mark in marks if mark in json.dumps([stored, refused])]
