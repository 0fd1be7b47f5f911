"""`rotators doctor` and `rotators repair` on a real server: every state of stages and passwords."""

from __future__ import annotations

import itertools
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rotators.aws import clients
from rotators.aws.secrets import SecretStore
from rotators.aws.views import read_secret
from rotators.cli import cli
from rotators.core.errors import AccessDenied, RequestRefused
from rotators.core.settings import Settings
from rotators.engines.postgres.session import PostgresSession
from rotators.recovery.diagnosis import diagnose
from rotators.recovery.errors import RepairRefused
from rotators.recovery.examination import Examination
from rotators.recovery.mending import repair
from rotators.testing._case import STEPS
from tests.cli.command import command
from tests.world import World, new_password, unique

pytestmark = pytest.mark.processes

Value = dict[str, Any]
State = tuple[str, str, bool, bool, bool]
"""The version whose password the server has, the pending value; True if previous, history, admin exist."""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=True)


def examined(arn: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("doctor", arn, "--idle", "--json").stdout)
    return document


def put(world: World, arn: str, value: Value, *stages: str) -> str:
    token = str(uuid.uuid4())
    world.secrets.put_secret_value(
        SecretId=arn,
        ClientRequestToken=token,
        SecretString=json.dumps(value),
        VersionStages=list(stages),
    )
    return token


def without_stage(world: World, arn: str, value: Value) -> str:
    token = put(world, arn, value, "MINE")
    world.secrets.update_secret_version_stage(SecretId=arn, VersionStage="MINE", RemoveFromVersionId=token)
    return token


def stored(world: World, arn: str) -> list[str]:
    """All values of a secret."""
    listed = world.secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    found = []
    for version in listed:
        try:
            answer = world.secrets.get_secret_value(SecretId=arn, VersionId=version["VersionId"])
        except world.secrets.exceptions.ResourceNotFoundException:
            continue
        found.append(answer["SecretString"])
    return sorted(found)


def states() -> list[State]:
    found = []
    for on_server, pending, previous, history, admin in itertools.product(
        ("current", "pending", "previous", "history", "nobody"),
        ("absent", "empty", "filled"),
        (False, True),
        (False, True),
        (False, True),
    ):
        there = {
            "current": True,
            "pending": pending == "filled",
            "previous": previous,
            "history": history,
            "nobody": True,
        }
        if there[on_server]:
            found.append((on_server, pending, previous, history, admin))
    return found


def arranged(world: World, state: State, strategy: str = "single") -> str:
    """A secret in a state; its user has the password of that state."""
    on_server, pending, previous, history, admin = state
    user = {**world.user(), "strategy": strategy}
    if admin:
        user["masterarn"] = world.admin_secret()
    values = {
        name: {**user, "password": new_password()}
        for name in ("current", "pending", "previous", "history", "nobody")
    }
    world.set_password(user["username"], values[on_server]["password"])
    arn = world.secret(values["previous"] if previous else values["current"])
    if history:
        without_stage(world, arn, values["history"])
    if previous:
        put(world, arn, values["current"], "AWSCURRENT")
    if pending == "empty":
        world.begin(arn)
    if pending == "filled":
        put(world, arn, values["pending"], "AWSPENDING")
    return arn


@pytest.mark.parametrize("state", states(), ids=lambda state: "-".join(map(str, state)))
def test_each_state_ends_healthy_or_names_an_action(world: World, state: State) -> None:
    arn = arranged(world, state)
    before, stages = stored(world, arn), world.stages(arn)
    result = run("repair", arn, "--idle")
    if state[0] == "nobody" and not state[4]:
        assert isinstance(result.exception, RepairRefused), result.output
        assert "put-secret-value" in str(result.exception)
        assert world.stages(arn) == stages
    else:
        assert result.exit_code == 0, result.output
        assert world.logs_in(world.value(arn))
        assert examined(arn)["healthy"]
        world.rotate(arn)
        assert world.logs_in(world.value(arn))
    assert set(before) <= set(stored(world, arn)), "a stored value was lost"


