"""Lambda functions in separate containers."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from rotators.local.functions.containers import FunctionConfig, FunctionContainer


@pytest.fixture(scope="module")
def functions(aws: LocalAws) -> Any:
    return aws.client("lambda")


def invoke(functions: Any, name: str, event: Any = None, **params: Any) -> tuple[Any, str | None]:
    answer = functions.invoke(FunctionName=f"rotators-{name}", Payload=json.dumps(event), **params)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_a_function_gets_event_and_context(aws: LocalAws, functions: Any) -> None:
    answer, error = invoke(functions, "echo", {"deep": ["ä", None]})
    assert error is None
    assert answer["event"] == {"deep": ["ä", None]}
    context = answer["context"]
    assert context["function_name"] == "rotators-echo"
    assert context["arn"] == aws.function_arn("echo")
    assert context["memory"] == "256"
    assert 0 < context["remaining"] <= 30_000
    assert len(context["request_id"]) == 36


def test_ending_a_container_twice_closes_nothing_else(tmp_path: Path) -> None:
    config = FunctionConfig("arn", "tests.local.handlers.echo", 3, dict(os.environ))
    container = FunctionContainer(config, lambda _: None)
    container.end()
    with ExitStack() as stack:
        others = [stack.enter_context((tmp_path / str(number)).open("w")) for number in range(64)]
        container.end()
        for other in others:
            other.write("written")
            other.flush()


def test_a_function_sees_only_lambdas_environment(
    aws: LocalAws, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVELOPERS_OWN", "private")
    aws.register("fresh", "tests.local.handlers.echo", {"OWN": "1"})
    seen = invoke(functions, "fresh")[0]["environment"]
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "rotators-fresh"
    assert seen["AWS_ENDPOINT_URL"] == aws.endpoint
    assert (seen["AWS_REGION"], seen["OWN"]) == ("us-east-1", "1")
    assert "DEVELOPERS_OWN" not in seen
    assert seen["AWS_CONFIG_FILE"] == os.devnull


def test_a_container_stays_warm(functions: Any) -> None:
    pids = {invoke(functions, "echo")[0]["pid"] for _ in range(3)}
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_a_changed_configuration_starts_a_new_container(aws: LocalAws, functions: Any) -> None:
    aws.register("changing", "tests.local.handlers.echo", {"GONE": "1"})
    before = invoke(functions, "changing")[0]
    functions.update_function_configuration(
        FunctionName="rotators-changing", Environment={"Variables": {"ADDED": "later"}}, MemorySize=512
    )
    after = invoke(functions, "changing")[0]
    assert "GONE" not in after["environment"]
    assert after["environment"]["AWS_ENDPOINT_URL"] == aws.endpoint
    assert after["pid"] != before["pid"]
    assert after["environment"]["ADDED"] == "later"
    assert after["context"]["memory"] == "512"


def test_output_of_a_function_is_its_log(aws: LocalAws, functions: Any) -> None:
    answer = functions.invoke(FunctionName="rotators-echo", LogType="Tail", Payload=b"{}")
    assert answer["Payload"].read()
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.startswith("START RequestId: ")
    assert "printed to stdout" in tail
    assert "printed to stderr" in tail
    assert tail in aws.logs("echo")
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/rotators-echo")
    assert len(groups["logGroups"]) == 1


def test_an_exception_becomes_lambdas_error_document(functions: Any) -> None:
    answer, error = invoke(functions, "misbehave", {"how": "raise"})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("KeyError", "'masterarn'")
    assert any("misbehave" in frame for frame in answer["stackTrace"])
    assert not any("runtime_client.py" in frame for frame in answer["stackTrace"])


def test_an_unserialisable_answer_is_an_error(functions: Any) -> None:
    answer, error = invoke(functions, "misbehave", {"how": "unserialisable"})
    assert error == "Unhandled"
    assert answer["errorType"] == "TypeError"


def test_a_container_that_ends_is_reported_and_replaced(functions: Any) -> None:
    answer, error = invoke(functions, "misbehave", {"how": "exit"})
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert invoke(functions, "misbehave", {"how": "not at all"}) == ("well", None)


def test_a_container_killed_between_events_is_replaced(functions: Any) -> None:
    os.kill(invoke(functions, "echo")[0]["pid"], signal.SIGKILL)
    answers = [invoke(functions, "echo") for _ in range(2)]
    assert answers[-1][1] is None  # the first call may still have used the container that is ending


def test_a_function_that_takes_too_long_is_killed(aws: LocalAws, functions: Any) -> None:
    functions.update_function_configuration(FunctionName="rotators-misbehave", Timeout=1)
    answer, error = invoke(functions, "misbehave", {"how": "hang"})
    assert error == "Unhandled"
    assert answer["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out" in aws.logs("misbehave")
    assert invoke(functions, "misbehave", {"how": "not at all"}) == ("well", None)


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("tests.local.nowhere.handler", "Runtime.ImportModuleError"),
        ("tests.local.handlers.nobody", "Runtime.HandlerNotFound"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_named(
    aws: LocalAws, functions: Any, handler: str, error_type: str
) -> None:
    aws.register("broken", handler)
    answer, error = invoke(functions, "broken")
    assert error == "Unhandled"
    assert answer["errorType"] == error_type
    assert handler.rpartition(".")[0] in answer["errorMessage"]


def test_concurrent_events_of_one_function_are_all_answered(functions: Any) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(invoke(functions, "echo", number)[0]))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["event"] for answer in answers) == list(range(8))


def test_one_function_rotates_several_secrets_at_once(
    aws: LocalAws, make: Callable[..., str], rotate: Callable[..., str]
) -> None:
    tokens = {arn: rotate(arn) for arn in (make(), make(), make())}
    assert all(aws.wait_for_rotation(arn, token, 60).ok for arn, token in tokens.items())


def test_functions_are_listed_with_their_handlers(functions: Any) -> None:
    listed = {entry["FunctionName"]: entry["Handler"] for entry in functions.list_functions()["Functions"]}
    assert listed["rotators-echo"] == "tests.local.handlers.echo"


def test_an_event_invocation_runs_later(aws: LocalAws, functions: Any) -> None:
    """Lambda's API:Invoke, InvocationType Event: status 202 and no payload."""
    aws.register("later", "tests.local.handlers.echo")
    answer = functions.invoke(FunctionName="rotators-later", InvocationType="Event", Payload=b"{}")
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert "printed to stdout" in aws.wait_for_log("later", "END RequestId")


def test_a_dry_run_runs_nothing(aws: LocalAws, functions: Any) -> None:
    """Lambda's API:Invoke, InvocationType DryRun: status 204."""
    aws.register("never", "tests.local.handlers.echo")
    answer = functions.invoke(FunctionName="rotators-never", InvocationType="DryRun", Payload=b"{}")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    assert aws.logs("never") == ""
