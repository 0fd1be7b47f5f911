"""The output and exit status of commands that use AWS, against the local AWS."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from click.testing import CliRunner, Result

from rotators.aws import clients
from rotators.cli import cli
from rotators.core.errors import InvalidEvent, RotationNotEnabled, RotationStateError, SecretNotFound
from rotators.testing._case import STEPS
from tests.cli.command import command
from tests.world import World, new_password, unique

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=True)


@pytest.fixture
def secret(world: World) -> tuple[str, dict[str, Any]]:
    """A secret that the local service rotates with the rotate function; its name and first value."""
    name, user = unique("cli/app"), world.user()
    world.secrets.create_secret(Name=name, SecretString=json.dumps(user))
    world.aws.enable_rotation(name)
    return name, user


def test_rotate_waits_until_the_password_has_changed(
    world: World, secret: tuple[str, dict[str, Any]]
) -> None:
    name, user = secret
    for _ in range(2):
        result = run("rotate", name)
        assert result.exit_code == 0, result.output
        assert "Rotated in" in result.output
        assert "Next:" in result.output
    assert world.logs_in(world.value(name))
    assert not world.logs_in(user)


def test_rotate_as_json_names_the_current_token(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    result = run("rotate", secret[0], "--json")
    document = json.loads(result.stdout)
    assert document["outcome"] == "rotated"
    assert "AWSCURRENT" in world.stages(secret[0])[document["token"]]


def test_a_failed_rotation_shows_its_cause(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    name, user = secret
    world.set_password(user["username"], new_password())
    result = run("rotate", name)
    assert result.exit_code == 1
    assert "Failed: [credentials-rejected]" in result.output
    shown = run("show", name)
    assert shown.exit_code == 0
    assert "RotationFailed" in shown.output
    assert "[credentials-rejected]" in shown.output
    document = json.loads(run("show", name, "--json").stdout)
    assert document["last_failure"]["event"] == "RotationFailed"


def test_a_failure_before_the_first_look_is_found(world: World) -> None:
    name = unique("cli/broken")
    world.secrets.create_secret(Name=name, SecretString="not JSON")
    world.aws.enable_rotation(name)
    for _ in range(2):  # the second one resumes with the same token
        done = command("rotate", name, "--timeout", "120", "--json")
        assert done.status == 1
        document = json.loads(done.stdout)
        assert document["outcome"] == "failed"
        assert [(step["step"], step["ok"]) for step in document["steps"]] == [("createSecret", False)]
        assert "[secret-format]" in document["message"]


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_of_this_machine_does_not_matter(
    world: World, secret: tuple[str, dict[str, Any]], hours: int
) -> None:
    name, user = secret
    world.set_password(user["username"], new_password())
    shifted = (
        "import time; true, by = time.time, 3600 * float(sys.argv.pop(1)); time.time = lambda: true() + by"
    )
    run_shifted = [sys.executable, "-c", f"import sys; {shifted}; from rotators.cli import main; main()"]
    done = subprocess.run(
        [*run_shifted, str(hours), "rotate", name, "--timeout", "120"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "[credentials-rejected]" in done.stdout, done.stdout + done.stderr


def test_an_unlogged_failure_is_found_in_cloudtrail(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    name, _ = secret
    world.aws.register("silent", "json.loads")  # the step fails without a log line
    world.aws.enable_rotation(name, "silent")
    done = command("rotate", name, "--timeout", "120")
    assert done.status == 1
    assert "during createSecret step" in done.stdout


def test_a_failure_is_found_among_many_calls(world: World) -> None:
    name = unique("cli/broken")
    world.secrets.create_secret(Name=name, SecretString="not JSON")
    world.aws.enable_rotation(name)
    assert command("rotate", name, "--timeout", "120").status == 1
    for _ in range(220):
        world.secrets.describe_secret(SecretId=name)
    assert json.loads(command("show", name, "--json").stdout)["last_failure"]["event"] == "RotationFailed"


def test_each_step_is_shown_with_its_duration(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    done = command("rotate", secret[0])
    lines = [line.split() for line in done.stdout.splitlines() if " ms " in line]
    assert [(line[0], line[-1]) for line in lines] == [(step, "ok") for step in STEPS]
    assert all(float(line[1]) > 0 for line in lines)


def test_a_started_rotation_is_continued_and_awaited(
    world: World, secret: tuple[str, dict[str, Any]]
) -> None:
    name, user = secret
    world.set_password(user["username"], new_password())
    assert run("rotate", name).exit_code == 1
    (token,) = [version for version, held in world.stages(name).items() if "AWSPENDING" in held]
    world.set_password(user["username"], user["password"])
    result = run("rotate", name, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["token"] == token


@contextmanager
def hooked(event: str, hook: Callable[..., None]) -> Iterator[None]:
    """Call a function at an event of the commands' client during the block."""
    events = clients.secrets_manager().meta.events
    events.register(f"{event}.secrets-manager", hook)
    try:
        yield
    finally:
        events.unregister(f"{event}.secrets-manager", hook)


