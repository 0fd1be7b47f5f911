"""Commands append a record of each change to the file of ROTATORS_AUDIT_FILE, and never fail by it."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no annotations

from rotators.aws import clients
from rotators.cli.auditing import VARIABLE
from rotators.cli.schema import schema_of
from rotators.testing._case import STEPS
from tests.clear_text import record
from tests.cli.command import command
from tests.manage.conftest import Fleet
from tests.manage.test_stopped_changes import COMMANDS, LOST, stopping
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

SCHEMA = Draft202012Validator(schema_of("audit-record"))
TAGGING = ("--set", "env=prod", "--yes")


@pytest.fixture
def fleet(aws: LocalAws) -> Fleet:
    return Fleet(aws, f"{unique('fleet')}/")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the records; it does not exist yet."""
    path = tmp_path / "audit.jsonl"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def changes_in(file: Path) -> list[dict[str, Any]]:
    """The records of a file that are about no read."""
    return [each for each in records(file) if each.get("operation") != "GetSecretValue"]


def records(file: Path) -> list[dict[str, Any]]:
    """The records of a file, which is searched for passwords at the end of the run."""
    text = file.read_text(encoding="ascii")
    record(str(file), text)
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        SCHEMA.validate(line)
    return [line["audit"] for line in lines]


@pytest.mark.parametrize("operation", COMMANDS)
def test_each_change_is_one_record(fleet: Fleet, operation: str, file: Path, tmp_path: Path) -> None:
    for number in range(3):
        fleet.add(str(number))
    words = COMMANDS[operation](fleet, tmp_path)
    file.unlink(missing_ok=True)
    done = command(*words, "--yes", "--json")
    assert (done.status, done.stderr) == (0, "")
    changes, found = json.loads(done.stdout)["changes"], changes_in(file)
    assert len(found) == len(changes)
    several = words[:2] == ["key", "change"]  # one change consists of several calls
    for each, change in zip(found, changes, strict=True):
        assert change["arn"] in {each["secret"], None}
        assert f":secret:{change['secret']}-" in each["secret"]
        assert each["api_request_id"] or each["operation"] == "RotateSecret"
        assert (each["source"], each["outcome"]) == ("command", "succeeded")
        assert " ".join(words).startswith(f"{each['action']} ")
        assert each["caller"].startswith("arn:aws:")
        assert each["account"] == "123456789012"
        assert each["region"]
    assert several or operation in {each["operation"] for each in found}
    stored = [each for each in found if each.get("operation") in {"CreateSecret", "PutSecretValue"}]
    assert all(len(each["versions"]) == 1 for each in stored if words[0] == "import")
    assert len({each["request_id"] for each in found}) == 1
    assert len({each["id"] for each in found}) == len(found)


def test_a_plan_writes_nothing(fleet: Fleet, file: Path) -> None:
    fleet.add("0")
    assert command("tag", "--name", fleet.prefix, "--set", "env=prod").status == 1
    assert command("list", fleet.prefix).text
    assert not file.exists()


def test_without_the_variable_sts_is_not_called(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(clients, "sts", lambda: pytest.fail("STS was called"))
    fleet.add("0")
    assert command("tag", "--name", fleet.prefix, *TAGGING).status == 0


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [(LOST, "unknown", "service-unavailable"), (KeyboardInterrupt(), "unknown", None)],
    ids=["lost", "interrupted"],
)
def test_a_stopped_change_may_have_been_made(
    fleet: Fleet, file: Path, error: BaseException, outcome: str, code: str | None
) -> None:
    fleet.add("0")
    with stopping("TagResource", 1, error):
        assert command("tag", "--name", fleet.prefix, *TAGGING).status == 1
    (found,) = records(file)
    assert found["outcome"] == outcome
    assert str(found.get("error_code")).startswith(str(code))


def test_a_refused_change_has_its_code(fleet: Fleet, file: Path) -> None:
    fleet.add("0")
    done = command("schedule", "--name", fleet.prefix, "--every", "30", "--function", "no-function", "--yes")
    assert done.status == 1
    (found,) = records(file)
    assert found["outcome"] == "failed"
    assert found["error_code"]
    assert "no-function" not in json.dumps(found)


def test_tags_and_values_are_in_no_record(fleet: Fleet, file: Path, tmp_path: Path) -> None:
    words = [new_password() for _ in range(3)]
    fleet.add("0")
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({f"{fleet.prefix}1": {"password": words[0]}}))
    assert command("import", str(secrets), "--yes").status == 0
    command("tag", "--name", fleet.prefix, "--set", f"password={words[1]}", "--yes")
    command("export", "--name", fleet.prefix, "-o", str(tmp_path / "exported"))
    assert {each["action"] for each in records(file)} == {"import", "tag", "export"}
    text = file.read_text()
    assert not [word for word in words if word in text]


def test_the_file_belongs_to_its_owner_only(fleet: Fleet, file: Path) -> None:
    fleet.add("0")
    before = os.umask(0)
    try:
        command("tag", "--name", fleet.prefix, *TAGGING)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("rest", ["", '{"audit":{"version":1,"id":"cut o'])
def test_a_record_begins_its_own_line(fleet: Fleet, file: Path, rest: str) -> None:
    fleet.add("0")
    file.write_text(f"first\n{rest}")
    command("tag", "--name", fleet.prefix, *TAGGING)
    *before, last = file.read_text().splitlines()
    assert before == ["first", *([rest] if rest else [])]
    assert json.loads(last)["audit"]["action"] == "tag"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return str(folder / "pipe")