@pytest.mark.parametrize("on_server", ["current", "pending", "previous", "history", "nobody"])
def test_a_pair_of_users_is_repaired_too(world: World, on_server: str) -> None:
    arn = arranged(world, (on_server, "filled", True, True, True), "alternating")
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.logs_in(world.value(arn))
    assert examined(arn)["healthy"]
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_an_interrupted_rotation_of_a_pair_is_finished(world: World) -> None:
    arn = world.secret({**world.user(), "strategy": "alternating", "masterarn": world.admin_secret()})
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    assert examined(arn)["state"] == "promote-pending"
    assert run("repair", arn, "--idle").exit_code == 0
    assert "AWSCURRENT" in world.stages(arn)[token]
    assert world.logs_in(world.value(arn))


def test_a_stage_moved_after_the_diagnosis_stays(world: World) -> None:
    arn = arranged(world, ("pending", "filled", False, False, False))
    found = Examination(SecretStore(), Settings(), read_secret(arn), idle=True).examine()
    assert found.current is not None
    moved = put(world, arn, {**world.value(arn), "password": new_password()}, "AWSCURRENT")
    with pytest.raises(RequestRefused):
        repair(SecretStore(), Settings(), arn, found.current.version, diagnose(found, arn), [])
    assert "AWSCURRENT" in world.stages(arn)[moved]


def test_a_dry_run_changes_nothing_and_shows_repairs(world: World) -> None:
    arn = arranged(world, ("pending", "filled", False, False, False))
    stages = world.stages(arn)
    result = run("repair", arn, "--idle", "--dry-run")
    assert result.exit_code == 0
    assert "would put AWSCURRENT on version" in result.output
    assert world.stages(arn) == stages
    assert not world.logs_in(world.value(arn))


STOPS = {
    "refused": (AccessDenied("no"), "failed", "access-denied"),
    "file": (FileNotFoundError(2, "No such file or directory", "/var/run/token"), "failed", "system-refused"),
    "Ctrl-C": (KeyboardInterrupt(), "interrupted", None),
}


@contextmanager
def stopping(event: str, error: BaseException) -> Iterator[None]:
    """Raise an error at an event of the client for Secrets Manager during the block."""

    def stop(**_: object) -> None:
        raise error

    events = clients.secrets_manager().meta.events
    events.register(f"{event}.secretsmanager.UpdateSecretVersionStage", stop)
    try:
        yield
    finally:
        events.unregister(f"{event}.secretsmanager.UpdateSecretVersionStage", stop)


@pytest.mark.parametrize("event", ["before-call", "after-call"])
@pytest.mark.parametrize("stop", STOPS)
def test_a_stopped_repair_is_one_document(world: World, stop: str, event: str) -> None:
    error, state, code = STOPS[stop]
    arn = arranged(world, ("pending", "filled", False, False, False))
    with stopping(event, error):
        done = command("repair", arn, "--idle", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], told["made"]) == (1, state, [])
    assert (told["error"] and told["error"]["code"]) == code
    assert told["acts"][0].startswith("put AWSCURRENT on version")
    assert told["next"].startswith("repeat the command")
    assert json.loads(command("repair", arn, "--idle", "--json").stdout)["healthy"]
    assert world.logs_in(world.value(arn))


def test_an_examination_that_fails_hides_no_repair(world: World) -> None:
    arn = arranged(world, ("pending", "filled", False, False, False))
    events, moved = (
        clients.secrets_manager().meta.events,
        "after-call.secretsmanager.UpdateSecretVersionStage",
    )

    def stop(**_: object) -> None:
        raise AccessDenied("no")

    def refuse(**_: object) -> None:
        events.register("before-call.secretsmanager.DescribeSecret", stop)

    events.register(moved, refuse)
    try:
        done = command("repair", arn, "--idle")
    finally:
        events.unregister(moved, refuse)
        events.unregister("before-call.secretsmanager.DescribeSecret", stop)
    assert "1 of 1 change made, failed" in done.stdout
    assert "Next: repeat the command" in done.stdout
    assert "[access-denied]" in done.stderr
    assert world.logs_in(world.value(arn))


