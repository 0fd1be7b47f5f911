"""AUTH tokens of ElastiCache."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from botocore.exceptions import ClientError

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    RotatorsError,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.local.aws import LocalAws
from rotators.testing._case import STEPS, Case, Kit
from rotators.testing._crash import CrashMatrix, Plan
from rotators.testing._recorder import Operation, When
from rotators.testing._results import StopOutcome
from tests.elasticache.caches import calls, slow
from tests.world import new_password

CREATE, SET, TEST, FINISH = STEPS


def take_back(aws: LocalAws, case: Case, version: str | None) -> None:
    """Give AWSCURRENT back to an older version."""
    aws.client("secretsmanager").update_secret_version_stage(
        SecretId=case.arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=version or "",
        RemoveFromVersionId=case.current_version(),
    )


def rotated_without_a_gap(tokens: Kit, case: Case) -> None:
    """Rotate in a new process; the current token, and the one before it, work after every step."""
    older, token = case.current(), case.begin()
    tokens.function.restart()
    for step in STEPS:
        case.step(step, token)
        assert tokens.target.logs_in(older)
        assert case.current_logs_in()
    assert case.current_version() == token


def test_the_newest_two_tokens_work(tokens: Kit) -> None:
    with tokens.case() as case:
        first, second = case.rotate(), case.rotate()
        assert [tokens.target.logs_in(each) for each in (case.first, first, second)] == [False, True, True]


def test_a_token_is_tested_after_the_change(tokens: Kit, aws: LocalAws) -> None:
    with tokens.case() as case, slow(aws, 1):
        token = case.begin()
        case.steps(token, CREATE, SET)
        with pytest.raises(TargetUnavailable) as caught:
            case.step(TEST, token)
        assert caught.value.full_code == "target-unavailable/propagating"
        tokens.recorder.begin()
        case.steps(token)
        assert not calls(tokens.recorder.operations, "ModifyReplicationGroup")
        assert case.current_logs_in()


def test_the_next_rotation_takes_an_interrupted_token(tokens: Kit) -> None:
    """A second ROTATE would remove the current token."""
    with tokens.case(rotations=1) as case:
        lost = case.begin()
        case.steps(lost, CREATE, SET)
        case.drop_pending(lost)
        tokens.function.restart()
        token = case.begin()
        tokens.recorder.begin()
        for step in STEPS:
            case.step(step, token)
            assert case.current_logs_in()
        assert not calls(tokens.recorder.operations, "ModifyReplicationGroup")
        assert case.current() == case.pending(lost)


def test_the_previous_token_ends_before_the_next(tokens: Kit, aws: LocalAws) -> None:
    """SET for the current token, then ROTATE for the pending one; each takes its time."""
    with tokens.case(rotations=1) as case, slow(aws, 1):
        before, token = case.current(), case.begin()
        case.step(CREATE, token)
        tokens.recorder.begin()
        for steps in ((SET,), (SET, TEST)):
            with pytest.raises(TargetUnavailable) as caught:
                case.steps(token, *steps)
            assert caught.value.full_code == "target-unavailable/propagating"
            assert case.current_logs_in()
        case.steps(token, TEST, FINISH)
        assert calls(tokens.recorder.operations, "ModifyReplicationGroup") == 2
        assert [tokens.target.logs_in(each) for each in (case.first, before)] == [False, True]
        assert case.current_logs_in()


@pytest.mark.parametrize("stored_again", [False, True])
def test_a_token_taken_back_keeps_working(tokens: Kit, aws: LocalAws, stored_again: bool) -> None:
    """The group's newest token is the one of AWSPREVIOUS; a ROTATE alone would remove the current one."""
    with tokens.case(rotations=1) as case:
        older, version = case.current(), case.current_version()
        case.rotate()
        if stored_again:
            case.put(older, case.begin(), "AWSCURRENT")
        else:
            take_back(aws, case, version)
        assert case.current() == older
        rotated_without_a_gap(tokens, case)


def test_a_second_refusal_of_set_is_reported(tokens: Kit, aws: LocalAws) -> None:
    """AWS refuses SET of the current token also after ROTATE has made it the newest."""
    with tokens.case(rotations=1) as case, contextlib.ExitStack() as slowly:
        version = case.current_version()
        case.rotate()
        take_back(aws, case, version)
        token, changes = case.begin(), itertools.count(1)
        case.step(CREATE, token)
        slowly.enter_context(slow(aws, 1))

        def refuse_set(operation: Operation, when: When) -> None:
            change = operation.name == "ModifyReplicationGroup" and when is When.BEFORE
            if change and next(changes) != 2:
                raise ClientError(
                    {"Error": {"Code": "InvalidParameterValue", "Message": "SET"}}, operation.name
                )

        tokens.recorder.begin(refuse_set)
        codes = []
        for _ in range(3):
            with pytest.raises(RotatorsError) as caught:
                case.step(SET, token)
            codes.append(caught.value.full_code)
            assert case.current_logs_in()
        tokens.recorder.begin()
        assert codes == ["target-unavailable/propagating", *["target-refused/tokens"] * 2]


