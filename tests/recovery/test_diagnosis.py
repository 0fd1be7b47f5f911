"""Every combination of what may be found: each is mended without loss, or names what a person has to do."""

from __future__ import annotations

import itertools
from functools import lru_cache

import pytest

from rotators.recovery.diagnosis import Act, Diagnosis, Move, diagnose, replica, without_effect
from rotators.recovery.findings import UNSURE, Finding, Findings, Outcome, Trial
from rotators.recovery.refusals import REFUSALS

TRIALS = (None, *Trial)
OLDER = (None, *(trial for trial in Trial if trial is not Trial.EMPTY))
OLDEST = (None, Trial.ACCEPTED, Trial.REJECTED, Trial.REFUSED)
ADMINS = (None, Trial.ACCEPTED, Trial.REJECTED)
NO_RESET = (None, Outcome(Trial.REFUSED, "a cause", "Do that.", "correct-password"))
PATHS = (
    (Trial.ACCEPTED, Trial.ACCEPTED),
    (Trial.ACCEPTED, Trial.REJECTED),
    (Trial.REJECTED, Trial.ACCEPTED),
    (Trial.REJECTED, Trial.REJECTED),
    (Trial.UNREACHABLE, Trial.ACCEPTED),
    (Trial.ACCEPTED, Trial.REFUSED),
    (Trial.REJECTED, Trial.UNTRIED),
    (Trial.EMPTY, None),
    (Trial.FOREIGN, None),
)
"""What may become of a value's logins at `host` and at `admin_host`."""


def finding(
    name: str, trial: Trial | None, direct: Trial | None = None, *, movable: bool = True
) -> Finding | None:
    if trial is None:
        return None
    reason = {Trial.FOREIGN: "target", Trial.UNTRIED: "limit"}.get(trial, "")
    return Finding(name, (), trial, "a cause", "Do that.", reason, direct, movable)


@lru_cache(maxsize=1)
def one_address() -> list[Findings]:
    found = []
    for current, pending, previous, history, admin, no_reset, movable, pooler in itertools.product(
        TRIALS, TRIALS, OLDER, OLDEST, ADMINS, NO_RESET, (True, False), (True, False)
    ):
        older = finding("history", history, movable=movable)
        found.append(
            Findings(
                finding("current", current),
                finding("pending", pending),
                finding("previous", previous, movable=movable),
                (older,) if older else (),
                admin,
                no_reset=no_reset,
                pooler=pooler,
                pooled_admin=pooler,
            )
        )
    return found


@lru_cache(maxsize=1)
def two_addresses() -> list[Findings]:
    return [
        Findings(
            finding("current", *current),
            finding("pending", *pending) if pending else None,
            finding("previous", *previous) if previous else None,
            (),
            admin,
            pooler=True,
            pooled_admin=pooled,
        )
        for current, pending, previous, admin, pooled in itertools.product(
            PATHS, (None, *PATHS), (None, *PATHS), ADMINS, (True, False)
        )
    ]


@lru_cache(maxsize=1)
def each() -> list[tuple[Findings, Diagnosis]]:
    return [(found, diagnose(found, "app")) for found in [*one_address(), *two_addresses()]]


def of(found: Findings, version: str) -> Finding:
    return next(each for each in found.versions() if each.version == version)


def judged(found: Findings, version: Finding) -> bool:
    """Whether the server itself rejected a version."""
    if version.direct is not None:
        return version.direct is Trial.REJECTED and not found.pooled_admin
    return version.trial is Trial.REJECTED and not found.pooler


def test_every_state_is_healthy_mendable_or_names_a_human_action() -> None:
    for found, diagnosis in each():
        assert "None" not in diagnosis.sentence.replace("None is needed", ""), found
        assert diagnosis.healthy == (diagnosis.action == "None is needed."), found
        assert bool(diagnosis.acts) == diagnosis.action.startswith("`rotators repair"), found
        assert diagnosis.action, found


def test_awscurrent_is_never_moved_to_a_value_that_was_not_accepted() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.PROMOTE:
                assert of(found, act.version).works, found


def test_a_current_value_that_works_stays_or_is_followed_by_one_that_works() -> None:
    for found, diagnosis in each():
        if found.current is not None and Trial.ACCEPTED in found.current.trials:
            moved = [act.version for act in diagnosis.acts if act.move is Move.PROMOTE]
            assert Move.RESET not in {act.move for act in diagnosis.acts}
            assert moved in ([], ["pending"])


def test_awspending_is_taken_off_nothing_that_may_be_the_servers_password() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.DROP_PENDING:
                pending = of(found, act.version)
                assert Trial.ACCEPTED not in pending.trials, found
                unset = pending.trial in {Trial.EMPTY, Trial.FOREIGN, Trial.UNREADABLE}
                assert unset or judged(found, pending), found


def test_a_password_is_set_only_where_the_server_itself_rejected_the_current_one() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.RESET:
                assert found.current is not None
                assert judged(found, found.current), found
                assert act.login is not None or (found.admin is Trial.ACCEPTED and found.no_reset is None), (
                    found
                )


def test_what_is_unreachable_or_refused_is_never_acted_upon() -> None:
    for found, diagnosis in each():
        for version in (found.current, found.pending):
            if version is not None and version.unsure:
                assert not diagnosis.acts, found
                assert not diagnosis.healthy, found


