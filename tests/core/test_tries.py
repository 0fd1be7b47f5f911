"""Which stored values a rotator tries: the order, the bound, and what the error says."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import AccessDenied, SecretFormatError
from rotators.core.rotation import NoPast, Rotation
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.tries import Tries


def value(key: object, host: str = "here") -> Secret:
    return Secret({"host": host, "key": key})


@dataclass(frozen=True)
class Past(NoPast):
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


def rotation_of(past: Past, *, most: int = 99, untouched: bool = False) -> Rotation:
    settings = Settings(most_rejected=most)
    return Rotation(value("current"), settings, value("pending"), past, untouched)


def tries_of(rotation: Rotation) -> Tries:
    return Tries(
        rotation,
        usable=lambda stored: stored.get("host") == "here",
        credential=lambda stored: stored.get("key"),
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


def test_the_limit_may_be_lowered_on_the_way() -> None:
    rotation = rotation_of(PAST)
    tries = tries_of(rotation)
    for _ in tries:
        tries.limit = 2
    assert len(rotation.rejections) == 2


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
