"""Strategy `single` on a real server of every engine."""

from __future__ import annotations

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, RotatorsError
from rotators.strategies.engine import Engine
from rotators.testing import Target
from rotators.testing._case import STEPS, Kit
from rotators.testing._recorder import Stop, StopAt, When
from tests.engines.conftest import begun, logins, store
from tests.world import in_one_piece

CREATE, SET, TEST, FINISH = STEPS


def test_after_a_rotation_the_old_password_is_refused(single: Kit, target: Target) -> None:
    with single.case() as case:
        assert target.logs_in(case.rotate())
        assert not target.logs_in(case.first)


def test_the_admin_helps_when_no_stored_password_works(helped: Kit, target: Target) -> None:
    with helped.case() as case:
        target.reset(case.first)
        assert target.logs_in(case.rotate())


def test_without_an_admin_the_error_names_all_tries(single: Kit, target: Target) -> None:
    with single.case(rotations=1) as case:
        before = case.current()
        target.reset(before)
        with pytest.raises(CredentialsRejected, match="rejected with current, pending, previous"):
            case.step(SET, begun(case))
        assert case.current() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("username", "somebody_else"),
        ("host", "127.0.0.1"),
        ("port", 1),
        ("dbname", "elsewhere"),
        ("engine", "another"),
        ("ssl", False),
        ("masterarn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:other-abcdef"),
        ("alternate_username", "somebody_else"),
    ],
)
def test_a_pending_identity_mismatch_is_refused_before_login(
    single: Kit, target: Target, facts: Engine, key: str, value: object
) -> None:
    if key == "dbname" and key not in facts.target_defaults:
        pytest.skip("an engine without databases")
    with single.case() as case:
        token = case.begin()
        case.put({**target.wrong(case.first), key: value}, token, "AWSPENDING")
        single.recorder.begin()
        for step in (SET, TEST):
            with pytest.raises(IdentityMismatch):
                case.step(step, token)
        assert logins(single) == 0


def test_a_rotation_needs_two_logins_and_none_fail(single: Kit) -> None:
    with single.case(rotations=1) as case:
        single.recorder.begin()
        case.rotate()
        assert logins(single) == 2


def test_with_single_the_current_value_fails_after_commit(helped: Kit) -> None:
    """At each place in setSecret."""
    with helped.case() as case:
        token = begun(case)
        helped.recorder.begin()
        case.step(SET, token)
        places = [(operation, when) for operation in helped.recorder.operations for when in When]
    usable = []
    for operation, when in places:
        with helped.case() as case:
            token = begun(case)
            helped.recorder.begin(StopAt(operation.index, when))
            with pytest.raises(Stop):
                case.step(SET, token)
            helped.recorder.begin()
            usable.append(case.current_logs_in())
    assert in_one_piece(usable), list(zip(places, usable, strict=True))
    first, when = places[usable.index(False)]
    assert (first.name, when) == (helped.target.commits, When.AFTER)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"username": None}, "'username'"),
        ({"username": "u" * 400}, "exceeds {} bytes"),
        ({"password": ""}, "'password'"),
        ({"host": None}, "'host'"),
        ({"port": "many"}, "'port'"),
        ({"port": 70_000}, "'port'"),
        ({"ssl": "perhaps"}, "'ssl'"),
        ({"strategy": "another"}, "'strategy'"),
        ({"strategy": "alternating"}, "'masterarn'"),
        ({"engine": "oracle"}, "'oracle'"),
        ({"engine": None}, "'engine'"),
    ],
)
def test_an_invalid_secret_error_names_the_key(
    single: Kit, facts: Engine, change: dict[str, object], named: str
) -> None:
    if change.get("strategy") in {each.name for each in facts.strategies} or "masterarn" not in named:
        expected = named.format(facts.longest_username)
    else:
        expected = "'strategy'"
    with single.case() as case:
        changed = {**case.first, **change}
        store(case, {key: value for key, value in changed.items() if value is not None})
        with pytest.raises(RotatorsError, match=expected):
            case.step(CREATE, case.begin())


def test_the_password_policy_of_the_environment_is_obeyed(
    helped: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_LENGTH", "64")
    monkeypatch.setenv("EXCLUDE_PUNCTUATION", "true")
    with helped.case() as case:
        password = case.pending(begun(case))["password"]
    assert len(password) == 64
    assert password.isalnum()


@pytest.mark.parametrize("copied", [False, True])
def test_a_trial_run_tests_the_current_credential(helped: Kit, target: Target, copied: bool) -> None:
    """RotateImmediately=false calls testSecret with an empty AWSPENDING version, or with a copy."""
    with helped.case() as case:
        token = case.begin()
        if copied:
            case.put(case.first, token, "AWSPENDING")
        case.step(TEST, token)
        target.reset(case.first)
        with pytest.raises(CredentialsRejected, match="rejected the password"):
            case.step(TEST, token)
