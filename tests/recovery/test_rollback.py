"""`rotators rollback` on real servers: each strategy, each refusal, and a stop at every call."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rotators.aws.secrets import SecretStore
from rotators.core.errors import VersionConflict
from rotators.core.settings import Settings
from rotators.core.states import Stage, holder
from rotators.local.aws import LocalAws
from rotators.recovery.checkup import Mending
from rotators.recovery.rollback import Rollback, _Logins
from rotators.testing import _targets
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._recorder import Act, Kind, Operation, Stop, StopAt, When
from tests.cli.command import Done, command
from tests.world import new_password

KITS = {
    "single": ("postgres", "server", "single", False, 1),
    "helped": ("postgres", "server", "single", True, 1),
    "alternating": ("postgres", "server", "alternating", True, 3),
    "dual": ("redis", "redis_server", "dual", True, 2),
}
"""Engine, fixture of its server, strategy, admin; and the rotations after which a version is rejected that a
rollback can return to."""

RECOVERIES = ("rollback", "repair", "rotation")


@pytest.fixture(scope="module", params=sorted(KITS))
def arranged(request: pytest.FixtureRequest, aws: LocalAws) -> Iterator[tuple[Kit, int]]:
    """Secrets of one engine with one strategy, and the rotations back to a rejected version."""
    engine, fixture, strategy, with_admin, back = KITS[request.param]
    target = _targets.target_on(engine, request.getfixturevalue(fixture))
    with Kit(aws, target, strategy=strategy, with_admin=with_admin) as kit:
        yield kit, back
    target.close()


@pytest.fixture
def case(arranged: tuple[Kit, int]) -> Iterator[Case]:
    with arranged[0].case() as opened:
        yield opened


@pytest.fixture
def single(aws: LocalAws, server: Any) -> Iterator[Case]:
    """One PostgreSQL secret without an admin that has rotated once."""
    target = _targets.target_on("postgres", server)
    with Kit(aws, target, strategy="single") as kit, kit.case(rotations=1) as opened:
        yield opened
    target.close()


def previous(case: Case) -> str:
    found = holder(case.stages(), Stage.PREVIOUS)
    assert found
    return found


def aged(case: Case, rotations: int) -> str:
    """Rotate so often; return the version that was current before."""
    version = case.current_version()
    assert version
    for _ in range(rotations):
        case.rotate()
    return version


def rolled(case: Case, version: str) -> None:
    found = Rollback(SecretStore(), Settings.from_environment(os.environ), case.arn, version)
    found.run(found.plan())


def recover(case: Case, recovery: str, version: str) -> None:
    case.kit.function.restart()
    if recovery == "rollback":
        rolled(case, version)
        assert case.current_version() == version
    elif recovery == "repair":
        settings = Settings.from_environment(os.environ)
        assert Mending(SecretStore(), settings, case.arn, idle=True).run(dry_run=False)["healthy"]
    else:
        case.rotate()


def recorded(case: Case, version: str) -> list[Operation]:
    case.kit.function.restart()
    case.kit.recorder.begin()
    with case.kit.recorder.step("rollback"):
        rolled(case, version)
    return list(case.kit.recorder.operations)


def refused(done: Done, reason: str) -> None:
    assert done.status == 1
    assert json.loads(done.stdout)["error"]["code"] == f"rollback-refused/{reason}", done.stdout


def test_a_rejected_version_is_set_and_current(case: Case, arranged: tuple[Kit, int]) -> None:
    version = aged(case, arranged[1])
    wanted, replaced = case.pending(version), case.current_version()
    assert not case.kit.target.logs_in(wanted)
    planned = json.loads(command("rollback", case.arn, "--version", version, "--json").stdout)
    assert planned["acts"][-2:] == ["set", "promote"]
    assert not case.kit.target.logs_in(wanted), "a plan changes nothing"
    assert case.current_version() == replaced
    done = command("rollback", case.arn, "--version", version, "--yes")
    assert done.status == 0, done.text
    assert case.current() == wanted
    assert case.current_logs_in()
    assert previous(case) == replaced
    assert not [text for text in case.sensitive() if text in done.text]
    case.rotate()
    assert case.current_logs_in()


def test_a_version_that_works_moves_only_the_stage(case: Case, arranged: tuple[Kit, int]) -> None:
    kit, _ = arranged
    if kit.always_usable:
        version = aged(case, 1)
    else:
        version = str(uuid.uuid4())
        current = case.current_version()
        assert current
        case.put(case.current(), version, "KEPT")
    done = command("rollback", case.arn, "--version", version, "--json", "--yes")
    assert "set" not in json.loads(done.stdout)["acts"]
    assert case.current_version() == version
    assert case.current_logs_in()
    case.rotate()
    assert case.current_logs_in()


@pytest.mark.timeout(300)
def test_no_stop_of_a_rollback_locks_out(arranged: tuple[Kit, int]) -> None:
    """The three recoveries take turns, so that each meets every kind of call."""
    kit, _ = arranged
    with kit.case(rotations=1) as case:
        operations = recorded(case, rejected(case))
    assert {Kind.API, Kind.CONNECT} <= {operation.kind for operation in operations}
    places = [(operation, when) for operation in operations for when in When]
    for start in range(0, len(places), 8):
        with kit.case(rotations=1) as case:
            for number, (operation, when) in enumerate(places[start : start + 8], start):
                stopped(case, StopAt(operation.index, when), RECOVERIES[number % len(RECOVERIES)])


def rejected(case: Case) -> str:
    """A version that the target rejects; with a pair of users, always of the first one."""
    if not case.kit.always_usable:
        return aged(case, 1)
    if holder(case.stages(), Stage.PENDING) is None:
        case.rotate()  # so that every rollback makes the same calls
    if case.kit.strategy == "alternating" and case.current()["username"] == case.first["username"]:
        case.rotate()
    base = case.pending(previous(case)) if case.kit.strategy == "alternating" else case.current()
    case.put({**base, "password": new_password()}, version := str(uuid.uuid4()), "KEPT")
    return version


def stopped(case: Case, stop: StopAt, recovery: str) -> None:
    version = rejected(case)
    case.kit.function.restart()
    case.kit.recorder.begin(stop)
    with pytest.raises(Stop), case.kit.recorder.step("rollback"):
        rolled(case, version)
    case.kit.recorder.begin()
    assert case.some_logs_in()
    assert case.current_logs_in() or not case.kit.always_usable
    recover(case, recovery, version)
    assert case.current_logs_in()


def test_a_rotation_under_way_refuses_a_rollback(single: Case) -> None:
    single.step(STEPS[0], single.begin())
    before = single.stages()
    done = command("rollback", single.arn, "--yes", "--json")
    refused(done, "rotation-under-way")
    assert "rotators doctor" in done.stdout
    assert "rotators repair" in done.stdout
    assert single.stages() == before
    assert single.current_logs_in()


def test_a_rotation_after_the_plan_stops_it(single: Case) -> None:
    found = Rollback(SecretStore(), Settings.from_environment(os.environ), single.arn)
    plan = found.plan()
    single.begin()
    with pytest.raises(VersionConflict):
        found.run(plan)
    assert single.current_logs_in()


def test_a_pending_stage_left_behind_is_removed(single: Case) -> None:
    current, version = single.current_version(), previous(single)
    assert current
    single.kit.client.update_secret_version_stage(
        SecretId=single.arn,
        VersionStage=Stage.PENDING,
        MoveToVersionId=current,
        **{"RemoveFromVersionId": held} if (held := holder(single.stages(), Stage.PENDING)) else {},
    )
    assert command("rollback", single.arn, "--yes").status == 0
    assert single.current_version() == version
    assert holder(single.stages(), Stage.PENDING) is None
    assert single.current_logs_in()


def test_a_version_without_value_is_refused(single: Case) -> None:
    single.kit.aws.stage(single.arn, token := str(uuid.uuid4()))
    single.kit.client.update_secret_version_stage(
        SecretId=single.arn, VersionStage="KEPT", MoveToVersionId=token
    )
    single.drop_pending(token)
    refused(command("rollback", single.arn, "--version", token, "--yes", "--json"), "no-value")


@pytest.mark.parametrize("changes", [{"host": "elsewhere.invalid"}, {"dbname": "other"}, {"engine": "mysql"}])
def test_a_version_of_another_target_is_refused(single: Case, changes: dict[str, str]) -> None:
    single.put({**single.current(), **changes}, token := str(uuid.uuid4()), "KEPT")
    before = single.stages()
    refused(command("rollback", single.arn, "--version", token, "--yes", "--json"), "other-target")
    assert single.stages() == before


@pytest.mark.parametrize("arranged", ["alternating"], indirect=True)
def test_alternating_refuses_the_current_users_older_password(case: Case) -> None:
    version = aged(case, 2)
    refused(command("rollback", case.arn, "--version", version, "--yes", "--json"), "same-user")
    assert case.current_logs_in()


@pytest.mark.parametrize("arranged", ["alternating"], indirect=True)
def test_alternating_takes_the_same_users_working_password(case: Case) -> None:
    """The password was set back by hand, or the server was restored: only the wanted version logs in."""
    wanted = case.kit.target.reset(case.current())
    case.put(wanted, version := str(uuid.uuid4()), "KEPT")
    assert not case.current_logs_in()
    done = command("rollback", case.arn, "--version", version, "--yes", "--json")
    assert json.loads(done.stdout)["acts"][-1:] == ["promote"], done.text
    assert case.current_version() == version
    assert case.current_logs_in()
    case.rotate()
    assert case.current_logs_in()


def test_the_plans_rejected_login_counts(single: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "2")
    single.kit.target.reset(single.current())
    with watched(single) as operations:
        done = command("rollback", single.arn, "--yes", "--json")
    assert sum(operation.kind is Kind.CONNECT for operation in operations) == 2
    assert json.loads(done.stdout)["error"]["code"] == "credentials-rejected"


def test_the_last_login_is_the_current_one(single: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older versions, of which one is tried by chance elsewhere, must not use up the last login."""
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "2")
    for _ in range(6):
        single.put({**single.current(), "password": new_password()}, str(uuid.uuid4()), "KEPT")
    for _ in range(2):
        assert command("rollback", single.arn, "--yes").status == 0
        assert single.current_logs_in()