def test_where_a_pooler_and_the_server_disagree_nothing_is_changed() -> None:
    for found, diagnosis in each():
        if any(set(version.trials) == {Trial.ACCEPTED, Trial.REJECTED} for version in found.versions()):
            assert not diagnosis.acts, found
            assert not diagnosis.healthy, found


def test_after_the_acts_no_other_pending_version_is_left() -> None:
    for found, diagnosis in each():
        if diagnosis.acts and found.pending is not None:
            assert {(Move.PROMOTE, "pending"), (Move.DROP_PENDING, "pending")} & {
                (act.move, act.version) for act in diagnosis.acts
            }, found


def test_as_long_as_something_is_accepted_and_nothing_is_in_doubt_there_is_a_way() -> None:
    doubtful = {*UNSURE, Trial.UNTRIED}
    for found, diagnosis in each()[: len(one_address())]:
        trials = [version.trial for version in found.versions()]
        if found.pooler or found.no_reset or any(trial in doubtful for trial in trials):
            continue
        movable = any(version.works and version.movable for version in found.versions())
        resettable = found.current is not None and found.current.trial is Trial.REJECTED
        if movable or (resettable and Trial.ACCEPTED in {*trials, found.admin}):
            assert diagnosis.healthy or diagnosis.acts, found


def test_nobody_is_told_to_set_a_password_before_the_applications_were_looked_at() -> None:
    for found, diagnosis in each():
        if "set a new one" in diagnosis.action:
            assert diagnosis.action.startswith("Look first whether the applications still log in"), found
            assert Trial.ACCEPTED not in {trial for each in found.versions() for trial in each.trials}, found


@pytest.mark.parametrize("trial", [Trial.ACCEPTED, Trial.REJECTED, Trial.EMPTY])
def test_a_young_pending_version_is_left_to_its_rotation(trial: Trial) -> None:
    found = Findings(Finding("current", (), Trial.REJECTED), Finding("pending", (), trial, fresh=True))
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == "rotating"
    assert not diagnosis.acts


def test_versions_that_were_not_tried_are_counted_and_the_way_to_try_more_is_named() -> None:
    rejected = [Finding(str(number), (), Trial.REJECTED) for number in range(4)]
    left_out = [Finding(str(number), (), Trial.UNTRIED, reason="limit") for number in range(5)]
    diagnosis = diagnose(Findings(rejected[0], rejected[1], history=(*rejected[2:], *left_out)), "app")
    assert diagnosis.state == "not-tried"
    assert "5 versions were not tried" in diagnosis.sentence
    assert "MAX_REJECTED_LOGINS" in diagnosis.action


def test_versions_that_could_not_be_listed_are_said() -> None:
    diagnosis = diagnose(Findings(Finding("current", (), Trial.REJECTED), unlisted=True), "app")
    assert "ListSecretVersionIds" in diagnosis.sentence


def test_a_fault_of_the_secret_comes_before_all_else() -> None:
    for found in one_address()[:: len(one_address()) // 500]:
        faulty = Findings(found.current, found.pending, fault=Outcome(Trial.UNREADABLE, "a key", "Do that."))
        diagnosis = diagnose(faulty, "app")
        assert (diagnosis.state, diagnosis.action, diagnosis.acts) == ("faulty-secret", "Do that.", ())


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("label", ["current", "pending", "previous"])
def test_each_refusal_is_a_state_that_sets_no_password_and_moves_no_label(reason: str, label: str) -> None:
    refused = Finding(label, (), Trial.REFUSED, "a cause", "Do that.", reason)
    rejected = Finding("current", (), Trial.REJECTED)
    found = Findings(
        refused if label == "current" else rejected,
        refused if label == "pending" else None,
        refused if label == "previous" else None,
        admin=Trial.ACCEPTED,
    )
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == reason
    assert not diagnosis.acts
    assert "IDENTIFIED BY" not in diagnosis.action
    assert "set a new" not in diagnosis.action


@pytest.mark.parametrize("reason", [*REFUSALS, "correct-password", "administrator"])
def test_a_reset_that_would_not_help_is_not_offered(reason: str) -> None:
    found = Findings(
        Finding("current", (), Trial.REJECTED),
        admin=Trial.ACCEPTED,
        no_reset=Outcome(Trial.REFUSED, "a cause", "Do that.", reason),
    )
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == reason
    assert not diagnosis.acts
    assert diagnosis.action.startswith("Do that.")


def test_an_act_that_did_not_help_is_not_advised_again() -> None:
    reset = Act(Move.RESET, "current")
    again = diagnose(Findings(Finding("current", (), Trial.REJECTED), admin=Trial.ACCEPTED), "app")
    assert again.acts == (Act(Move.RESET, "current", None, ("current",)),)
    after = without_effect(again, [reset])
    assert (after.state, after.acts) == ("no-effect", ())
    assert without_effect(again, [Act(Move.PROMOTE, "current")]) is again


def test_a_replica_is_left_alone_and_its_primary_named() -> None:
    diagnosis = replica("eu-west-1", "arn:aws:secretsmanager:eu-west-1:1:secret:x")
    assert not diagnosis.acts
    assert "eu-west-1" in diagnosis.sentence
    assert "arn:aws:secretsmanager:eu-west-1:1:secret:x" in diagnosis.action
