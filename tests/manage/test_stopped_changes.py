"""Commands that are stopped in the middle: one JSON document with the changes made, and the next action."""

from __future__ import annotations

import contextlib
import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from rotators.aws import clients
from rotators.cli import main
from rotators.cli.signals import handled
from tests.cli.command import Done, command
from tests.manage.conftest import Fleet

LOST = ReadTimeoutError(endpoint_url="http://localhost")
NO_TOKEN = FileNotFoundError(2, "No such file or directory", "/var/run/token")
"""The error of boto3 if the file of a web identity does not exist."""

MIDDLE = ["done", "unknown", "planned"]


def selecting(*words: str) -> Callable[[Fleet, Path], list[str]]:
    """The arguments of a command about the whole group."""
    return lambda fleet, _: [words[0], "--name", fleet.prefix, *words[1:]]


def scheduling(fleet: Fleet, _: Path) -> list[str]:
    function = fleet.aws.function_arn("rotate")
    return ["schedule", "--name", fleet.prefix, "--every", "30", "--function", function]


def unreplicating(fleet: Fleet, _: Path) -> list[str]:
    assert command("replicate", "--name", fleet.prefix, "--to", "eu-west-1", "--yes").status == 0
    return ["unreplicate", "--name", fleet.prefix, "--from", "eu-west-1"]


def restoring(fleet: Fleet, _: Path) -> list[str]:
    assert command("delete", "--name", fleet.prefix, "--yes").status == 0
    return ["restore", "--name", fleet.prefix]


def importing(fleet: Fleet, folder: Path) -> list[str]:
    file = folder / "secrets.json"
    file.write_text(json.dumps({f"{fleet.prefix}new-{number}": {"port": number} for number in range(3)}))
    return ["import", str(file)]


def renaming(fleet: Fleet, _: Path) -> list[str]:
    name = f"{fleet.prefix}0"
    fleet.secrets.put_secret_value(SecretId=name, SecretString="second")
    return ["rename", name, f"{fleet.prefix}new"]


def changing_the_key(fleet: Fleet, _: Path) -> list[str]:
    kms = fleet.aws.client("kms")
    new = kms.create_key()["KeyMetadata"]["KeyId"]
    return ["key", "change", "--from", "alias/aws/secretsmanager", "--to", new, "--name", fleet.prefix]


COMMANDS = {
    "TagResource": selecting("tag", "--set", "env=prod"),
    "RotateSecret": scheduling,
    "ReplicateSecretToRegions": selecting("replicate", "--to", "eu-west-1"),
    "RemoveRegionsFromReplication": unreplicating,
    "DeleteSecret": selecting("delete"),
    "RestoreSecret": restoring,
    "CreateSecret": importing,
    "PutSecretValue": renaming,
    "UpdateSecret": changing_the_key,
}
"""Operation of the API that makes the second change of a command, and the command's arguments."""


@pytest.fixture
def three(fleet: Fleet) -> Fleet:
    for number in range(3):
        fleet.add(str(number))
    return fleet


@contextmanager
def stopping(operation: str, call: int, stop_by: BaseException | signal.Signals) -> Iterator[None]:
    """Raise an error or a signal in one call of an operation during the block; the first call is 1."""
    calls: list[object] = []

    def stop(**_: object) -> None:
        calls.append(0)
        if len(calls) != call:
            return
        if isinstance(stop_by, BaseException):
            raise stop_by
        try:
            signal.raise_signal(stop_by)
        finally:
            signal.raise_signal(stop_by)  # a second one, as impatient people send it

    events = clients.secrets_lister().meta.events
    events.register(f"before-call.secretsmanager.{operation}", stop)
    try:
        yield
    finally:
        events.unregister(f"before-call.secretsmanager.{operation}", stop)


def states(done: Done) -> list[Any]:
    return [each["state"] for each in json.loads(done.stdout)["changes"]]


