"""Strategy ``alternating`` on a server in memory: which user gets the password, and what stops it."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    RotatorFailure,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.request import Step
from rotators.core.steps import Outcome
from tests.core.server import ADMIN, MANAGED, Place
from tests.core.test_steps import NEW, OLD

PAIR = {**MANAGED, "alternate_username": "second"}
OWN_LOGIN = ("login", "app", "old-password", "db", None)
ADMINS_LOGIN = ("login", "admin", "admin-password", "db", None)


def test_the_clone_gets_the_password_and_the_current_user_stays() -> None:
    place = Place(MANAGED)
    new = place.set()
    assert place.server.did == [OWN_LOGIN, ADMINS_LOGIN, ("ensure_clone", "admin", "app@%", "app_clone", new)]
    place.server.did.clear()
    assert [place.run(Step.TEST), place.run(Step.FINISH)] == [Outcome.DONE] * 2
    assert place.server.did == [("login", "app_clone", new, "db", None), ("check", "app_clone", "app")]
    assert place.server.passwords["app"] == ["old-password"]


def test_the_original_gets_the_next_password() -> None:
    place = Place({**MANAGED, "username": "app_clone"})
    place.server.passwords["app_clone"] = ["old-password"]
    new = place.set()
    assert place.server.changes() == [
        ("require_clone", "admin", "app_clone@%", "app"),
        ("set_credential", "admin", "app", new),
    ]


def test_a_named_second_user_is_proven_and_names_the_first() -> None:
    place = Place(PAIR)
    new = place.set()
    assert place.server.changes() == [
        ("require_clone", "admin", "app@%", "second"),
        ("set_credential", "admin", "second", new),
    ]
    pending = place.store.values[NEW]
    assert (pending["username"], pending["alternate_username"]) == ("second", "app")


def test_a_named_second_user_with_the_suffix_is_not_created() -> None:
    place = Place({**MANAGED, "alternate_username": "app_clone"})
    place.set()
    assert [each[0] for each in place.server.changes()] == ["require_clone", "set_credential"]


@pytest.mark.parametrize("method", ["require_clone", "ensure_clone"])
def test_an_unproven_clone_gets_no_password(method: str) -> None:
    place = Place(PAIR if method == "require_clone" else MANAGED)
    place.server.fails["admin", method] = TargetRefused("no clone")
    with pytest.raises(TargetRefused, match="no clone"):
        place.set()
    assert place.server.did[-1][0] == method


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"username": "sevens_"}, "Set alternate_username"),  # with _clone one byte too long
        ({"username": "sixsix"}, None),
        ({"username": "sixsi\u00e9"}, "Set alternate_username"),
        ({"username": "_clone"}, None),
        ({"alternate_username": "t" * 12}, None),
        ({"alternate_username": "t" * 13}, "Store a value"),
        ({"alternate_username": "\u00e9" * 7}, "Store a value"),
    ],
)
def test_names_have_the_engines_limit(changes: dict[str, str], remedy: str | None) -> None:
    place = Place({**MANAGED, **changes})
    if remedy is None:
        assert place.run(Step.CREATE) is Outcome.DONE
        return
    with pytest.raises(SecretFormatError, match="exceed") as caught:
        place.run(Step.CREATE)
    assert caught.value.remedy.startswith(remedy)
    assert place.store.did == []


def test_a_user_named_as_the_suffix_gets_a_clone() -> None:
    place = Place({**MANAGED, "username": "_clone"})
    place.run(Step.CREATE)
    assert place.store.values[NEW]["username"] == "_clone_clone"


def test_the_second_user_must_be_another() -> None:
    place = Place({**MANAGED, "alternate_username": "app"})
    with pytest.raises(IdentityMismatch, match="is the current user 'app' itself") as caught:
        place.run(Step.CREATE)
    assert caught.value.remedy == "Name the second user there, or remove the key."


def test_a_secret_without_admin_is_refused() -> None:
    value = {**MANAGED, "strategy": "alternating"}
    del value["masterarn"]
    place = Place(value)
    with pytest.raises(SecretFormatError, match="masterarn"):
        place.run(Step.CREATE)
    assert place.store.did == []
    place.store.values[NEW] = place.store.values[OLD].replace(username="app_clone", password="new-password")
    with pytest.raises(SecretFormatError, match="masterarn"):
        place.run(Step.SET)
    assert place.server.did == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": "app"}, "Attempting to modify user 'app'"),
        ({"username": "other"}, "Attempting to modify user 'other'"),
        ({"host": "evil"}, "for host 'evil'"),
        ({"alternate_username": "mine"}, "another alternate_username"),
    ],
)
@pytest.mark.parametrize("value", [MANAGED, PAIR])
def test_a_pending_value_of_another_pair_gets_no_login(
    value: dict[str, str], changes: dict[str, str], words: str
) -> None:
    for step in (Step.SET, Step.TEST):
        place = Place(value)
        place.run(Step.CREATE)
        place.store.values[NEW] = place.store.values[NEW].replace(**changes)
        with pytest.raises(IdentityMismatch, match=words):
            place.run(step)
        assert place.server.did == []


@pytest.mark.parametrize("changes", [{"host": "evil"}, {"username": "app"}, {"username": "app_clone"}])
def test_another_admin_gets_no_login(changes: dict[str, str]) -> None:
    place = Place(MANAGED)
    place.store.admin_value = {**ADMIN, **changes}
    with pytest.raises(IdentityMismatch):
        place.set()
    assert place.server.did == []


def test_a_rejected_current_user_must_be_ordinary() -> None:
    place = Place(MANAGED)
    place.server.passwords["app"] = ["changed by hand"]
    new = place.set()
    expected: list[tuple[Any, ...]] = [
        ADMINS_LOGIN,
        ("require_ordinary", "admin", "app"),
        ("ensure_clone", "admin", "app", "app_clone", new),
    ]
    assert place.server.did == [OWN_LOGIN, *expected]
    assert place.report.rejections == ["current"]
    place.server.did.clear()
    place.run(Step.SET)  # the rejected login is not repeated
    assert place.server.did == expected
    place.server.fails["admin", "require_ordinary"] = TargetRefused("an administrator")
    with pytest.raises(TargetRefused, match="an administrator"):
        place.run(Step.SET)
    assert place.server.did[-1][0] == "require_ordinary"


def test_the_current_login_uses_the_admin_address() -> None:
    place = Place({**MANAGED, "admin_host": "server"})
    place.store.admin_value = {**ADMIN, "host": "server"}
    place.set()
    assert [each[3] for each in place.server.did if each[0] == "login"] == ["server", "server"]


@pytest.mark.parametrize(
    ("error", "account"),
    [
        (TargetUnavailable("too many", reason="user-connections"), "app"),
        (TargetRefused("blocked", reason="blocked"), None),
        (TargetRefused("expired", reason="expired"), None),
    ],
)
def test_the_other_user_is_set_despite_a_limit(error: RotatorFailure, account: str | None) -> None:
    """The server counts a user's sessions after it checked the password; the other errors prove nothing."""
    place = Place(MANAGED)
    place.server.refused["app"] = error
    new = place.set()
    asked = [] if account else [("require_ordinary", "admin", "app")]
    assert place.server.changes() == [*asked, ("ensure_clone", "admin", "app", "app_clone", new)]
    assert place.report.rejections == []


