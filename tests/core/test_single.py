"""Strategy ``single`` on a server in memory: which login sets the password, and what stops it."""

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
from rotators.core.progress import progress
from rotators.core.request import Step
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.steps import Outcome
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single
from tests.core.server import ADMIN, APP, MANAGED, MemoryEngine, Place
from tests.core.test_steps import ARN, NEW, OLD

SINGLE = {**MANAGED, "strategy": "single"}
BY_ADMIN = ("require_ordinary", "require_resettable", "set_credential")


def test_the_user_sets_its_own_password() -> None:
    place = Place(APP)
    new = place.set()
    assert place.server.did == [
        ("login", "app", "old-password", "db", None),
        ("set_credential", "app", "app", new),
    ]
    assert [place.run(Step.TEST), place.run(Step.FINISH)] == [Outcome.DONE] * 2
    assert place.server.did[2:] == [("login", "app", new, "db", None), ("check", "app", "")]


def test_logins_that_change_use_the_admin_address() -> None:
    place = Place({**APP, "admin_host": "server", "admin_port": 8})
    place.set()
    place.run(Step.TEST)
    assert [each[3:] for each in place.server.did if each[0] == "login"] == [("server", 8), ("db", None)]


def test_a_password_that_is_set_already_is_not_set_again() -> None:
    place = Place(APP)
    new = place.set()
    place.server.did.clear()
    assert place.run(Step.SET) is Outcome.DONE
    assert place.server.tried() == ["old-password", new]
    assert place.server.changes() == []


def test_a_new_token_logs_in_with_the_lost_password() -> None:
    place = Place(APP)
    lost = place.set()
    place.store.stages = {OLD: {"AWSCURRENT"}, "x" * 32: {"AWSPENDING"}}
    new = place.set("x" * 32)
    assert place.server.tried() == ["old-password", lost]
    assert place.server.passwords["app"] == [new]
    assert place.report.rejections == ["current"]


def test_values_of_others_and_broken_ones_are_not_sent() -> None:
    place = Place({**APP, "ssl": False})
    place.server.passwords["app"] = ["last-password"]
    place.add("a", username="other", password="p-of-other")
    place.add("b", password=7)
    place.add("c", host="elsewhere", password="p-elsewhere")
    place.add("d", engine="mysql", password="p-of-mysql")
    place.add("e", ssl=True, password="p-of-tls")
    place.add("f", dbname="mine", password="last-password")
    new = place.set()
    assert place.server.tried() == ["old-password", "last-password"]
    assert place.server.passwords["app"] == [new]


def test_a_password_follows_within_allowed_targets() -> None:
    place = Place({**APP, "host": "new.db"})
    place.settings = Settings.from_environment({"ALLOWED_TARGETS": ".db"})
    place.server.passwords["app"] = ["last-password"]
    place.add("a", host="old.db", password="last-password")
    place.set()
    assert [each[2:4] for each in place.server.did if each[0] == "login"] == [
        ("old-password", "new.db"),
        ("last-password", "new.db"),
    ]


def test_the_admin_sets_it_after_all_were_rejected() -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    new = place.set()
    assert place.server.tried() == ["old-password", new]
    assert place.server.changes()[-3:] == [
        ("require_ordinary", "admin", "app"),
        ("require_resettable", "admin", "app", "old-password", new, True),
        ("set_credential", "admin", "app", new),
    ]
    assert place.server.did[-4] == ("login", "admin", "admin-password", "db", None)


@pytest.mark.parametrize("method", BY_ADMIN)
def test_the_admin_stops_where_the_server_refuses(method: str) -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.server.fails["admin", method] = TargetRefused("no")
    with pytest.raises(TargetRefused, match="no"):
        place.set()
    assert place.server.did[-1][0] == method
    assert place.server.passwords["app"] == ["changed by hand"]


def test_without_admin_a_rejection_names_the_user() -> None:
    place = Place(APP)
    place.server.passwords["app"] = ["changed by hand"]
    with pytest.raises(CredentialsRejected, match="Unable to log into database as 'app': rejected with"):
        place.set()


def refuse(place: Place, where: str, reason: str) -> None:
    error = TargetRefused("not now", reason=reason)
    if where == "login":
        place.server.refused["app"] = error
    else:
        place.server.fails["app", "set_credential"] = error


FOR_ADMIN = ["admin-needed", "blocked", "expired", "must-change", "too-young"]


@pytest.mark.parametrize("reason", FOR_ADMIN)
@pytest.mark.parametrize("where", ["login", "change"])
def test_an_admin_helps_a_refused_user(reason: str, where: str) -> None:
    place = Place(SINGLE)
    refuse(place, where, reason)
    new = place.set()
    assert place.server.tried() == ["old-password"]
    assert place.server.passwords["app"] == [new]
    assert place.server.did[-1][:2] == ("set_credential", "admin")


