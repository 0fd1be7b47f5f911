"""The stored values that setSecret tries on every engine: order, number and target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rotators.core.errors import CredentialsRejected, TargetRefused
from rotators.testing import Target
from rotators.testing._case import STEPS, Case, Kit
from tests.engines.conftest import begun, require_admins, store

CREATE, SET, TEST, FINISH = STEPS


def store_wrong(case: Case, count: int) -> None:
    """Store versions with wrong passwords. The first version still works."""
    for _ in range(count):
        store(case, case.kit.target.wrong(case.first))


def rejected_logins(case: Case) -> int:
    """Number of rejected logins in the last log line of a step."""
    lines = [line for line in case.output.getvalue().splitlines() if "rejected_logins" in line]
    return int(json.loads(lines[-1])["rejected_logins"])


def test_a_new_token_finds_a_value_without_stage(single: Kit) -> None:
    """Other functions lock users out here: setSecret committed, then the stage moved to a new token."""
    with single.case(rotations=2) as case:
        lost = begun(case)
        case.step(SET, lost)
        case.drop_pending(lost)
        assert not case.current_logs_in()
        token = begun(case)
        case.step(SET, token)
        assert rejected_logins(case) == 1, "only the current password may be rejected"
        case.steps(token, TEST, FINISH)
        assert case.current_logs_in()


def test_after_a_restart_the_pending_value_comes_first(single: Kit) -> None:
    with single.case() as case:
        token = begun(case)
        case.step(SET, token)
        single.function.restart()
        case.step(SET, token)
        assert rejected_logins(case) == 1


def test_a_rotation_finds_a_restored_older_password(single: Kit) -> None:
    with single.case() as case:
        store_wrong(case, 1)
        case.rotate()
        assert case.current_logs_in()


def test_unreadable_old_versions_do_not_prevent_recovery(single: Kit, target: Target) -> None:
    with single.case() as case:
        for text in ("plain text, once upon a time", "[]"):
            single.client.put_secret_value(SecretId=case.arn, SecretString=text)
        single.client.put_secret_value(SecretId=case.arn, SecretBinary=b"\x00")
        store_wrong(case, 2)
        assert target.logs_in(case.rotate())
        assert not target.logs_in(case.first)


def test_an_unreadable_previous_version_allows_admin_recovery(helped: Kit, target: Target) -> None:
    with helped.case() as case:
        helped.client.put_secret_value(SecretId=case.arn, SecretString="no JSON")
        store(case, case.first)
        target.reset(case.first)
        assert target.logs_in(case.rotate())


def test_versions_with_custom_stages_are_tried(single: Kit) -> None:
    with single.case() as case:
        (first,) = case.stages()
        single.client.update_secret_version_stage(
            SecretId=case.arn, VersionStage="BACKUP", MoveToVersionId=first
        )
        store_wrong(case, 2)
        case.rotate()
        assert case.current_logs_in()


@pytest.mark.parametrize("limit", [None, 2, 9])
def test_after_four_rejections_untried_versions_are_named(
    single: Kit, target: Target, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """A setting changes the limit."""
    if limit:
        monkeypatch.setenv("MAX_REJECTED_LOGINS", str(limit))
    with single.case() as case:
        store_wrong(case, 8)
        target.reset(case.first)
        with pytest.raises(CredentialsRejected, match="not tried, to keep the account from") as caught:
            case.step(SET, begun(case))
        assert rejected_logins(case) == (limit or 4)
        assert "MAX_REJECTED_LOGINS" in caught.value.remedy


def test_a_higher_limit_allows_trying_every_version(single: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_REJECTED_LOGINS", "20")
    with single.case() as case:
        store_wrong(case, 8)
        case.rotate()
        assert case.current_logs_in()


def test_a_value_stored_after_failure_is_tried_immediately(single: Kit, target: Target) -> None:
    with single.case() as case:
        works = target.reset(case.first)
        token = begun(case)
        for _ in range(2):
            with pytest.raises(CredentialsRejected):
                case.step(SET, token)
        store(case, works)
        case.steps(token, SET, TEST)


@pytest.mark.parametrize("change", ["host", "admin_host", "sslrootcert"])
@pytest.mark.parametrize("staged", [True, False])
def test_a_password_does_not_follow_a_changed_target(
    single: Kit, target: Target, tmp_path: Path, change: str, *, staged: bool
) -> None:
    """The server also answers there, so a password that is sent there would be accepted and changed."""
    with single.case() as case:
        roots = tmp_path / "roots.pem"
        roots.write_bytes(Path(case.first["sslrootcert"]).read_bytes())
        value = str(roots) if change == "sslrootcert" else "127.0.0.1"
        for _ in range(1 if staged else 2):
            store(case, {**target.wrong(case.first), change: value})
        with pytest.raises(CredentialsRejected, match="stored for another target, so not tried") as caught:
            case.step(SET, begun(case))
        assert "ALLOWED_TARGETS" in caught.value.remedy
        assert target.logs_in(case.first)


def test_allowed_targets_lets_passwords_follow_a_moved_database(
    single: Kit, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = target.create()
    with single.case(value={**user, "host": "old.db.internal"}) as case:
        store(case, target.wrong(user))
        monkeypatch.setenv("ALLOWED_TARGETS", f".db.internal,{user['host']}")
        assert target.logs_in(case.rotate())


def test_setsecret_may_be_repeated_after_an_admins_reset(any_strategy: Kit) -> None:
    """The first call used all tries for wrong versions, so the second one makes none."""
    require_admins(any_strategy)
    with any_strategy.case() as case:
        store_wrong(case, 6)
        token = begun(case)
        case.steps(token, SET, SET, TEST, FINISH)
        assert case.current_logs_in()


def test_an_administrator_with_unknown_password_is_not_reset(any_strategy: Kit, target: Target) -> None:
    """Otherwise, anyone who may write the secret could name any administrator in it and get its password."""
    require_admins(any_strategy)
    victim = target.create()
    target.make_administrator(victim)
    with any_strategy.case(value=target.wrong(victim)) as case:
        before = target.footprint(victim)
        with pytest.raises(TargetRefused, match="administrator"):
            case.step(SET, begun(case))
        assert target.footprint(victim) == before
        assert target.logs_in(victim)
