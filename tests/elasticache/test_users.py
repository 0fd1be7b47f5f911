"""Users of ElastiCache and MemoryDB: slow changes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    RotatorsError,
    SecretFormatError,
    ServiceUnavailable,
    TargetRefused,
    TargetUnavailable,
)
from rotators.local.aws import LocalAws
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._recorder import Operation, When
from rotators.testing._targets.elasticache import ElastiCacheTarget
from tests.elasticache.caches import calls, slow
from tests.world import new_password

CREATE, SET, TEST, FINISH = STEPS
CHANGES = ("ModifyUser", "UpdateUser")


def code(kind: type[RotatorsError], case: Case, step: str, token: str) -> str:
    """The code of the error of a step."""
    with pytest.raises(kind) as caught:
        case.step(step, token)
    return caught.value.full_code


def test_users_rotate_with_dual_by_default(kit: Kit, target: ElastiCacheTarget) -> None:
    with kit.case() as case:
        new = case.rotate()
        assert target.logs_in(case.first)
        assert target.logs_in(new)
        case.rotate()
        assert not target.logs_in(case.first)


def test_the_test_waits_until_a_change_ends(kit: Kit, aws: LocalAws) -> None:
    with kit.case() as case, slow(aws, 2):
        token = case.begin()
        case.steps(token, CREATE, SET)
        for _ in range(2):
            assert code(TargetUnavailable, case, TEST, token) == "target-unavailable/propagating"
            assert case.current_logs_in()
        case.steps(token, TEST, FINISH)
        assert case.current_version() == token


def test_a_retry_during_a_change_sends_nothing(kit: Kit, aws: LocalAws) -> None:
    with kit.case() as case, slow(aws, 3):
        token = case.begin()
        case.steps(token, CREATE, SET)
        kit.recorder.begin()
        kit.function.restart()
        case.step(CREATE, token)
        assert code(TargetUnavailable, case, SET, token) == "target-unavailable/propagating"
        assert not calls(kit.recorder.operations, *CHANGES)


def test_a_retry_after_a_change_sends_nothing(kit: Kit, aws: LocalAws) -> None:
    with kit.case() as case, slow(aws, 1):
        token = case.begin()
        case.steps(token, CREATE, SET)
        code(TargetUnavailable, case, TEST, token)
        kit.recorder.begin()
        kit.function.restart()
        case.steps(token)
        assert not calls(kit.recorder.operations, *CHANGES)
        assert case.current_logs_in()


def test_a_rotation_needs_one_change_and_two_logins(kit: Kit) -> None:
    with kit.case(rotations=1) as case:
        kit.recorder.begin()
        case.rotate()
        assert calls(kit.recorder.operations, *CHANGES) == 1
        assert calls(kit.recorder.operations, "connect") == 2


def test_a_user_changed_in_between_is_retryable(kit: Kit, aws: LocalAws, target: ElastiCacheTarget) -> None:
    """The user becomes busy between the description and the change."""
    with kit.case() as case, slow(aws, 5):
        token = case.begin()
        case.step(CREATE, token)

        def reset_first(operation: Operation, when: When) -> None:
            if operation.name in CHANGES and when is When.BEFORE:
                kit.recorder.begin()
                target.reset(case.first)

        kit.recorder.begin(reset_first)
        assert code(TargetUnavailable, case, SET, token) == "target-unavailable/propagating"


def test_a_password_without_login_is_not_promoted(kit: Kit, target: ElastiCacheTarget) -> None:
    with kit.case() as case:
        token = case.begin()
        case.steps(token, CREATE, SET)
        target.reset(case.first)
        for step in (TEST, FINISH):
            kit.function.restart()
            with pytest.raises(CredentialsRejected):
                case.step(step, token)


def test_no_stored_password_means_no_change(kit: Kit, target: ElastiCacheTarget) -> None:
    """Otherwise, anyone who may write the secret could take over any user that the role may change."""
    with kit.case() as case:
        changed = target.reset(case.first)
        token = case.begin()
        case.step(CREATE, token)
        kit.recorder.begin()
        with pytest.raises(CredentialsRejected):
            case.step(SET, token)
        assert not calls(kit.recorder.operations, *CHANGES)
        assert target.logs_in(changed)


def test_a_missing_user_is_named(kit: Kit, target: ElastiCacheTarget) -> None:
    gone = target.create()
    arn = gone["user_arn"]
    with kit.case(value={**gone, "user_arn": f"{arn}x"}) as case:
        token = case.begin()
        case.step(CREATE, token)
        assert code(TargetRefused, case, SET, token) == "target-refused/no-user"
        case.first = gone


def test_the_arn_of_another_user_is_refused(kit: Kit, target: ElastiCacheTarget) -> None:
    with kit.case() as victim:
        value = {**target.create(), "user_arn": victim.first["user_arn"]}
        with kit.case() as case:
            case.put(value, case.begin(), "AWSCURRENT")
            token = case.begin()
            case.step(CREATE, token)
            assert code(IdentityMismatch, case, SET, token) == "identity-mismatch/user-arn"
        assert victim.current_logs_in()


def test_the_arn_of_another_account_is_refused(kit: Kit, target: ElastiCacheTarget) -> None:
    with kit.case() as case:
        arn = case.first["user_arn"].replace("123456789012", "210987654321")
        case.put({**case.first, "user_arn": arn}, case.begin(), "AWSCURRENT")
        token = case.begin()
        case.step(CREATE, token)
        assert code(IdentityMismatch, case, SET, token) == "identity-mismatch/user-arn"
        assert target.logs_in(case.first)


@pytest.mark.parametrize(
    "change",
    [
        {"user_arn": None},
        {"user_arn": "app"},
        {"user_arn": 7},
        {"user_arn": "arn:aws:iam::123456789012:user/app"},
        {"masterarn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-abcdef"},
        {"host": None},
        {"strategy": "single"},
        {"password": ["a"]},
    ],
)
def test_a_bad_member_is_refused_before_storing(kit: Kit, change: dict[str, Any]) -> None:
    with kit.case() as case:
        case.put({**case.first, **change}, case.begin(), "AWSCURRENT")
        token = case.begin()
        with pytest.raises(SecretFormatError):
            case.step(CREATE, token)
        assert token not in {version for version, stages in case.stages().items() if not stages}


def test_a_user_in_no_group_is_refused(
    kit: Kit, aws: LocalAws, engine: str, target: ElastiCacheTarget
) -> None:
    password = new_password()
    api = aws.client(engine)
    if engine == "elasticache":
        user = api.create_user(
            UserId="alone", UserName="alone", Engine="redis", AccessString="on", Passwords=[password]
        )
    else:
        mode = {"Type": "password", "Passwords": [password]}
        user = api.create_user(UserName="alone", AuthenticationMode=mode, AccessString="on")["User"]
    value = {**target.create(), "username": "alone", "password": password, "user_arn": user["ARN"]}
    with kit.case(value=value) as case:
        token = case.begin()
        case.step(CREATE, token)
        assert code(TargetRefused, case, SET, token) == "target-refused/no-group"


def test_a_user_without_password_is_refused(
    kit: Kit, aws: LocalAws, engine: str, target: ElastiCacheTarget
) -> None:
    api, mode = aws.client(engine), {"Type": "iam"}
    if engine == "elasticache":
        user = api.create_user(
            UserId="by-iam", UserName="by-iam", Engine="redis", AccessString="on", AuthenticationMode=mode
        )
    else:
        user = api.create_user(UserName="by-iam", AuthenticationMode=mode, AccessString="on")["User"]
    with kit.case(value={**target.create(), "username": "by-iam", "user_arn": user["ARN"]}) as case:
        token = case.begin()
        case.step(CREATE, token)
        assert code(TargetRefused, case, SET, token) == "target-refused/no-password"


def test_no_session_is_open_during_a_change(kit: Kit, target: ElastiCacheTarget) -> None:
    """A session ends after six seconds, and a slow API would be reported as a silent cache."""
    with kit.case() as case:
        sessions = []

        def count(operation: Operation, when: When) -> None:
            if operation.name in CHANGES and when is When.BEFORE:
                sessions.append(target.sessions(case.first))

        kit.recorder.begin(count)
        case.rotate()
        assert sessions == [0]


def test_an_unanswered_api_call_keeps_its_own_code(kit: Kit) -> None:
    with kit.case() as case:
        token = case.begin()
        case.step(CREATE, token)

        def silent(operation: Operation, when: When) -> None:
            if operation.name in CHANGES and when is When.BEFORE:
                raise ReadTimeoutError(endpoint_url="https://api.example")

        kit.recorder.begin(silent)
        assert code(ServiceUnavailable, case, SET, token) == "service-unavailable/timeout"
        kit.recorder.begin()
        case.steps(token)
        assert case.current_version() == token


def test_a_missing_permission_names_action_and_user(kit: Kit) -> None:
    with kit.case() as case:
        token = case.begin()
        case.step(CREATE, token)

        def denied(operation: Operation, when: When) -> None:
            if operation.name in CHANGES and when is When.BEFORE:
                raise ClientError(
                    {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, operation.name
                )

        kit.recorder.begin(denied)
        with pytest.raises(AccessDenied) as caught:
            case.step(SET, token)
        kit.recorder.begin()
        assert case.first["user_arn"] in caught.value.remedy
        assert any(f":{action} on" in caught.value.remedy for action in CHANGES)
        assert case.current_logs_in()


def test_a_host_outside_of_cache_hosts_is_refused(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer of the secret could name a server where a password of its choice logs in."""
    with kit.case() as case:
        token = case.begin()
        case.step("createSecret", token)
        for hosts in ("", "other.cache.example"):
            monkeypatch.setenv("CACHE_HOSTS", hosts)
            kit.recorder.begin()
            for step in ("setSecret", "testSecret"):
                with pytest.raises(IdentityMismatch, match="CACHE_HOSTS does not name"):
                    case.step(step, token)
            assert calls(kit.recorder.operations, "ModifyUser", "UpdateUser", "connect") == 0
        with pytest.raises(IdentityMismatch, match="CACHE_HOSTS does not name"):
            case.step("createSecret", case.begin())
        assert case.current_logs_in()


def test_an_admin_host_must_be_in_cache_hosts(kit: Kit) -> None:
    """setSecret logs in there, and its answer would be taken for the cache's."""
    with kit.case() as case:
        case.put({**case.first, "admin_host": "other.cache.example"}, case.begin(), "AWSCURRENT")
        with pytest.raises(IdentityMismatch, match="CACHE_HOSTS does not name the cache other"):
            case.step("createSecret", case.begin())