@pytest.mark.parametrize("where", ["login", "change"])
@pytest.mark.parametrize(("value", "reason"), [(SINGLE, "read-only"), (SINGLE, ""), (APP, "blocked")])
def test_other_refusals_end_the_step(where: str, value: dict[str, str], reason: str) -> None:
    place = Place(value)
    refuse(place, where, reason)
    with pytest.raises(TargetRefused, match="not now"):
        place.set()
    assert place.server.tried() == ["old-password"]
    assert "admin" not in [each[1] for each in place.server.did]


def test_an_unavailable_server_ends_the_step() -> None:
    place = Place(SINGLE)
    place.server.refused["app"] = TargetUnavailable("silent")
    with pytest.raises(TargetUnavailable):
        place.set()
    assert len(place.server.did) == 1


@pytest.mark.parametrize("rejected", [False, True])
def test_no_password_changes_through_a_pooler(rejected: bool) -> None:
    place = Place(SINGLE)
    place.server.behind_pooler = True
    if rejected:
        place.server.passwords["app"] = ["changed by hand"]
    with pytest.raises(TargetRefused, match="a pooler or proxy answers instead of the server") as caught:
        place.set()
    assert caught.value.reason == "pooler"
    assert '"admin_host"' in caught.value.remedy
    assert not [each for each in place.server.changes() if each[0] == "set_credential"]


def test_a_login_with_the_previous_password_goes_on() -> None:
    """A server may accept the password before the newest one, which cannot change it."""
    place = Place(APP)
    place.server.passwords["app"] = ["newest-password", "old-password"]
    place.add("a", password="newest-password")
    new = place.set()
    assert place.server.tried() == ["old-password", "newest-password"]
    assert place.server.passwords["app"] == [new]
    assert place.report.rejections == ["current"]


def test_a_login_with_the_previous_password_counts() -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["newest-password", "old-password"]
    place.server.allowed = 1
    place.add("a", password="newest-password")
    new = place.set()
    assert place.server.tried() == ["old-password"]
    assert place.server.did[-1] == ("set_credential", "admin", "app", new)


def test_a_named_second_user_stays() -> None:
    place = Place({**APP, "alternate_username": "second"})
    new = place.set()
    assert place.server.passwords["app"] == [new]


def test_another_rejected_change_ends_the_step() -> None:
    place = Place(SINGLE)
    place.server.fails["app", "set_credential"] = CredentialsRejected("the session ended")
    with pytest.raises(CredentialsRejected, match="the session ended"):
        place.set()
    assert place.server.tried() == ["old-password"]


@pytest.mark.parametrize(("allowed", "logins"), [(None, 4), (9, 4), (2, 2), (1, 1)])
def test_rejected_logins_stay_below_the_servers_limit(allowed: int | None, logins: int) -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.server.allowed = allowed
    for version in "abcdef":
        place.add(version, password=f"password-{version}")
    place.set()
    assert len(place.server.tried()) == logins
    assert [each for each in place.server.did if each[0] == "rejections_allowed"] == [
        ("rejections_allowed", "admin", "app")
    ]


@pytest.mark.parametrize("error", [TargetRefused("no right"), SecretFormatError("no host")])
def test_a_limit_that_cannot_be_read_is_ignored(error: RotatorFailure) -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["last-password"]
    place.server.fails["admin", "rejections_allowed"] = error
    place.add("a", password="last-password")
    place.set()
    assert place.server.tried() == ["old-password", "last-password"]


def test_a_repeated_step_asks_for_the_limit_first() -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.server.fails["admin", "require_resettable"] = TargetRefused("no")
    place.server.allowed = 2
    for _ in range(2):
        with pytest.raises(TargetRefused):
            place.set()
    assert [each[:2] for each in place.server.did[:2]] == [
        ("login", "admin"),
        ("rejections_allowed", "admin"),
    ]
    assert not place.server.tried()


