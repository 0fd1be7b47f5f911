"""Which stored values a rotator tries: the order, the bound, and what the error says."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import AccessDenied, SecretFormatError
from rotators.core.progress import REMEMBERED_SECONDS, Moment, Rejected
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.tries import Tries


def value(key: object, host: str = "here") -> Secret:
    return Secret({"host": host, "key": key})


@dataclass(frozen=True)
class Past:
    """A past at hand."""

    before: Secret | None = None
    never_current: tuple[Secret, ...] = ()
    replaced: tuple[Secret, ...] = ()
    fails: tuple[str, ...] = field(default=())

    def previous(self) -> Secret | None:
        if "previous" in self.fails:
            raise SecretFormatError("no JSON")
        return self.before

    def lost(self) -> tuple[Secret, ...]:
        if "list" in self.fails:
            raise AccessDenied("no right")
        return self.never_current

    def history(self) -> tuple[Secret, ...]:
        return (*self.lost(), *self.replaced)


def rotation_of(
    past: Past, *, most: int = 99, untouched: bool = False, rejected: Rejected | None = None
) -> Rotation:
    return Rotation(
        value("current"),
        Settings(most_rejected=most),
        value("pending"),
        untouched,
        rejected=Rejected() if rejected is None else rejected,
        read_previous=past.previous,
        read_lost=past.lost,
        read_history=past.history,
    )


def tries_of(rotation: Rotation, allowed: int | None = None) -> Tries:
    return Tries(
        rotation,
        usable=lambda stored: stored.get("host") == "here",
        credential=lambda stored: None if stored.get("key") is None else str(stored.get("key")),
        allowed=lambda: allowed,
    )


def keys(rotation: Rotation) -> list[object]:
    return [stored["key"] for _, stored in tries_of(rotation)]


PAST = Past(value("previous"), (value("lost 1"), value("lost 2")), (value("old 1"), value("old 2")))


@pytest.mark.parametrize(
    ("untouched", "order"),
    [
        (False, ["current", "pending", "lost 1", "lost 2", "previous", "old 1", "old 2"]),
        (True, ["current", "lost 1", "lost 2", "pending", "previous", "old 1", "old 2"]),
    ],
)
def test_the_likeliest_value_comes_first(order: list[str], *, untouched: bool) -> None:
    assert keys(rotation_of(PAST, untouched=untouched)) == order


def test_a_value_without_a_credential_or_with_a_known_one_is_left_out() -> None:
    past = Past(value("current"), (), (value(None), value("works"), value("works")))
    assert keys(rotation_of(past)) == ["current", "pending", "works"]


def test_a_value_that_cannot_be_read_hides_none_behind_it() -> None:
    assert "old 1" in keys(rotation_of(Past(None, (), (value("old 1"),), fails=("previous",))))


@given(st.integers(1, 12), st.integers(0, 12), st.booleans())
def test_no_more_are_rejected_than_the_limit_and_the_rest_is_named(
    most: int, older: int, untouched: bool
) -> None:
    past = Past(None, (), tuple(value(number) for number in range(older)))
    rotation = rotation_of(past, most=most, untouched=untouched)
    tries = tries_of(rotation)
    tried = [stored["key"] for _, stored in tries]
    assert tried[0] == "current"
    assert len(tried) == len(set(tried)) == min(most, older + 2) == len(rotation.rejections)
    named = str(tries.failure("no"))
    assert named.count("older version") + named.count("pending") + named.count("current") >= older + 2


@given(st.integers(2, 12), st.none() | st.integers(1, 12), st.integers(0, 12), st.integers(1, 5))
def test_repeated_steps_of_a_rotation_stay_within_the_limit(
    most: int, allowed: int | None, older: int, repeats: int
) -> None:
    past = Past(None, (), tuple(value(number) for number in range(older)))
    rejected = Rejected()
    tried: list[object] = []
    for _ in range(repeats):
        rotation = rotation_of(past, most=most, rejected=rejected)
        tried += [stored["key"] for _, stored in tries_of(rotation, allowed)]
    assert len(tried) <= min(most, most if allowed is None else allowed)
    assert all(tried.count(key) == 1 for key in set(tried) - {"current", "pending"})


def test_a_repeated_step_that_tries_nothing_says_why_and_what_to_do() -> None:
    rejected = Rejected()
    keys(rotation_of(Past(), most=2, rejected=rejected))
    tries = tries_of(rotation_of(Past(), most=2, rejected=rejected))
    assert not list(tries)
    error = tries.failure("no")
    assert error.cause == "no: rejected minutes ago in this rotation, so not tried again: current, pending"
    assert "10 minutes" in error.remedy


def test_only_the_current_and_the_pending_value_are_tried_again() -> None:
    """An operator, or another delivery of the step, may have set them since."""
    rejected = Rejected()
    for each in ("current", "pending", "lost 1"):
        rejected.add(each)
    tries = tries_of(rotation_of(PAST, rejected=rejected))
    assert [stored["key"] for _, stored in tries][:3] == ["current", "pending", "lost 2"]
    assert "so not tried again: lost version 1" in tries.failure("no").cause


def test_after_an_accepted_value_all_may_be_tried_again() -> None:
    rejected = Rejected()
    tries = tries_of(rotation_of(PAST, rejected=rejected))
    for label, _ in tries:
        if label == "lost version 1":
            tries.accepted()
            break
    assert keys(rotation_of(PAST, rejected=rejected))[0] == "current"


def test_rejected_logins_are_forgotten_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    rejected = Rejected()
    rejected.add("current")
    later = Moment.now().wall + REMEMBERED_SECONDS
    assert "current" in rejected
    monkeypatch.setattr("rotators.core.progress.time.time", lambda: later)
    assert "current" not in rejected
    assert rejected.count() == 0


def test_what_is_left_out_by_one_step_is_reached_by_another() -> None:
    past = Past(None, (), tuple(value(number) for number in range(6)))
    reached: set[object] = set()
    for _ in range(500):  # each is chosen with one chance in seven
        reached |= set(keys(rotation_of(past, most=2)))
    assert reached == {"current", "pending", *range(6)}


def test_a_value_that_is_accepted_is_no_rejection() -> None:
    rotation = rotation_of(PAST)
    for label, _ in tries_of(rotation):
        if label == "lost version 1":
            break
    assert rotation.rejections == ["current", "pending"]


def test_the_targets_own_limit_counts_after_the_first_rejection() -> None:
    rotation = rotation_of(PAST)
    assert len(list(tries_of(rotation, allowed=2))) == 2


def test_a_value_for_another_target_is_not_given_and_the_error_says_what_to_do() -> None:
    rotation = rotation_of(Past(value("elsewhere", host="there")))
    tries = tries_of(rotation)
    assert "elsewhere" not in [stored["key"] for _, stored in tries]
    error = tries.failure("no")
    assert "stored for another target, so not tried: previous" in error.cause
    assert "ALLOWED_TARGETS" in error.remedy


def test_the_error_names_the_right_that_is_missing() -> None:
    tries = tries_of(rotation_of(Past(fails=("list",))))
    assert list(tries)
    assert "secretsmanager:ListSecretVersionIds" in str(tries.failure("no"))