@pytest.mark.parametrize(
    "error",
    [
        TargetUnavailable("silent"),
        TargetRefused("no such database"),
        TargetRefused("read only", reason="user-connections"),
        TargetUnavailable("not now", reason="blocked"),
    ],
)
def test_another_failed_login_ends_the_step(error: RotatorFailure) -> None:
    place = Place(MANAGED)
    place.server.refused["app"] = error
    with pytest.raises(type(error), match=str(error.cause)):
        place.set()
    assert place.server.did == [OWN_LOGIN]


def test_a_rejected_admin_changes_nothing() -> None:
    place = Place(MANAGED)
    place.server.passwords["admin"] = ["another"]
    with pytest.raises(CredentialsRejected):
        place.set()
    assert place.server.did == [OWN_LOGIN, ADMINS_LOGIN]


def test_a_late_step_leaves_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(MANAGED)
    place.set_late(monkeypatch)
    assert place.server.did == [OWN_LOGIN, ADMINS_LOGIN]


def test_a_trial_run_tests_the_current_user() -> None:
    place = Place(MANAGED)
    place.store.values[NEW] = place.store.values[OLD]
    assert place.run(Step.TEST) is Outcome.TESTED_CURRENT
    assert place.server.did == [OWN_LOGIN, ("check", "app", "app_clone")]


def test_a_trial_run_needs_no_name_for_the_clone() -> None:
    place = Place({**MANAGED, "username": "a" * 12})
    place.server.passwords["a" * 12] = ["old-password"]
    assert place.run(Step.TEST) is Outcome.TESTED_CURRENT
    assert place.server.changes() == [("check", "a" * 12, "")]
