"""Every combination of findings is repaired without loss, or the diagnosis names an action for a person."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from rotators.core.registry import load, registered
from rotators.logins.causes import CAUSES
from rotators.recovery.diagnosis import Act, Diagnosis, Move, diagnose, replica, without_effect
from rotators.recovery.findings import UNSURE, Finding, Findings, Trial, TrialOutcome
from rotators.recovery.refusals import REFUSALS
from rotators.strategies.engine import remedies_of
from rotators.strategies.rotator import engine_of

TRIALS = (None, *Trial)
OLDER = (None, *(trial for trial in Trial if trial is not Trial.EMPTY))
OLDEST = (None, Trial.ACCEPTED, Trial.REJECTED, Trial.REFUSED)
ADMINS = (None, Trial.ACCEPTED, Trial.REJECTED)
RESETS = (
    *((admin, None) for admin in ADMINS),
    (Trial.ACCEPTED, TrialOutcome(Trial.REFUSED, "a cause", "Do that.", "correct-password")),
)
"""Results of the admin's login, with the reason why a reset is useless."""
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
"""Possible results of logins with a value at `host` and at `admin_host`."""


@cache
def finding(
    name: str, trial: Trial | None, direct: Trial | None = None, *, movable: bool = True
) -> Finding | None:
    if trial is None:
        return None
    reason = {Trial.FOREIGN: "target", Trial.UNTRIED: "limit"}.get(trial, "")
    return Finding(name, (), trial, "a cause", "Do that.", reason, direct, movable)


@cache
def one_address() -> list[Findings]:
    found = []
    for current, pending, previous, history, (admin, no_reset), movable, pooler in itertools.product(
        TRIALS, TRIALS, OLDER, OLDEST, RESETS, (True, False), (True, False)
    ):
        if not movable and previous is history is None:
            continue  # no value that could move
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


@cache
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


@cache
def each() -> list[tuple[Findings, Diagnosis]]:
    return [(found, diagnose(found, "app")) for found in [*one_address(), *two_addresses()]]


def of(found: Findings, version: str) -> Finding:
    return next(each for each in found.versions() if each.version == version)


def judged(found: Findings, version: Finding) -> bool:
    """True if the server itself, not a pooler, rejected a version."""
    if version.direct is not None:
        return version.direct is Trial.REJECTED and not found.pooled_admin
    return version.trial is Trial.REJECTED and not found.pooler


def test_every_state_has_an_action() -> None:
    for found, diagnosis in each():
        assert "None" not in diagnosis.sentence.replace("None is needed", ""), found
        assert diagnosis.healthy == (diagnosis.action == "None is needed."), found
        assert bool(diagnosis.acts) == diagnosis.action.startswith("`rotators repair"), found
        assert diagnosis.action, found


def test_awscurrent_moves_to_accepted_values_only() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.PROMOTE:
                assert of(found, act.version).works, found


def test_a_working_value_is_current_afterwards() -> None:
    for found, diagnosis in each():
        if found.current is not None and Trial.ACCEPTED in found.current.trials:
            moved = [act.version for act in diagnosis.acts if act.move is Move.PROMOTE]
            assert Move.RESET not in {act.move for act in diagnosis.acts}
            # The history is also tried only if servers accept the previous password too.
            newer = ["history"] if any(each.works for each in found.history) else []
            assert moved in ([], ["pending"], newer)


def test_awspending_stays_on_a_possible_password() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.DROP_PENDING:
                pending = of(found, act.version)
                assert Trial.ACCEPTED not in pending.trials, found
                unset = pending.trial in {Trial.EMPTY, Trial.FOREIGN, Trial.UNREADABLE}
                assert unset or judged(found, pending), found


def test_a_password_is_reset_after_rejection_only() -> None:
    for found, diagnosis in each():
        for act in diagnosis.acts:
            if act.move is Move.RESET:
                assert found.current is not None
                assert judged(found, found.current), found
                assert act.login is not None or (found.admin is Trial.ACCEPTED and found.no_reset is None), (
                    found
                )


def test_unreachable_or_refused_values_change_nothing() -> None:
    for found, diagnosis in each():
        for version in (found.current, found.pending):
            if version is not None and version.unsure:
                assert not diagnosis.acts, found
                assert not diagnosis.healthy, found


def test_a_disagreeing_pooler_changes_nothing() -> None:
    for found, diagnosis in each():
        if any(set(version.trials) == {Trial.ACCEPTED, Trial.REJECTED} for version in found.versions()):
            assert not diagnosis.acts, found
            assert not diagnosis.healthy, found


def test_repair_leaves_no_other_pending_version() -> None:
    for found, diagnosis in each():
        if diagnosis.acts and found.pending is not None:
            assert {(Move.PROMOTE, "pending"), (Move.DROP_PENDING, "pending")} & {
                (act.move, act.version) for act in diagnosis.acts
            }, found


def test_an_accepted_value_can_be_repaired() -> None:
    doubtful = {*UNSURE, Trial.UNTRIED}
    for found, diagnosis in each()[: len(one_address())]:
        trials = [version.trial for version in found.versions()]
        if found.pooler or found.no_reset or any(trial in doubtful for trial in trials):
            continue
        if found.current and found.current.works and any(each.works for each in found.history):
            continue  # two passwords log in; the newer value may differ in other keys
        movable = any(version.works and version.movable for version in found.versions())
        resettable = found.current is not None and found.current.trial is Trial.REJECTED
        if movable or (resettable and Trial.ACCEPTED in {*trials, found.admin}):
            assert diagnosis.healthy or diagnosis.acts, found


