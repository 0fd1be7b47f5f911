"""Strategy ``dual`` on a server in memory: who sets the pair, and what stops it."""

from __future__ import annotations

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, TargetRefused
from rotators.core.request import Step
from rotators.core.steps import Outcome
from tests.core.server import ADMIN, APP, MANAGED, Place

ALONE = {**APP, "strategy": "dual"}
WITH_ADMIN = {**MANAGED, "strategy": "dual"}


def test_both_passwords_work_after_each_step() -> None:
    place = Place(ALONE)
    new = place.set()
    assert place.server.did == [
        ("login", "app", "old-password", "db", None),
        ("check", "app", ""),
        ("set_pair", "app", "app", "old-password", new),
    ]
    assert place.run(Step.SET) is Outcome.DONE
    assert place.server.passwords["app"] == [new, "old-password"]
    assert [place.run(Step.TEST), place.run(Step.FINISH)] == [Outcome.DONE] * 2


def test_an_admin_sets_the_pair_of_the_proven_account() -> None:
    place = Place(WITH_ADMIN)
    new = place.set()
    assert place.server.did == [
        ("login", "app", "old-password", "db", None),
        ("check", "app", ""),
        ("login", "admin", "admin-password", "db", None),
        ("set_pair", "admin", "app@%", "old-password", new),
    ]


def test_a_lost_password_makes_the_current_one_work_again() -> None:
    place = Place(ALONE)
    place.server.passwords["app"] = ["lost-password"]
    place.add("a", password="lost-password")
    new = place.set()
    assert place.server.tried() == ["old-password", "lost-password"]
    assert place.server.passwords["app"] == [new, "old-password"]


def test_without_any_login_the_user_must_be_ordinary() -> None:
    place = Place(WITH_ADMIN)
    place.server.passwords["app"] = ["changed by hand"]
    new = place.set()
    assert place.server.changes()[-3:] == [
        ("require_ordinary", "admin", "app"),
        ("require_resettable", "admin", "app", "old-password", new, True),
        ("set_pair", "admin", "app", "old-password", new),
    ]


def test_a_useless_reset_is_not_made() -> None:
    place = Place(WITH_ADMIN)
    place.server.passwords["app"] = ["changed by hand"]
    place.server.fails["admin", "require_resettable"] = TargetRefused("no")
    with pytest.raises(TargetRefused):
        place.set()
    assert place.server.did[-1][0] == "require_resettable"


def test_without_admin_a_rejection_names_the_user() -> None:
    place = Place(ALONE)
    place.server.passwords["app"] = ["changed by hand"]
    with pytest.raises(CredentialsRejected, match="Unable to log into database as 'app'"):
        place.set()
    assert place.server.changes() == []


def test_a_pending_value_of_another_user_gets_no_login() -> None:
    place = Place(ALONE)
    with pytest.raises(IdentityMismatch):
        place.set(username="other")
    assert place.server.did == []


def test_another_targets_admin_is_refused_before_any_login() -> None:
    place = Place(WITH_ADMIN)
    place.store.admin_value = {**ADMIN, "host": "evil"}
    with pytest.raises(IdentityMismatch):
        place.set()
    assert place.server.did == []


@pytest.mark.parametrize("value", [ALONE, WITH_ADMIN])
def test_a_late_step_keeps_the_pair(value: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(value)
    place.set_late(monkeypatch)
    assert place.server.passwords["app"] == ["old-password"]