@pytest.mark.parametrize("value", [APP, SINGLE])
def test_a_late_step_changes_nothing(value: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(value)
    if value is SINGLE:
        place.server.passwords["app"] = ["changed by hand"]
    place.set_late(monkeypatch)
    assert not [each for each in place.server.changes() if each[0] == "set_credential"]


@pytest.mark.parametrize(
    ("error", "left"), [(TargetRefused("a rule"), 2), (TargetUnavailable("lost answer"), 0)]
)
def test_a_lost_answer_forgets_rejected_logins(error: RotatorFailure, left: int) -> None:
    """The change may have been made, so a rejected password may be right now."""
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.server.fails["admin", "set_credential"] = error
    with pytest.raises(type(error)):
        place.set()
    assert rejected_now() == left


def test_a_reset_forgets_rejected_logins() -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.set()
    assert rejected_now() == 0


def rejected_now() -> int:
    """The number of rejected logins that the process remembers for the rotation."""
    return progress.rejected(ARN, NEW, OLD).count()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": "other"}, "Attempting to modify user 'other' other than current user 'app'"),
        ({"host": "evil"}, "for host 'evil', and the current value is for host 'db'"),
        ({"port": 8}, "another port"),
        ({"admin_host": "evil"}, "another admin_host"),
        ({"engine": "mysql"}, "another engine"),
        ({"ssl": False}, "another ssl"),
        ({"masterarn": "arn:mine"}, "another masterarn"),
        ({"strategy": "dual"}, "another strategy"),
        ({"clear_text": True}, "another clear_text"),
        ({"alternate_username": "mine"}, "another alternate_username"),
    ],
)
def test_a_pending_value_of_another_place_gets_no_login(changes: dict[str, object], words: str) -> None:
    for step in (Step.SET, Step.TEST, Step.FINISH):
        place = Place(APP)
        place.run(Step.CREATE)
        place.store.values[NEW] = place.store.values[NEW].replace(**changes)
        with pytest.raises(IdentityMismatch) as caught:
            place.run(step)
        assert words in str(caught.value)
        assert place.server.did == []


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"engine": "mysql"}, "another engine", ""),
        (
            {"host": "evil"},
            "the secret that masterarn names is for host 'evil'",
            "Use the same endpoint name",
        ),
        ({"port": 8}, "another port", ""),
        ({"ssl": False}, "permits an unencrypted connection", 'Remove "ssl": false'),
        ({"username": "app"}, "for the user that is being rotated", ""),
        ({"username": None}, "username", ""),
    ],
)
def test_another_targets_admin_gets_no_login(changes: dict[str, object], words: str, remedy: str) -> None:
    place = Place(SINGLE)
    place.server.passwords["app"] = ["changed by hand"]
    place.store.admin_value = {**ADMIN, **changes}
    with pytest.raises((IdentityMismatch, SecretFormatError), match=words) as caught:
        place.set()
    assert caught.value.remedy.startswith(remedy)
    assert {each[1] for each in place.server.did} == {"app"}


class Formed(MemoryEngine):
    """An engine with a part of the target beside its address, a form of credentials, and identifiers."""

    target_defaults = {"dbname": "main"}  # noqa: RUF012 - the contract's type
    members = {"form": "the form of credentials"}  # noqa: RUF012 - the contract's type
    form_members = ("form",)
    identifiers = ("cluster",)


@pytest.mark.parametrize(
    ("more", "changes", "words", "moved"),
    [
        ({}, {"host": "evil"}, "for host 'evil'", False),
        ({}, {"port": 8}, "another port", False),
        ({"cluster": "main"}, {"host": "evil"}, "for host 'evil'", True),
        ({"cluster": "main"}, {"port": 8}, "another port", True),
        ({"cluster": "main"}, {"cluster": "other"}, "another cluster", False),
        ({}, {"cluster": "other"}, "another cluster", False),
        ({}, {"dbname": "shop"}, "another dbname", False),
        ({}, {"form": "plain"}, "another form", False),
    ],
)
def test_each_declared_key_of_the_target_is_compared(
    more: dict[str, str], changes: dict[str, Any], words: str, moved: bool
) -> None:
    place = Place({**APP, **more})
    place.rotator = EngineRotator(Formed(place.server))
    with pytest.raises(IdentityMismatch, match=words) as caught:
        place.set(**changes)
    assert caught.value.remedy.startswith("If the named cluster") is moved
    assert place.server.did == []


def test_an_identifier_without_address_rotates_nothing() -> None:
    place = Place({**APP, "host": None, "cluster": "main"})
    place.rotator = EngineRotator(Formed(place.server))
    with pytest.raises(SecretFormatError, match="'host'"):
        place.run(Step.CREATE)
    assert place.store.did == []


@pytest.mark.parametrize(
    ("more", "expected"), [({}, ("main", None)), ({"dbname": "shop", "form": "salted"}, ("shop", "salted"))]
)
def test_the_users_value_determines_the_admins(
    more: dict[str, str], expected: tuple[str, str | None]
) -> None:
    place = Place({**SINGLE, **more})
    place.rotator = EngineRotator(Formed(place.server, Single(needs_admin=True)))
    place.store.admin_value = {**ADMIN, "dbname": "postgres", "form": "plain"}
    place.set()
    admin = place.server.values[-1]
    assert admin["username"] == "admin"
    assert (admin["for_dbname"], admin.get("form")) == expected