@pytest.mark.parametrize("lost", ["RotateSecret", "DescribeSecret"])
def test_an_error_after_the_start_has_the_token(
    world: World, secret: tuple[str, dict[str, Any]], lost: str
) -> None:
    asked: list[str] = []

    def lose(model: Any, **_: object) -> None:
        asked.append(model.name)
        if model.name == lost and "RotateSecret" in asked:
            raise ReadTimeoutError(endpoint_url="http://localhost")

    name, _ = secret
    with hooked("after-call", lose):
        done = command("rotate", name, "--json")
    document = json.loads(done.stdout)
    assert (done.status, document["outcome"]) == (1, "unknown")
    assert document["error"]["code"] == "service-unavailable/timeout"
    assert world.aws.wait_for_rotation(name, document["token"]).ok


def test_a_refused_start_has_no_token(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    name, _ = secret

    def delete(model: Any, **_: object) -> None:
        if model.name == "RotateSecret":
            world.secrets.delete_secret(SecretId=name)

    with hooked("before-call", delete):
        done = command("rotate", name, "--json")
    assert (done.status, json.loads(done.stdout).keys()) == (1, {"error"})


def test_the_test_of_a_schedule_is_awaited(world: World) -> None:
    name = unique("cli/scheduled")
    value = {"password": "old", "slow": "testSecret"}
    world.secrets.create_secret(Name=name, SecretString=json.dumps(value))
    world.aws.register("slow", "tests.local.handlers.rotate")
    arn = world.aws.function_arn("slow")
    done = command("schedule", name, "--every", "30", "--function", arn, "--yes")
    assert done.status == 0, done.text
    (test,) = [token for token, stages in world.stages(name).items() if "AWSPENDING" in stages]

    def release(model: Any, **_: object) -> None:
        if model.name == "RotateSecret":
            world.secrets.tag_resource(SecretId=name, Tags=[{"Key": "go", "Value": ""}])

    with hooked("after-call", release):
        document = json.loads(command("rotate", name, "--json").stdout)
    assert document["outcome"] == "rotated"
    assert document["token"] != test
    assert "AWSCURRENT" in world.stages(name)[document["token"]]


def test_a_cancelled_rotation_stays_off_without_enable(
    world: World, secret: tuple[str, dict[str, Any]]
) -> None:
    name, _ = secret
    world.secrets.cancel_rotate_secret(SecretId=name)
    assert isinstance(run("rotate", name).exception, RotationNotEnabled)
    assert "--enable" in run("show", name).output
    assert run("rotate", name, "--enable").exit_code == 0


def remedy(*arguments: str) -> list[str]:
    """The command in backquotes that the output names as the next action."""
    return shlex.split(re.findall(r"`((?:aws|rotators) .+?)`", command(*arguments).text)[-1])


def run_remedy(words: list[str], place: Path) -> None:
    if words[0] == "rotators":
        done = command(*words[1:])
        assert done.status == 0, done.text
        return
    tool = Path(sys.executable).parent / "aws"
    if not tool.exists():
        pytest.skip("the AWS CLI is not installed in this environment")
    subprocess.run([tool, *words[1:]], cwd=place, capture_output=True, check=True)


def test_the_remedy_for_unconfigured_rotation_works(world: World, tmp_path: Path) -> None:
    name = unique("cli/new")
    world.secrets.create_secret(Name=name, SecretString=json.dumps(world.user()))
    words = remedy("rotate", name, "--enable")
    assert words == remedy("show", name)
    arn = world.aws.function_arn("rotate")
    run_remedy([arn if word == "ARN" else word for word in words], tmp_path)
    done = command("rotate", name)
    assert done.status == 0, done.text


def test_the_remedy_for_a_deleted_secret_works(
    world: World, secret: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    world.secrets.delete_secret(SecretId=secret[0])
    words = remedy("rotate", secret[0])
    assert words == remedy("show", secret[0])
    run_remedy(words, tmp_path)
    world.aws.enable_rotation(secret[0])
    assert command("rotate", secret[0]).status == 0


def test_the_remedy_for_an_empty_secret_works(world: World, tmp_path: Path) -> None:
    name = unique("cli/empty")
    world.secrets.create_secret(Name=name)
    world.aws.enable_rotation(name)
    (tmp_path / "value.json").write_text(json.dumps(world.user()))
    run_remedy(remedy("show", name), tmp_path)
    assert command("rotate", name).status == 0


def test_show_reports_a_deleted_secret(world: World, secret: tuple[str, dict[str, Any]]) -> None:
    world.secrets.delete_secret(SecretId=secret[0])
    assert "rotators restore" in run("show", secret[0]).output


def test_invoke_does_not_replace_a_staged_version(
    world: World, secret: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    name, _ = secret
    pending = world.begin(name)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"Step": "createSecret", "SecretId": name, "ClientRequestToken": "n" * 36}))
    assert isinstance(run("invoke", "rotate", str(event)).exception, RotationStateError)
    event.write_text(json.dumps({"Step": "createSecret", "SecretId": name, "ClientRequestToken": "short"}))
    assert run("invoke", "rotate", str(event)).exit_code == 1
    assert "AWSPENDING" in world.stages(name)[pending]