@pytest.mark.parametrize(
    "place",
    [
        lambda _: "/dev/full",
        str,
        lambda folder: f"{folder}/none/file",
        pipe,
        lambda _: "x" * 5000,
    ],
    ids=["full", "folder", "missing", "pipe", "long"],
)
def test_a_lost_record_is_printed(
    fleet: Fleet, place: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.add("0")
    path = place(tmp_path)
    monkeypatch.setenv(VARIABLE, path)
    done = command("tag", "--name", fleet.prefix, *TAGGING, "--json")
    assert done.status == 0
    assert json.loads(done.stdout)["state"] == "done"
    told = done.stderr[done.stderr.index('{"audit"') :].partition(". Next: ")[0]
    SCHEMA.validate(json.loads(told))
    assert done.stderr.count("\n") == 1


def test_a_closed_stderr_changes_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.add("0")
    monkeypatch.setenv(VARIABLE, "/dev/full")
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr("click.utils._default_text_stderr", lambda: stream)
    assert command("tag", "--name", fleet.prefix, *TAGGING).status == 0


def test_an_unknown_caller_is_left_out(fleet: Fleet, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "sts", lambda: 1 / 0)
    fleet.add("0")
    assert command("tag", "--name", fleet.prefix, *TAGGING).status == 0
    (found,) = records(file)
    assert "caller" not in found


def test_read_values_are_recorded(fleet: Fleet, file: Path, tmp_path: Path) -> None:
    names = [fleet.add(str(number), {"port": number}) for number in range(2)]
    assert command("export", *names, "-o", str(tmp_path / "out")).status == 0
    missing = command("exec", names[0], "--", "no-program-of-this-name")
    assert "program-not-started" in missing.stderr
    found = records(file)
    assert [each["action"] for each in found] == ["export", "export", "exec"]
    for each in found:
        assert each["secret"].startswith("arn:")
        assert len(each["versions"]) == 1


def test_compared_values_are_recorded(fleet: Fleet, file: Path, tmp_path: Path) -> None:
    name, secrets = fleet.add("0", "old"), tmp_path / "secrets.json"
    secrets.write_text(json.dumps({name: "old", f"{fleet.prefix}new": "x"}))
    command("import", str(secrets))
    (found,) = records(file)
    assert (found["action"], found["operation"]) == ("import", "GetSecretValue")
    fleet.secrets.put_secret_value(SecretId=name, SecretString='{"port": 1}')
    fleet.secrets.put_secret_value(SecretId=name, SecretString='{"port": 2}')
    assert command("diff", name).status == 0
    _, before, after = records(file)
    assert before["action"] == after["action"] == "diff"
    assert before["versions"] != after["versions"]


@pytest.mark.parametrize("action", ["doctor", "check"])
def test_tried_values_are_recorded_once(world: World, file: Path, action: str) -> None:
    admin = world.admin_secret()
    arn = world.secret({**world.user(), "masterarn": admin})
    command(action, arn)
    found = [(each["secret"], *each.get("versions", ())) for each in records(file)]
    assert {(arn, *world.stages(arn)), (admin,)} <= set(found)
    assert len(set(found)) == len(found)
    assert {each["action"] for each in records(file)} == {action}


def test_a_change_of_a_key_names_the_key(aws: LocalAws, file: Path) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    done = command("key", "rotate", key, "--yes")
    assert done.status == 0, done.text
    (found,) = records(file)
    assert (found["action"], found["outcome"]) == ("key rotate", "succeeded")
    assert key in found["key"]
    assert "secret" not in found


def test_a_rotation_is_recorded_with_its_token(world: World, file: Path) -> None:
    arn = world.secret(world.user())
    done = json.loads(command("rotate", arn, "--json").stdout)
    (found,) = records(file)
    assert (found["secret"], found["versions"]) == (arn, [done["token"]])
    assert (found["action"], found["operation"]) == ("rotate", "RotateSecret")


def test_a_lost_answer_leaves_the_token(world: World, file: Path) -> None:
    arn = world.secret(world.user())

    def lose(**_: object) -> None:
        raise LOST

    events = clients.secrets_manager().meta.events
    events.register("after-call.secrets-manager.RotateSecret", lose)
    try:
        told = json.loads(command("rotate", arn, "--json").stdout)
    finally:
        events.unregister("after-call.secrets-manager.RotateSecret", lose)
    assert world.aws.wait_for_rotation(arn, told["token"]).ok
    (found,) = records(file)
    assert (found["outcome"], found["versions"]) == ("unknown", [told["token"]])


def test_repair_and_rollback_name_moved_stages(world: World, file: Path) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    (current,) = (each for each, stages in world.stages(arn).items() if "AWSCURRENT" in stages)
    assert command("repair", arn, "--idle", "--dry-run").status == 0
    assert command("repair", arn, "--idle").status == 0
    done = command("rollback", arn, "--yes")
    assert done.status == 0, done.text
    repaired, rolled = changes_in(file)
    assert (repaired["action"], repaired["result"]) == ("repair", "healthy")
    move = {"stage": "AWSCURRENT", "from_version": current, "to_version": token}
    assert move in repaired["moved"]
    assert rolled["moved"][-1] == {"stage": "AWSCURRENT", "from_version": token, "to_version": current}
    assert rolled["secret"] == repaired["secret"] == arn


def test_a_hostile_argument_is_made_visible(file: Path, aws: LocalAws) -> None:
    del aws
    command("repair", "\x1b]0;owned\x07\nNext: rm")
    (found,) = records(file)
    assert found["outcome"] == "failed"
    assert found["secret"] == r"\x1b]0;owned\x07\nNext: rm"