def test_advice_names_the_applications_before_a_reset() -> None:
    for found, diagnosis in each():
        if "set a new password" in diagnosis.action:
            assert diagnosis.action.startswith("First check whether the applications still log in"), found
            assert Trial.ACCEPTED not in {trial for each in found.versions() for trial in each.trials}, found


@pytest.mark.parametrize("trial", [Trial.ACCEPTED, Trial.REJECTED, Trial.EMPTY])
def test_a_young_pending_version_is_left_alone(trial: Trial) -> None:
    found = Findings(Finding("current", (), Trial.REJECTED), Finding("pending", (), trial, fresh=True))
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == "rotating"
    assert not diagnosis.acts


def test_untried_versions_are_counted() -> None:
    rejected = [Finding(str(number), (), Trial.REJECTED) for number in range(4)]
    left_out = [Finding(str(number), (), Trial.UNTRIED, reason="limit") for number in range(5)]
    diagnosis = diagnose(Findings(rejected[0], rejected[1], history=(*rejected[2:], *left_out)), "app")
    assert diagnosis.state == "not-tried"
    assert "5 versions were not tried" in diagnosis.sentence
    assert "MAX_REJECTED_LOGINS" in diagnosis.action


def test_versions_that_could_not_be_listed_are_said() -> None:
    diagnosis = diagnose(Findings(Finding("current", (), Trial.REJECTED), unlisted=True), "app")
    assert "ListSecretVersionIds" in diagnosis.sentence


def test_a_fault_of_the_secret_comes_first() -> None:
    for found in one_address()[:: len(one_address()) // 500]:
        faulty = Findings(
            found.current, found.pending, fault=TrialOutcome(Trial.UNREADABLE, "a key", "Do that.")
        )
        diagnosis = diagnose(faulty, "app")
        assert (diagnosis.state, diagnosis.action, diagnosis.acts) == ("faulty-secret", "Do that.", ())


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("stage", ["current", "pending", "previous"])
def test_a_refusal_changes_nothing(reason: str, stage: str) -> None:
    refused = Finding(stage, (), Trial.REFUSED, "a cause", "Do that.", reason)
    rejected = Finding("current", (), Trial.REJECTED)
    found = Findings(
        refused if stage == "current" else rejected,
        refused if stage == "pending" else None,
        refused if stage == "previous" else None,
        admin=Trial.ACCEPTED,
    )
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == reason
    assert not diagnosis.acts
    assert "IDENTIFIED BY" not in diagnosis.action
    assert "set a new" not in diagnosis.action


@pytest.mark.parametrize("name", sorted(registered().names))
def test_an_engines_remedy_ends_a_refusals_action(name: str) -> None:
    remedies = remedies_of(engine_of(load(name)))
    assert remedies.keys() <= {*CAUSES, *REFUSALS, "pooler"}
    for reason, refusal in REFUSALS.items():
        refused = Finding("current", (), Trial.REFUSED, "a cause", "Do that.", reason)
        action = diagnose(Findings(refused, remedies=remedies), "app").action
        own = f" {remedies[reason]}" if reason in remedies else ""
        assert action == f"{refusal.action}{own} Then run `rotators doctor app` again."
        assert "IDENTIFIED BY" not in action


@pytest.mark.parametrize(("name", "is_named"), [("postgres", True), ("mysql", False)])
def test_an_engine_names_its_own_poolers_only(name: str, is_named: bool) -> None:
    pending = Finding("pending", (), Trial.REJECTED, direct=Trial.ACCEPTED)
    found = Findings(finding("current", Trial.REJECTED), pending, remedies=remedies_of(engine_of(load(name))))
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == "pooler"
    assert ("PgBouncer" in diagnosis.action) is is_named


@pytest.mark.parametrize("reason", [*REFUSALS, "correct-password", "administrator"])
def test_a_useless_reset_is_not_offered(reason: str) -> None:
    found = Findings(
        Finding("current", (), Trial.REJECTED),
        admin=Trial.ACCEPTED,
        no_reset=TrialOutcome(Trial.REFUSED, "a cause", "Do that.", reason),
    )
    diagnosis = diagnose(found, "app")
    assert diagnosis.state == reason
    assert not diagnosis.acts
    assert diagnosis.action.startswith("Do that.")


def test_a_useless_act_is_not_advised_again() -> None:
    reset = Act(Move.RESET, "current")
    again = diagnose(Findings(Finding("current", (), Trial.REJECTED), admin=Trial.ACCEPTED), "app")
    assert again.acts == (Act(Move.RESET, "current", None, ("current",)),)
    after = without_effect(again, [reset])
    assert (after.state, after.acts) == ("no-effect", ())
    assert without_effect(again, [Act(Move.PROMOTE, "current")]) is again


def test_a_replica_names_its_primary() -> None:
    diagnosis = replica("eu-west-1", "arn:aws:secretsmanager:eu-west-1:1:secret:x")
    assert not diagnosis.acts
    assert "eu-west-1" in diagnosis.sentence
    assert "arn:aws:secretsmanager:eu-west-1:1:secret:x" in diagnosis.action