def test_show_has_versions_stages_schedule_and_no_value(
    world: World, secret: tuple[str, dict[str, Any]]
) -> None:
    name, user = secret
    rules = {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}
    started = world.secrets.rotate_secret(SecretId=name, RotationRules=rules)
    assert world.aws.wait_for_rotation(name, started["VersionId"]).ok
    result = run("show", name)
    for word in ("AWSCURRENT", "AWSPREVIOUS", "rate(10 days)", "window 3h", "Next:"):
        assert word in result.output
    for value in (user["password"], world.value(name)["password"]):
        assert value not in result.output
        assert value not in run("show", name, "--json").output


def test_show_reports_that_rotation_is_off(world: World) -> None:
    name = unique("cli/plain")
    world.secrets.create_secret(Name=name, SecretString="{}")
    assert "off" in run("show", name).output


@pytest.mark.parametrize("command", ["show", "rotate"])
def test_a_missing_secret_is_an_error_with_code(world: World, command: str) -> None:
    result = run(command, unique("cli/nothing"))
    assert isinstance(result.exception, SecretNotFound)


def test_invoke_stages_the_token_and_runs_each_step(
    world: World, secret: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    name, user = secret
    for path in sorted((ROOT / "events").glob("rotate-single-*.json")):
        event = tmp_path / path.name
        event.write_text(json.dumps({**json.loads(path.read_text()), "SecretId": name}))
        result = run("invoke", "rotate", str(event))
        assert result.exit_code == 0, result.output
    assert world.value(name)["password"] != user["password"]
    assert world.logs_in(world.value(name))


def test_invoke_stores_and_retrieves(world: World, tmp_path: Path) -> None:
    name = unique("cli/stored")
    store, retrieve = tmp_path / "store.json", tmp_path / "retrieve.json"
    store.write_text(json.dumps({"Name": name, "Value": {"user": "someone"}}))
    retrieve.write_text(json.dumps({"SecretId": name}))
    assert json.loads(run("invoke", "store", str(store)).stdout)["Action"] == "created"
    assert json.loads(run("invoke", "retrieve", str(retrieve)).stdout)["Value"] == {"user": "someone"}


def test_a_failed_invoke_shows_a_trace_as_json(world: World, tmp_path: Path) -> None:
    event = tmp_path / "bad.json"
    event.write_text(json.dumps({"SecretIds": "not a list"}))
    done = command("invoke", "retrieve", str(event))
    assert done.status == 1
    assert done.stdout == ""
    assert done.stderr.startswith("rotators: [invalid-event]")
    assert done.stderr.count("\n") == 1
    done = command("invoke", "retrieve", str(event), "--json")
    assert done.status == 1
    assert {"errorMessage", "stackTrace"} <= json.loads(done.stdout).keys()


def test_invoke_refuses_a_file_that_is_not_json(tmp_path: Path) -> None:
    event = tmp_path / "bad.json"
    event.write_text("{")
    assert isinstance(run("invoke", "store", str(event)).exception, InvalidEvent)