def test_a_young_rotation_is_not_disturbed(world: World) -> None:
    arn = arranged(world, ("pending", "filled", False, False, False))
    stages = world.stages(arn)
    result = run("repair", arn)
    assert isinstance(result.exception, RepairRefused)
    assert "may still be running" in str(result.exception)
    assert world.stages(arn) == stages


def test_an_unreachable_target_does_not_count_as_rejection(world: World) -> None:
    arn = world.secret({**world.user(), "port": 1})
    document = examined(arn)
    assert document["state"] == "unsure"
    assert document["versions"][0]["trial"] == "unreachable"
    result = run("repair", arn, "--idle")
    assert isinstance(result.exception, RepairRefused)
    assert result.exit_code == 1


def test_another_users_pending_value_loses_its_stage(world: World) -> None:
    other, arn = world.user(), world.secret(world.user())
    put(world, arn, other, "AWSPENDING")
    document = examined(arn)
    trials = {tuple(version["stages"]): version["trial"] for version in document["versions"]}
    assert trials[("AWSPENDING",)] == "foreign"
    assert run("repair", arn, "--idle").exit_code == 0
    assert "AWSPENDING" not in {stage for stages in world.stages(arn).values() for stage in stages}


def test_an_old_password_with_another_database_is_reset(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "dbname": "template1"})
    put(world, arn, {**user, "password": new_password()}, "AWSCURRENT")
    assert examined(arn)["state"] == "reset-by-older"
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["dbname"] == user["dbname"]
    assert world.logs_in(world.value(arn))


def test_a_repair_without_effect_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = world.user()
    arn = world.secret({**user, "strategy": "single", "masterarn": world.admin_secret()})
    world.set_password(user["username"], new_password())
    setting = PostgresSession.set_credential

    def in_vain(session: PostgresSession, user: str, _password: str) -> None:
        setting(session, user, new_password())  # an example of other causes of a rejected login

    monkeypatch.setattr(PostgresSession, "set_credential", in_vain)
    result = run("repair", arn, "--idle")
    assert result.exit_code == 1
    assert "no-effect: This was done and did not help" in result.output
    assert "Next: Do not repeat it." in result.output


def test_the_admin_does_not_bring_back_an_administrator(world: World) -> None:
    boss = world.user(options="CREATEROLE")
    arn = world.secret({**boss, "strategy": "single", "masterarn": world.admin_secret()})
    world.set_password(boss["username"], new_password())
    assert examined(arn)["state"] == "administrator", "doctor must not promise that a repair helps"
    result = run("repair", arn, "--idle")
    assert isinstance(result.exception, RepairRefused)
    assert "administrat" in str(result.exception)
    assert not world.logs_in(world.value(arn))


