"""Every combination of what may be found: each is mended without loss, or names what a human has to do."""

from __future__ import annotations

import itertools

import pytest

from rotators.recovery.diagnosis import Diagnosis, Move, diagnose
from rotators.recovery.findings import Finding, Findings, Trial

TRIALS = (None, *(trial for trial in Trial if trial is not Trial.UNTRIED))
OLDER = (None, Trial.ACCEPTED, Trial.REJECTED, Trial.UNREACHABLE, Trial.UNREADABLE)
ADMINS = (None, Trial.ACCEPTED, Trial.REJECTED)


def finding(name: str, trial: Trial | None, *, movable: bool = True) -> Finding | None:
    return None if trial is None else Finding(name, (), trial, "a cause", movable=movable)


def combinations() -> list[Findings]:
    found = []
    for current, pending, previous, history, admin, movable in itertools.product(
        TRIALS, TRIALS, OLDER, OLDER, ADMINS, (True, False)
    ):
        older = finding("history", history, movable=movable)
        found.append(
            Findings(
                finding("current", current),
                finding("pending", pending),
                finding("previous", previous, movable=movable),
                (older,) if older else (),
                admin,
            )
        )
    return found


def trial_of(found: Findings, version: str) -> Trial:
    return next(each.trial for each in found.versions() if each.version == version)


COMBINATIONS = combinations()


def each() -> list[tuple[Findings, Diagnosis]]:
    return [(found, diagnose(found, "app")) for found in COMBINATIONS]


def test_every_state_is_healthy_mendable_or_names_a_human_action() -> None:
    for found, diagnosis in each():
        assert diagnosis.sentence.count("None") == 0, found
        assert diagnosis.healthy == (not diagnosis.acts and "needed" in diagnosis.action), found
        if not diagnosis.healthy and not diagnosis.acts:
            assert "Mend that" in diagnosis.action or "put-secret-value" in diagnosis.action


def test_awscurrent_is_never_moved_to_a_value_that_was_not_accepted() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.PROMOTE:
                assert trial_of(found, act.version) is Trial.ACCEPTED, found


def test_a_current_value_that_works_stays_or_is_followed_by_one_that_works() -> None:
    for found, diagnosis in each():
        if found.current is not None and found.current.trial is Trial.ACCEPTED:
            moves = [act.move for act in diagnosis.acts]
            assert Move.RESET not in moves
            assert moves.count(Move.PROMOTE) <= (
                found.pending is not None and found.pending.trial is Trial.ACCEPTED
            )


def test_what_is_unreachable_or_refused_is_never_acted_upon() -> None:
    for found, diagnosis in each():
        if found.current is not None and found.current.trial in {Trial.UNREACHABLE, Trial.REFUSED}:
            assert diagnosis.state == "unsure"
            assert not diagnosis.acts


def test_after_the_acts_no_other_pending_version_is_left() -> None:
    for found, diagnosis in each():
        if diagnosis.acts and found.pending is not None:
            assert {(Move.PROMOTE, "pending"), (Move.DROP_PENDING, "pending")} & {
                (act.move, act.version) for act in diagnosis.acts
            }, found


def test_as_long_as_something_is_accepted_and_nothing_is_in_doubt_there_is_a_way() -> None:
    doubtful = {Trial.UNREACHABLE, Trial.REFUSED}
    for found, diagnosis in each():
        trials = [version.trial for version in found.versions()]
        if any(trial in doubtful for trial in trials):
            continue
        movable = any(version.trial is Trial.ACCEPTED and version.movable for version in found.versions())
        resettable = found.current is not None and found.current.trial is Trial.REJECTED
        if movable or (resettable and Trial.ACCEPTED in {*trials, found.admin}):
            assert diagnosis.healthy or diagnosis.acts, found


@pytest.mark.parametrize("trial", [Trial.ACCEPTED, Trial.REJECTED, Trial.EMPTY])
def test_a_young_pending_version_is_left_to_its_rotation(trial: Trial) -> None:
    found = Findings(Finding("current", (), Trial.REJECTED), Finding("pending", (), trial, fresh=True))
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == "rotating"
    assert not diagnosis.acts


def test_versions_that_were_not_tried_or_listed_are_said() -> None:
    found = Findings(
        Finding("current", (), Trial.REJECTED),
        history=(Finding("old", (), Trial.UNTRIED),),
        unlisted=True,
    )
    sentence = diagnose(found, "app").sentence
    assert "1 older versions were not tried" in sentence
    assert "ListSecretVersionIds" in sentence
