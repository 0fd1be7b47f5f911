"""The rotations that get a receipt, and its facts about them."""

from __future__ import annotations

import datetime as dt

from rotators.aws.failures import FailedStep, LoggedStep
from rotators.aws.secrets import Version
from rotators.receipts.facts import LOOK_BACK, ReceiptGap, Rotated, gap
from rotators.receipts.statement import Receipt
from tests.receipts.chains import NOON, receipt

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


def at(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def step(token: str, name: str, minutes: float, outcome: str = "done") -> LoggedStep:
    failure = None
    if outcome == "failed":
        failure = FailedStep("s", token, name, "target-refused", "no", retryable=False)
    rotator = "" if outcome == "already-current" else "postgres"
    return LoggedStep("id", at(minutes), name, 0.5, failure, token, outcome, rotator, rotator and "single")


def rotation(token: str, end: float) -> list[LoggedStep]:
    """The steps of a rotation of three minutes."""
    return [step(token, name, end - 3 + index) for index, name in enumerate(STEPS)]


def versions(current: str, previous: str, *older: str, created: float = -10) -> tuple[Version, ...]:
    """Versions, newest first, each stored 60 minutes before the next."""
    stages = [("AWSCURRENT", "AWSPENDING"), ("AWSPREVIOUS",), *(() for _ in older)]
    named = zip((current, previous, *older), stages, strict=True)
    return tuple(
        Version(name, labels, at(created - 60 * index)) for index, (name, labels) in enumerate(named)
    )


def head(version: str, minutes: float) -> Receipt:
    return receipt(1, None, None, version=version, rotated=at(minutes))


def the_gap(
    listed: tuple[Version, ...], newest: Receipt | None, event: float = 0, ended: float = 0
) -> ReceiptGap:
    gone = gap(listed, newest, at(event), at(ended))
    assert gone is not None
    return gone


def found(
    listed: tuple[Version, ...],
    logged: list[LoggedStep],
    newest: Receipt | None,
    event: float = 0,
    ended: float = 0,
) -> list[Rotated]:
    gone = gap(listed, newest, at(event), at(ended))
    return gone.rotations(logged) if gone else []


def test_a_rotation_has_its_steps() -> None:
    (one,) = found(versions("b", "a"), rotation("b", 0), head("a", -60))
    assert (one.version, one.replaced, one.time, one.own_event) == ("b", "a", at(0), True)
    assert [each.name for each in one.steps] == [*STEPS]
    assert one.steps[0].started == at(-3) - dt.timedelta(seconds=0.5)
    assert (one.rotator, one.strategy, one.failed_steps, one.unknown) == ("postgres", "single", 0, ())


def test_a_rotation_with_a_receipt_is_done() -> None:
    assert found(versions("b", "a"), rotation("b", 0), head("b", 0)) == []


def test_failed_steps_are_counted() -> None:
    logged = [step("b", "setSecret", -9, "failed"), step("b", "setSecret", -8, "failed"), *rotation("b", 0)]
    (one,) = found(versions("b", "a"), logged, head("a", -60))
    assert (one.failed_steps, [each.name for each in one.steps]) == (2, [*STEPS])


def test_the_first_successful_end_counts() -> None:
    late = [step("b", name, 1 + index, "already-current") for index, name in enumerate(STEPS)]
    (one,) = found(versions("b", "a"), [*rotation("b", 0), *late], head("a", -60))
    assert (one.time, {each.outcome for each in one.steps}) == (at(0), {"done"})


def test_an_end_whose_answer_was_lost_counts() -> None:
    logged = [*rotation("b", 0)[:3], step("b", "finishSecret", -0.5, "failed")]
    logged.append(step("b", "finishSecret", 0, "already-current"))
    (one,) = found(versions("b", "a"), logged, head("a", -60))
    assert (one.failed_steps, one.steps[-1].outcome, one.rotator) == (1, "already-current", "postgres")


def test_an_unfinished_rotation_gets_no_receipt() -> None:
    assert found(versions("b", "a", created=-90), rotation("c", 0)[:3], head("b", -60)) == []


def test_a_lost_rotation_precedes_the_new_one() -> None:
    listed = versions("c", "b", "a")
    logged = [*rotation("b", -50), *rotation("c", 0)]
    lost, new = found(listed, logged, head("a", -110))
    assert (lost.version, lost.own_event, lost.replaced, lost.unknown) == (
        "b",
        False,
        None,
        ("replacedVersion",),
    )
    assert (new.version, new.own_event, new.replaced) == ("c", True, "b")


def test_a_rotation_without_log_has_unknown_facts() -> None:
    (one,) = found(versions("b", "a"), [], head("a", -60))
    assert (one.version, one.time, one.steps, one.failed_steps) == ("b", at(0), (), None)
    assert one.unknown == ("rotator", "steps")


def test_a_partial_log_is_reported() -> None:
    (one,) = found(versions("b", "a"), rotation("b", 0)[2:], head("a", -60))
    assert (len(one.steps), one.unknown) == (2, ("steps",))


def test_a_value_stored_by_hand_gets_no_receipt() -> None:
    listed = versions("by-hand", "b", "a", created=30)
    (one,) = found(listed, rotation("b", 0), head("a", -60))
    assert (one.version, one.replaced) == ("b", None)
    assert found(listed, rotation("b", 0), head("b", 0)) == []
    assert [each.version for each in found(listed, [], head("a", -60))] == ["b"]


def test_a_late_event_finds_nothing() -> None:
    listed = versions("c", "b", "a")
    assert found(listed, [*rotation("b", -50), *rotation("c", 0)], head("c", 0), event=-50) == []


def test_a_log_line_without_a_version_is_ignored() -> None:
    logged = [*rotation("invented", -1), *rotation("b", 0)]
    assert [each.version for each in found(versions("b", "a"), logged, head("a", -60))] == ["b"]


def test_the_first_receipt_has_no_chain_before_it() -> None:
    (one,) = found(versions("b", "a"), rotation("b", 0), None)
    assert one.version == "b"


def test_the_log_is_read_since_createsecret() -> None:
    assert the_gap(versions("b", "a"), head("a", -60)).since == at(-11)


def test_after_a_gap_more_log_is_read() -> None:
    assert the_gap(versions("c", "b", "a"), head("a", -120)).since == at(-131)
    assert the_gap(versions("c", "b", "a", created=-60 * 24 * 8), head("a", 0)).since == at(0) - LOOK_BACK


def test_a_first_receipt_looks_back() -> None:
    assert the_gap(versions("b", "a"), None).since == at(0) - LOOK_BACK


def test_a_complete_chain_has_no_gap() -> None:
    assert gap(versions("b", "a"), head("b", 0), at(0), at(0)) is None


def test_the_events_own_rotation_is_awaited() -> None:
    """Another rotation that ended shortly before does not count as this one."""
    expected = the_gap(versions("c", "b", "a"), head("a", -120))
    assert not expected.is_logged(rotation("b", -0.5))
    assert not expected.is_logged(rotation("c", 0)[:3])
    assert expected.is_logged(rotation("c", 0))


def test_a_returned_version_hides_no_rotation() -> None:
    """After a rollback, the newest receipt's version is current again."""
    listed = (
        Version("c", ("AWSPREVIOUS",), at(-10)),
        Version("b", ("AWSCURRENT",), at(-70)),
        Version("a", (), at(-130)),
    )
    (lost,) = found(listed, rotation("c", 0), head("b", -60))
    assert (lost.version, lost.replaced) == ("c", None)


def test_a_rotation_in_progress_is_left_out() -> None:
    listed = (Version("c", ("AWSPENDING",), at(0)), *versions("b", "a"))
    assert [each.version for each in found(listed, [], head("a", -60))] == ["b"]


def test_steps_of_other_clocks_are_taken() -> None:
    """The function's clock is ten minutes ahead of the service's, or behind."""
    for skew in (-10, 10):
        (one,) = found(versions("b", "a"), rotation("b", skew), head("a", -60 + skew))
        assert (one.version, one.time, one.unknown) == ("b", at(skew), ())


def test_a_value_stored_later_gets_no_receipt() -> None:
    """Not even if it was stored in the second of the event, or if a caller passes it to the function."""
    listed = versions("by-hand", "b", created=0.01)
    forged = [step("by-hand", name, 1 + index) for index, name in enumerate(STEPS)]
    for event in (0, 60):
        assert found(listed, forged, head("b", 0), event, ended=0.005) == []


def test_a_value_stored_meanwhile_gets_no_receipt() -> None:
    """The rotation began before the value was stored, and succeeded after that."""
    stored = {"b": -300, "by-hand": -200, "a": -400}
    stages = {"b": ("AWSCURRENT",), "by-hand": ("AWSPREVIOUS",), "a": ()}
    listed = tuple(Version(name, stages[name], at(stored[name])) for name in ("by-hand", "b", "a"))
    for logged in (rotation("b", 0), []):
        (one,) = found(listed, logged, head("a", -350))
        assert (one.version, one.replaced) == ("b", "by-hand")
        assert found(listed, logged, head("b", 0)) == []  # the event comes again, or the daily run


def test_a_second_rotation_without_log_is_found_later() -> None:
    """The log has the one a moment before, so the event is taken for that one's."""
    listed = versions("c", "b", "a")
    assert [each.version for each in found(listed, rotation("b", -0.5), head("a", -120))] == ["b"]
    assert [each.version for each in found(listed, rotation("b", -0.5), head("b", -0.5))] == ["c"]


def test_an_event_of_the_future_is_bounded() -> None:
    (one,) = found(versions("b", "a"), [], head("a", -60), event=60 * 24 * 365)
    assert one.time == at(0)


def test_a_time_without_a_fraction_is_its_second() -> None:
    listed = (Version("b", ("AWSCURRENT",), at(0.01)), *versions("a", "x")[:1])
    (one,) = found(listed, rotation("b", 0.015), head("a", -60))
    assert one.version == "b"


def test_without_a_last_rotation_only_the_log_counts() -> None:
    """Rotation was switched off in the meantime."""
    listed = versions("b", "a")
    for logged, count in ((rotation("b", 0), 1), ([], 0)):
        gone = gap(listed, head("a", -60), at(0), None)
        assert gone is not None
        assert len(gone.rotations(logged)) == count


def test_steps_that_did_nothing_are_not_a_rotation() -> None:
    """The value was stored by hand, and the function was called before the next rotation."""
    listed = versions("c", "by-hand", "a")
    idle = [step("by-hand", name, -50 + index, "already-current") for index, name in enumerate(STEPS)]
    assert [each.version for each in found(listed, [*idle, *rotation("c", 0)], head("a", -120))] == ["c"]


def test_steps_of_an_older_version_do_not_count() -> None:
    """Somebody called the function with a token that is current again."""
    listed = (Version("b", ("AWSPREVIOUS",), at(-70)), Version("a", ("AWSCURRENT",), at(-130)))
    again = [step("a", name, 5 + index, "already-current") for index, name in enumerate(STEPS)]
    assert found(listed, again, head("b", -60), event=9) == []


def test_a_step_that_tested_nothing_passed_none() -> None:
    logged = [*rotation("b", 0)[:2], step("b", "testSecret", -0.5, "already-current"), rotation("b", 0)[3]]
    (one,) = found(versions("b", "a"), logged, head("a", -60))
    assert (len(one.steps), one.passed_tests) == (4, ())


def test_names_from_the_log_are_bounded() -> None:
    odd = LoggedStep("id", at(0), "finishSecret", 0.1, None, "b", "x" * 900, "\ud800\n\x1b" * 300, "y" * 900)
    (one,) = found(versions("b", "a"), [step("b", "setSecret", -1), odd], None)
    assert (len(one.steps[1].outcome), one.rotator, one.strategy) == (16, "?" * 64, "y" * 64)