def test_a_restored_database_gets_its_old_value_back(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    for _ in range(3):
        world.rotate(arn)
    world.set_password(user["username"], user["password"])
    assert examined(arn)["state"] == "restore-older"
    assert run("repair", arn, "--idle").exit_code == 0
    assert world.value(arn)["password"] == user["password"]
    assert world.logs_in(world.value(arn))


def test_the_doctor_explains_and_shows_no_value(world: World) -> None:
    arn = arranged(world, ("pending", "filled", True, True, True))
    values = [json.loads(value) for value in stored(world, arn)]
    result = run("doctor", arn, "--idle")
    assert result.exit_code == 1
    for text in ("rejected", "accepted", "admin", "schedule", "function", "Next: `rotators repair"):
        assert text in result.output
    for output in (result.output, run("doctor", arn, "--idle", "--json").output):
        assert not [value for value in values if value["password"] in output]


def test_doctor_finds_a_rotating_secret_healthy(world: World) -> None:
    name, user = unique("cli/healthy"), world.user()
    world.secrets.create_secret(Name=name, SecretString=json.dumps(user))
    world.aws.enable_rotation(name)
    assert run("rotate", name).exit_code == 0
    result = run("doctor", name)
    assert result.exit_code == 0, result.output
    assert "healthy" in result.output
    assert "Secrets Manager may invoke it" in result.output


def test_a_forbidden_function_and_rejected_admin_are_named(world: World) -> None:
    admin = world.admin_secret(password=new_password())
    arn = world.secret({**world.user(), "masterarn": admin})
    world.secrets.cancel_rotate_secret(SecretId=arn)
    document = examined(arn)
    assert document["healthy"]
    assert document["admin"]["login"] == "rejected"
    notes = " ".join(document["notes"])
    assert "Rotation is off" in notes
    assert "The admin is rejected" in notes


def failed_rotation(world: World) -> tuple[str, str]:
    """A secret whose rotation failed, because its password was changed at the server; ARN and token."""
    user = world.user()
    arn, token = world.secret(user), str(uuid.uuid4())
    world.set_password(user["username"], new_password())
    world.secrets.rotate_secret(SecretId=arn, ClientRequestToken=token)
    assert not world.aws.wait_for_rotation(arn, token).ok
    return arn, token


def test_a_rotation_that_failed_is_judged_at_once(world: World) -> None:
    arn, _ = failed_rotation(world)
    document: dict[str, Any] = json.loads(run("doctor", arn, "--json").stdout)
    assert document["state"] == "lost"
    assert document["last_failure"]["event"] == "RotationFailed"


def test_a_rotation_after_a_failure_is_unchanged(world: World) -> None:
    arn, token = failed_rotation(world)
    world.of(arn).drop_pending(token)
    world.begin(arn)
    document: dict[str, Any] = json.loads(run("doctor", arn, "--json").stdout)
    assert document["state"] == "rotating"


def test_a_retry_of_a_failed_rotation_is_unchanged(world: World) -> None:
    arn, token = failed_rotation(world)
    world.set_password(world.value(arn)["username"], world.value(arn)["password"])
    for step in STEPS[:2]:  # the service repeats all steps with the same token
        event = {"Step": step, "SecretId": arn, "ClientRequestToken": token}
        event["RotationToken"] = str(uuid.uuid4())
        answer = world.aws.client("lambda").invoke(
            FunctionName="rotators-rotate", Payload=json.dumps(event).encode()
        )
        assert "errorType" not in answer["Payload"].read().decode()
    document: dict[str, Any] = json.loads(run("doctor", arn, "--json").stdout)
    assert document["state"] == "rotating"
    stages = world.stages(arn)
    assert isinstance(run("repair", arn).exception, RepairRefused)
    assert world.stages(arn) == stages


def test_a_rotation_of_a_stopped_function_is_examined(world: World) -> None:
    lambdas, name = world.aws.client("lambda"), "rotators-rotate"
    before = lambdas.get_function_configuration(FunctionName=name)["Timeout"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # createSecret uses no database and succeeds; setSecret waits for it until Lambda ends the function.
        arn = world.secret({**world.user(), "port": silent.getsockname()[1]})
        token = str(uuid.uuid4())
        lambdas.update_function_configuration(FunctionName=name, Timeout=2)
        try:
            world.secrets.rotate_secret(SecretId=arn, ClientRequestToken=token)
            outcome = world.aws.wait_for_rotation(arn, token)
        finally:
            lambdas.update_function_configuration(FunctionName=name, Timeout=before)
        assert [step.ok for step in outcome.steps] == [True, False]
        assert "timed out" in str(outcome.steps[-1].error_message)
        document: dict[str, Any] = json.loads(run("doctor", arn, "--json").stdout)
    assert document["state"] == "unsure"


@pytest.mark.parametrize("stage", ["[/x]", "[bold red]stage", "\x1b[31mstage"])
def test_stages_are_shown_as_they_are(world: World, stage: str) -> None:
    arn = world.secret(world.user())
    put(world, arn, world.value(arn), "AWSCURRENT", stage)
    output = run("doctor", arn).output
    assert "\x1b" not in output
    assert stage.replace("\x1b", "\\x1b") in output