@contextmanager
def watched(case: Case, act: Act | None = None) -> Iterator[list[Operation]]:
    """Record the operations of the block; ``act`` is called before and after each."""
    case.kit.function.restart()
    case.kit.recorder.begin(act)
    with case.kit.recorder.step("rollback"):
        yield case.kit.recorder.operations
    case.kit.recorder.begin()


PLACES = [
    (Kind.STATEMENT, "ALTER ROLE", When.BEFORE, "the target may already accept", []),
    (Kind.STATEMENT, "ALTER ROLE", When.AFTER, "the target may already accept", []),
    (Kind.API, "UpdateSecretVersionStage", When.BEFORE, "or already on", ["set"]),
    (Kind.API, "UpdateSecretVersionStage", When.AFTER, "or already on", ["set"]),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[2]} {place[1]}")
def test_an_interruption_explains_how_to_continue(
    single: Case, place: tuple[Kind, str, When, str, list[str]]
) -> None:
    kind, name, side, words, made = place
    if pending := holder(single.stages(), Stage.PENDING):
        single.drop_pending(pending)
    version, current = previous(single), single.current_version()

    def press(operation: Operation, when: When) -> None:
        if (operation.kind, operation.name, when) == (kind, name, side):
            raise KeyboardInterrupt

    with watched(single, press):
        done = command("rollback", single.arn, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], told["made"]) == (1, "interrupted", made)
    assert (told["current"], told["wanted"], told["error"]) == (current, version, None)
    assert words in told["left"]
    assert current in told["left"]
    assert version in told["left"]
    again = f"rotators rollback {single.arn} --version {version} --yes"
    assert told["next"] == f"`{again}` continues."
    assert command(*again.split()[1:]).status == 0
    assert single.current_version() == version
    assert single.current_logs_in()


