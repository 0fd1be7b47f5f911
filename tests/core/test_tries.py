"""The stored values that a rotator tries: the order, the limit, and the error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import AccessDenied, RotatorsError, SecretFormatError, ServiceUnavailable
from rotators.core.progress import REMEMBERED_SECONDS, Moment, Rejected
from rotators.core.rotation import Rotation, Versions
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.store import SecretState, Store, WithoutStage
from rotators.core.tries import StoredValue, Tries


def value(key: object, host: str = "here") -> Secret:
    return Secret({"host": host, "key": key})


@dataclass(frozen=True)
class Past:
    """The part of a store from which older versions are read."""

    before: Secret | None = None
    never_current: tuple[Secret, ...] = ()
    replaced: tuple[Secret, ...] = ()
    fails: tuple[str, ...] = ()
    error: RotatorsError = field(default_factory=lambda: SecretFormatError("no JSON"))

    def value(self, _arn: str, version: str) -> Secret | None:
        if version in self.fails:
            raise self.error
        return self.before if version == "previous" else (*self.never_current, *self.replaced)[int(version)]

    def without_stage(self, _arn: str) -> WithoutStage:
        if "list" in self.fails:
            raise AccessDenied("no right")
        ids = [str(number) for number in range(len(self.never_current) + len(self.replaced))]
        return WithoutStage(ids[: len(self.never_current)], ids[len(self.never_current) :])


def rotation_of(
    past: Past, *, most: int = 99, untouched: bool = False, rejected: Rejected | None = None
) -> Rotation:
    return Rotation(
        value("current"),
        Settings(most_rejected=most),
        value("pending"),
        untouched,
        rejected=Rejected() if rejected is None else rejected,
        versions=Versions(cast("Store", past), SecretState("arn", True, {"previous": {"AWSPREVIOUS"}})),
    )


def tried(tries: Tries, allowed: int | None = None) -> Iterator[StoredValue]:
    """The values that may log in; each one is rejected when the next one is requested."""
    if tries.repeated:
        tries.limit(allowed)
    for stored in tries:
        key = stored.value.get("key")
        here = stored.value.get("host") == "here"
        if tries.may_send(stored, None if key is None else str(key), same_target=here):
            yield stored
            tries.limit(allowed)


def keys(rotation: Rotation, allowed: int | None = None) -> list[object]:
    return [stored.value["key"] for stored in tried(Tries(rotation), allowed)]


PAST = Past(value("previous"), (value("lost 1"), value("lost 2")), (value("old 1"), value("old 2")))


@pytest.mark.parametrize(
    ("untouched", "order"),
    [
        (False, ["current", "pending", "lost 1", "lost 2", "previous", "old 1", "old 2"]),
        (True, ["current", "lost 1", "lost 2", "pending", "previous", "old 1", "old 2"]),
    ],
)
def test_the_most_probable_value_comes_first(order: list[str], *, untouched: bool) -> None:
    assert keys(rotation_of(PAST, untouched=untouched)) == order


@pytest.mark.parametrize(
    ("untouched", "first"),
    [
        (False, ["current", "pending", "lost version 1", "lost version 2"]),
        (True, ["current", "lost version 1", "lost version 2", "pending"]),
    ],
)
def test_rejections_are_named_in_order(first: list[str], *, untouched: bool) -> None:
    rotation = rotation_of(PAST, untouched=untouched)
    tries = Tries(rotation)
    values = [stored.value for stored in tried(tries)]
    older = [f"older version {number}" for number in range(3, 5)]  # the lost ones are versions 1 and 2 of all
    assert rotation.rejections == [*first, "previous", *older]
    assert tries.rejected == values


def test_the_error_names_values_beyond_the_limit() -> None:
    tries = Tries(rotation_of(Past(), most=1))
    assert len(list(tried(tries))) == 1
    error = tries.failure("no")
    assert error.cause == (
        "no: rejected with current; not tried, to keep the account from being locked: pending"
    )
    assert error.remedy.startswith("Rotate again after 10 minutes: each rotation tries another")
    assert "MAX_REJECTED_LOGINS" in error.remedy


def test_the_error_names_values_that_cannot_be_read() -> None:
    tries = Tries(rotation_of(Past(fails=("previous", "list"))))
    assert len(list(tried(tries))) == 2
    assert tries.failure("no").cause == (
        "no: rejected with current, pending; older versions could not be listed: grant"
        " secretsmanager:ListSecretVersionIds; previous could not be read: secret-format"
    )


def test_values_rejected_before_count_as_rejected() -> None:
    rejected = Rejected()
    rejected.add("lost 1")
    tries = Tries(rotation_of(Past(None, (value("lost 1"),)), rejected=rejected))
    assert [stored.name for stored in tried(tries)] == ["current", "pending"]
    assert [each["key"] for each in tries.rejected] == ["current", "pending", "lost 1"]


def test_known_and_missing_credentials_are_skipped() -> None:
    past = Past(value("current"), (), (value(None), value("works"), value("works")))
    assert keys(rotation_of(past)) == ["current", "pending", "works"]


def test_an_unreadable_value_hides_no_other() -> None:
    assert "old 1" in keys(rotation_of(Past(None, (), (value("old 1"),), fails=("previous",))))


@pytest.mark.parametrize("reason", ["address", "no-endpoint"])
def test_missing_address_hides_no_other(reason: str) -> None:
    past = Past(None, (value("lost"),), (value("old"),), ("previous", "0"))
    unavailable = replace(past, error=ServiceUnavailable("not now", reason=reason))
    assert keys(rotation_of(unavailable)) == ["current", "pending", "old"]


@pytest.mark.parametrize("failing", ["previous", "0"])
def test_unavailable_value_ends_the_step(failing: str) -> None:
    """It is worth the same call later, and it may be the one that logs in."""
    unavailable = Past(
        None, (value("lost"),), (), (failing,), ServiceUnavailable("not now", reason="timeout")
    )
    with pytest.raises(ServiceUnavailable):
        keys(rotation_of(unavailable))


@given(st.integers(1, 12), st.integers(0, 12), st.booleans())
def test_the_limit_holds_and_skipped_values_are_named(most: int, older: int, untouched: bool) -> None:
    past = Past(None, (), tuple(value(number) for number in range(older)))
    rotation = rotation_of(past, most=most, untouched=untouched)
    tries = Tries(rotation)
    found = [stored.value["key"] for stored in tried(tries)]
    assert found[0] == "current"
    assert len(found) == len(set(found)) == min(most, older + 2) == len(rotation.rejections)
    named = str(tries.failure("no"))
    assert named.count("older version") + named.count("pending") + named.count("current") >= older + 2


@given(st.integers(2, 12), st.none() | st.integers(1, 12), st.integers(0, 12), st.integers(1, 5))
def test_repeated_steps_stay_within_the_limit(
    most: int, allowed: int | None, older: int, repeats: int
) -> None:
    past = Past(None, (), tuple(value(number) for number in range(older)))
    rejected = Rejected()
    found: list[object] = []
    for _ in range(repeats):
        found += keys(rotation_of(past, most=most, rejected=rejected), allowed)
    assert len(found) <= min(most, most if allowed is None else allowed)
    assert all(found.count(key) == 1 for key in set(found) - {"current", "pending"})


def test_a_repeated_step_without_tries_gives_the_reason() -> None:
    rejected = Rejected()
    keys(rotation_of(Past(), most=2, rejected=rejected))
    tries = Tries(rotation_of(Past(), most=2, rejected=rejected))
    assert not list(tried(tries))
    error = tries.failure("no")
    assert error.cause == "no: rejected minutes ago in this rotation, so not tried again: current, pending"
    assert "10 minutes" in error.remedy


def test_only_current_and_pending_are_tried_again() -> None:
    """An operator, or another delivery of the step, may have set them in the meantime."""
    rejected = Rejected()
    for each in ("current", "pending", "lost 1"):
        rejected.add(each)
    tries = Tries(rotation_of(PAST, rejected=rejected))
    assert [stored.value["key"] for stored in tried(tries)][:3] == ["current", "pending", "lost 2"]
    assert "so not tried again: lost version 1" in tries.failure("no").cause


def test_the_last_login_is_the_current_one() -> None:
    for _ in range(8):  # without it, one of seven values is chosen by chance
        rejected = Rejected()
        rejected.add("pending")
        tries = Tries(rotation_of(PAST, most=2, rejected=rejected), current_first=True)
        assert [stored.value["key"] for stored in tried(tries)] == ["current"]


def test_the_last_login_may_be_any_value() -> None:
    first: set[object] = set()
    for _ in range(20):  # one of seven values by chance
        rejected = Rejected()
        rejected.add("pending")
        first |= {
            stored.value["key"] for stored in tried(Tries(rotation_of(PAST, most=2, rejected=rejected)))
        }
    assert len(first) > 1


def test_an_accepted_value_clears_the_rejections() -> None:
    rejected = Rejected()
    tries = Tries(rotation_of(PAST, rejected=rejected))
    for stage, _ in tried(tries):
        if stage == "lost version 1":
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


def test_repeated_rotations_reach_every_value() -> None:
    past = Past(None, (), tuple(value(number) for number in range(6)))
    reached: set[object] = set()
    for _ in range(500):  # each is chosen with one chance in seven
        reached |= set(keys(rotation_of(past, most=2)))
    assert reached == {"current", "pending", *range(6)}


def test_an_accepted_value_is_not_a_rejection() -> None:
    rotation = rotation_of(PAST)
    for stage, _ in tried(Tries(rotation)):
        if stage == "lost version 1":
            break
    assert rotation.rejections == ["current", "pending"]


def test_the_targets_limit_counts_after_a_rejection() -> None:
    rotation = rotation_of(PAST)
    assert len(keys(rotation, allowed=2)) == 2


def test_a_value_for_another_target_is_skipped() -> None:
    rotation = rotation_of(Past(value("elsewhere", host="there")))
    tries = Tries(rotation)
    assert "elsewhere" not in [stored.value["key"] for stored in tried(tries)]
    error = tries.failure("no")
    assert "stored for another target, so not tried: previous" in error.cause
    assert "ALLOWED_TARGETS" in error.remedy


def test_the_error_names_the_right_that_is_missing() -> None:
    tries = Tries(rotation_of(Past(fails=("list",))))
    assert list(tried(tries))
    assert "secretsmanager:ListSecretVersionIds" in str(tries.failure("no"))