@pytest.mark.parametrize("operation", COMMANDS)
def test_an_interrupted_command_reports_what_it_did(three: Fleet, operation: str, tmp_path: Path) -> None:
    words = COMMANDS[operation](three, tmp_path)
    call = 1 if words[0] == "rename" else 2  # a rename creates the copy first
    with stopping(operation, call, KeyboardInterrupt()):
        done = command(*words, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], states(done)) == (1, "interrupted", MIDDLE)
    assert told["next"].startswith("repeat the command")
    again = command(*words, "--yes", "--json")
    assert (again.status, states(again)) == (0, ["done", "done"])


ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def terminal() -> Iterator[None]:
    """Signals as a process of a terminal has them; in the background, shells let some be ignored."""
    with (
        handled((signal.SIGINT,), signal.default_int_handler),
        handled(ENDINGS[1:], signal.SIG_DFL),
    ):
        yield


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_ends_with_one_document(three: Fleet, number: signal.Signals) -> None:
    with stopping("TagResource", 2, number):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], states(done)) == (1, "interrupted", MIDDLE)
    assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_before_changes_is_reported(three: Fleet, number: signal.Signals) -> None:
    with stopping("DescribeSecret", 2, number):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    assert (done.status, json.loads(done.stdout)["error"]["code"]) == (1, "interrupted")
    assert "[interrupted]" in done.stderr


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", ENDINGS)
def test_a_later_signal_cuts_no_document(three: Fleet, number: signal.Signals) -> None:
    class Pressed(io.StringIO):
        def write(self, text: str) -> int:
            signal.raise_signal(number)
            return super().write(text)

    words = ("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    with contextlib.redirect_stdout(Pressed()) as out, pytest.raises(SystemExit):
        main(words)
    assert json.loads(out.getvalue())["state"] == "done"


@pytest.mark.usefixtures("terminal")
def test_an_ignored_signal_ends_nothing(three: Fleet) -> None:
    with handled((signal.SIGHUP,), signal.SIG_IGN), stopping("TagResource", 2, signal.SIGHUP):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    assert (done.status, states(done)) == (0, ["done"] * 3)


def test_a_missing_file_gives_a_document(aws: object, tmp_path: Path) -> None:
    done = command("import", str(tmp_path / "missing.json"), "--json")
    assert (done.status, json.loads(done.stdout)["error"]["code"]) == (1, "system-refused")


def test_an_unexpected_error_reports_what_was_done(three: Fleet) -> None:
    with stopping("TagResource", 2, NO_TOKEN):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], states(done)) == (1, "failed", MIDDLE)
    assert told["next"].startswith("repeat the command")
    assert told["error"]["code"] == "system-refused"
    assert "/var/run/token" in done.stderr


def test_a_change_without_an_answer_is_unknown(three: Fleet) -> None:
    with stopping("TagResource", 2, LOST):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], states(done)) == (1, "incomplete", ["done", "unknown", "done"])
    assert told["changes"][1]["error"]["code"] == "service-unavailable/timeout"
    assert "repeat the command" in told["next"]


def test_expired_credentials_end_the_changes(three: Fleet) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "TagResource")
    with stopping("TagResource", 2, expired):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    assert (done.status, states(done)) == (1, ["done", "refused", "planned"])
    assert json.loads(done.stdout)["next"].startswith("correct the causes that the errors name, then repeat")


def test_a_refused_change_explains_how_to_continue(three: Fleet) -> None:
    words = ("schedule", "--name", three.prefix, "--every", "30", "--yes", "--json")
    told = json.loads(command(*words).stdout)  # no secret has a function
    assert (told["state"], {each["state"] for each in told["changes"]}) == ("incomplete", {"refused"})
    assert told["next"].startswith("correct the causes that the errors name, then repeat")


def test_an_interrupted_listing_is_one_document(three: Fleet) -> None:
    with stopping("ListSecrets", 1, KeyboardInterrupt()):
        done = command("tag", "--name", three.prefix, "--set", "env=prod", "--yes", "--json")
    assert (done.status, json.loads(done.stdout)["error"]["code"]) == (1, "interrupted")
    assert not any(three.secrets.describe_secret(SecretId=f"{three.prefix}{n}").get("Tags") for n in range(3))


def test_each_document_has_a_next_action(three: Fleet) -> None:
    words = ("tag", "--name", three.prefix, "--set", "env=prod", "--json")
    found = [json.loads(command(*words, *more).stdout) for more in ((), ("--yes",), ("--yes",))]
    assert [each["state"] for each in found] == ["planned", "done", "unneeded"]
    assert "--yes" in found[0]["next"]
    assert f"rotators show {three.prefix}" in found[1]["next"]
    assert "rotators list" in found[2]["next"]