def test_an_admin_may_use_the_admin_address() -> None:
    place = Place({**SINGLE, "admin_host": "SERVER", "admin_port": "8", "ssl": False})
    place.store.admin_value = {**ADMIN, "host": "server", "port": 8, "ssl": False}
    place.server.passwords["app"] = ["changed by hand"]
    new = place.set()
    assert place.server.did[-4] == ("login", "admin", "admin-password", "server", 8)
    assert place.server.did[-2] == ("require_resettable", "admin", "app", "old-password", new, False)


def test_the_last_login_is_the_current_value() -> None:
    """Older values, one of which is tried by chance, must not use up the last login."""
    for number in range(8):
        place = Place(APP)
        place.settings = Settings(most_rejected=2)
        for version in "abcdef":
            place.add(version, password=f"password-{version}")
        token = f"{number}" * 32
        place.store.stages[token] = {"AWSPENDING"}
        progress.rejected(ARN, token, OLD).add("password-x")
        place.set(token)
        assert place.server.tried() == ["old-password"]


def test_the_last_login_reaches_values_behind_a_rejected_one() -> None:
    tried: set[object] = set()
    for number in range(20):  # one of eight values by chance
        place = Place(SINGLE)
        place.settings = Settings(most_rejected=2)
        place.server.passwords["app"] = ["changed by hand"]
        for version in "abcdef":
            place.add(version, password=f"password-{version}")
        token = f"{number:032}"
        place.store.stages[token] = {"AWSPENDING"}
        progress.rejected(ARN, token, OLD).add("old-password")
        place.set(token)
        tried |= set(place.server.tried())
    assert len(tried) > 1


def needing() -> Place:
    return Place(SINGLE, Single(needs_admin=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": None}, "'username'"),
        ({"username": "t" * 13}, "key 'username' of the secret exceeds 12 bytes"),
        ({"username": "\u00e9" * 7}, "key 'username' of the secret exceeds 12 bytes"),
        ({"password": 7}, "'password'"),
        ({"host": None}, "'host'"),
        ({"host": "db:7"}, "key 'host' of the secret also contains a port"),
        ({"admin_host": "a b"}, "key 'admin_host' of the secret contains blanks"),
        ({"port": 0}, "key 'port' of the secret must be a number"),
        ({"admin_port": "many"}, "key 'admin_port' of the secret must be a number"),
        ({"dbname": 7}, "'dbname'"),
        ({"masterarn": 7}, "'masterarn'"),
        ({"alternate_username": 7}, "'alternate_username'"),
        ({"sslrootcert": 7}, "'sslrootcert'"),
        ({"server_public_key": 7}, "'server_public_key'"),
        ({"form": 7}, "'form'"),
        ({"for_dbname": "mine"}, "key 'for_dbname' has no meaning in a secret; remove it"),
        ({"ssl": "maybe"}, "'ssl'"),
        ({"start_tls": "maybe"}, "'start_tls'"),
        ({"clear_text": "maybe"}, "'clear_text'"),
    ],
)
def test_a_wrong_key_is_named_before_any_login(changes: dict[str, object], words: str) -> None:
    place = Place({**SINGLE, **changes})
    place.rotator = EngineRotator(Formed(place.server, Single()))
    with pytest.raises(SecretFormatError, match=words):
        place.run(Step.CREATE)
    assert place.store.did == []
    place.store.values = {OLD: Secret(SINGLE), NEW: Secret({**SINGLE, **changes})}
    with pytest.raises(SecretFormatError, match=words):
        place.run(Step.SET)
    assert place.server.did == []


def test_the_longest_name_is_accepted() -> None:
    place = Place({**SINGLE, "username": "t" * 12, "form": "salted", "masterarn": "arn:admin"})
    assert place.run(Step.CREATE) is Outcome.DONE


def test_only_the_admin_changes_where_users_cannot() -> None:
    place = needing()
    new = place.set()
    assert place.server.did == [
        ("login", "app", "old-password", "db", None),
        ("check", "app", ""),
        ("login", "admin", "admin-password", "db", None),
        ("set_credential", "admin", "app", new),
    ]


def test_an_unproven_user_must_be_ordinary() -> None:
    place = needing()
    place.server.passwords["app"] = ["changed by hand"]
    place.set()
    assert [each[0] for each in place.server.changes()[-3:]] == list(BY_ADMIN)


def test_a_needed_admin_is_required_before_a_value_is_stored() -> None:
    place = Place({**APP, "strategy": "single"}, Single(needs_admin=True))
    with pytest.raises(SecretFormatError, match="masterarn"):
        place.run(Step.CREATE)
    assert place.store.did == []


def test_unknown_members_survive() -> None:
    place = Place({**APP, "note": ["mine"], "dbname": "shop"})
    new = place.set()
    assert place.store.values[NEW] == Secret({**APP, "note": ["mine"], "dbname": "shop", "password": new})