def test_an_error_in_the_middle_is_one_document(single: Case) -> None:
    """A rotation begins right after the target was set."""
    version = previous(single)
    begun: list[Operation] = []

    def begin(operation: Operation, when: When) -> None:
        if operation.name == "ALTER ROLE" and when is When.AFTER and not begun:
            begun.append(operation)
            single.begin()

    with watched(single, begin):
        done = command("rollback", single.arn, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"]) == (1, "failed")
    assert (told["error"]["code"], "set" in told["made"]) == ("version-conflict", False)
    assert f"the target may already accept version {version}" in told["left"]
    assert f"rotators rollback {single.arn} --version {version} --yes" in told["next"]
    assert "[version-conflict]" in done.stderr


def test_an_interruption_is_reported_as_text(single: Case) -> None:
    def press(operation: Operation, when: When) -> None:
        if operation.name == "ALTER ROLE" and when is When.BEFORE:
            raise KeyboardInterrupt

    with watched(single, press):
        done = command("rollback", single.arn, "--yes")
    assert done.status == 1
    assert "Interrupted: the command did not move AWSCURRENT" in done.stdout
    assert f"Next: `rotators rollback {single.arn} --version" in done.stdout


def test_the_current_version_needs_no_rollback(single: Case) -> None:
    done = command("rollback", single.arn, "--version", str(single.current_version()), "--yes", "--json")
    assert done.status == 0
    assert json.loads(done.stdout)["state"] == "unneeded"


def test_without_an_engine_only_the_stage_moves(single: Case) -> None:
    arn = single.kit.store({"token": "first"})
    single.kit.client.put_secret_value(SecretId=arn, SecretString="no JSON")
    done = command("rollback", arn)
    assert done.status == 1
    assert "only the stage moves" in done.stdout
    assert "--version" in done.stdout
    assert command("rollback", arn, "--yes").status == 0
    answer = single.kit.client.get_secret_value(SecretId=arn)
    assert json.loads(answer["SecretString"]) == {"token": "first"}


def test_a_rotated_secret_without_engine_needs_its_rotator(single: Case) -> None:
    """The function's ROTATOR may name a rotator that this process does not have."""
    arn = single.kit.store({"token": "first"})
    single.kit.aws.enable_rotation(arn)
    single.kit.client.put_secret_value(SecretId=arn, SecretString='{"token": "second"}')
    refused(command("rollback", arn, "--yes", "--json"), "no-rotator")
    assert "second" in single.kit.client.get_secret_value(SecretId=arn)["SecretString"]


def test_a_rotation_during_the_logins_stops_it(single: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rollback(SecretStore(), Settings.from_environment(os.environ), single.arn)
    plan = found.plan()
    set_by_plan = _Logins.set

    def set_and_rotate(logins: _Logins) -> None:
        set_by_plan(logins)
        single.begin()

    monkeypatch.setattr(_Logins, "set", set_and_rotate)
    before = single.current_version()
    with pytest.raises(VersionConflict):
        found.run(plan)
    assert single.current_version() == before


def test_a_lost_answer_of_the_move_is_success(single: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    version, promote = previous(single), SecretStore.promote

    def twice(store: SecretStore, arn: str, token: str, current: str | None) -> None:
        promote(store, arn, token, current)
        promote(store, arn, token, current)

    monkeypatch.setattr(SecretStore, "promote", twice)
    assert command("rollback", single.arn, "--yes").status == 0
    assert single.current_version() == version
    assert single.current_logs_in()


def test_an_empty_id_is_not_the_previous_version(single: Case) -> None:
    before = single.stages()
    assert command("rollback", single.arn, "--version", "", "--yes").status == 2
    assert single.stages() == before