def test_an_interrupted_token_ends_before_the_next(tokens: Kit) -> None:
    """A rotation set it and stopped, then an operator stored the current token again, in another version."""
    with tokens.case(rotations=1) as case:
        lost = case.begin()
        case.steps(lost, CREATE, SET)
        case.drop_pending(lost)
        case.put({**case.current(), "note": "edited"}, case.begin(), "AWSCURRENT")
        rotated_without_a_gap(tokens, case)


def test_a_token_back_in_a_third_version_works(tokens: Kit, aws: LocalAws) -> None:
    """The group's newest token has neither AWSPREVIOUS nor a version newer than AWSCURRENT."""
    with tokens.case(rotations=1) as case:
        older, version = case.current(), case.current_version()
        case.rotate()
        take_back(aws, case, version)
        case.put({**older, "note": "edited"}, case.begin(), "AWSCURRENT")
        rotated_without_a_gap(tokens, case)


def test_a_token_of_another_endpoint_counts(tokens: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator also changes the secret's host to the reader endpoint."""
    monkeypatch.setenv("CACHE_HOSTS", "localhost,127.0.0.1")
    with tokens.case(rotations=1) as case:
        lost = case.begin()
        case.steps(lost, CREATE, SET)
        case.drop_pending(lost)
        case.put({**case.current(), "host": "127.0.0.1"}, case.begin(), "AWSCURRENT")
        rotated_without_a_gap(tokens, case)


def test_a_host_of_another_group_is_refused(tokens: Kit, aws: LocalAws) -> None:
    """A token of one group would log in there, and the role would change the other one."""
    server = aws.caches.pop("elasticache")
    other = aws.client("elasticache").create_replication_group(
        ReplicationGroupId="other",
        ReplicationGroupDescription="other",
        AuthToken=new_password(),
        TransitEncryptionEnabled=True,
    )["ReplicationGroup"]
    aws.caches["elasticache"] = server
    with tokens.case() as case:
        case.put({**case.first, "replication_group_arn": other["ARN"]}, case.begin(), "AWSCURRENT")
        token = case.begin()
        case.step(CREATE, token)
        tokens.recorder.begin()
        for step in (SET, TEST):
            with pytest.raises(IdentityMismatch, match="no endpoint of") as caught:
                case.step(step, token)
            assert caught.value.full_code == "identity-mismatch/user-arn"
        assert not calls(tokens.recorder.operations, "ModifyReplicationGroup", "connect")


def test_a_token_never_set_is_taken_again(tokens: Kit) -> None:
    with tokens.case(rotations=1) as case:
        lost = case.begin()
        case.step(CREATE, lost)
        case.drop_pending(lost)
        assert case.rotate() == case.pending(lost)
        assert case.current_logs_in()


@pytest.mark.timeout(900)
def test_no_stop_makes_the_current_token_fail(tokens: Kit) -> None:
    results = CrashMatrix("tokens", tokens).run(Plan(starts=[1], every=9))
    bad = [each for each in results if each.outcome is not StopOutcome.OK]
    assert len(results) > 10
    assert not bad, bad[:3]


def test_a_group_without_a_token_is_refused(tokens: Kit, aws: LocalAws) -> None:
    """ROTATE would leave it open to everybody."""
    group = aws.client("elasticache").create_replication_group(
        ReplicationGroupId="open", ReplicationGroupDescription="open"
    )["ReplicationGroup"]
    with tokens.case() as case:
        case.put({**case.first, "replication_group_arn": group["ARN"]}, case.begin(), "AWSCURRENT")
        token = case.begin()
        case.step(CREATE, token)
        tokens.recorder.begin()
        with pytest.raises(TargetRefused) as caught:
            case.step(SET, token)
        assert caught.value.full_code == "target-refused/no-password"
        assert not calls(tokens.recorder.operations, "ModifyReplicationGroup")


def test_a_changed_token_is_rejected(tokens: Kit) -> None:
    with tokens.case() as case:
        tokens.target.reset(case.first)
        token = case.begin()
        case.step(CREATE, token)
        with pytest.raises(CredentialsRejected):
            case.step(SET, token)


def test_user_and_group_together_are_refused(tokens: Kit) -> None:
    with tokens.case() as case:
        both = {**case.first, "user_arn": "arn:aws:elasticache:us-east-1:123456789012:user:app"}
        case.put(both, case.begin(), "AWSCURRENT")
        with pytest.raises(SecretFormatError, match="exactly one"):
            case.step(CREATE, case.begin())


def test_new_tokens_have_letters_digits_and_hyphens(tokens: Kit) -> None:
    with tokens.case() as case:
        password = case.rotate()["password"]
        assert 16 <= len(password) <= 128
        assert all(each.isalnum() or each == "-" for each in password)
