"""The memory of a process: rejected logins, and the rotations that it took part in."""

from __future__ import annotations

import hashlib

import pytest

from rotators.core.progress import Moment, Progress, Rejected

ARN, TOKEN, CURRENT = "arn:secret", "token", "version"
MOST = 256
"""The number of rotations that a process remembers."""


@pytest.mark.parametrize(("wall", "steady", "age"), [(7.0, 0.0, 7.0), (0.0, 7.0, 7.0), (-3600.0, 7.0, 7.0)])
def test_the_clock_that_counts_more_seconds_decides(
    monkeypatch: pytest.MonkeyPatch, wall: float, steady: float, age: float
) -> None:
    monkeypatch.setattr("rotators.core.progress.time.time", lambda: 1000.0 + wall)
    monkeypatch.setattr("rotators.core.progress.time.monotonic", lambda: 50.0 + steady)
    assert Moment(1000.0, 50.0).age() == age


def test_a_rejection_counts_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("rotators.core.progress.time.time", lambda: now[0])
    monkeypatch.setattr("rotators.core.progress.time.monotonic", lambda: 0.0)
    rejected = Rejected()
    rejected.add("key")
    counted = []
    for now[0] in (1000.0, 1599.0, 1600.0):
        counted.append(rejected.count())
    assert counted == [1, 1, 0]


def test_no_digest_can_be_compared_with_others() -> None:
    """A plain digest of a short password would show it."""
    rejected = Rejected()
    rejected.add("key")
    assert repr(hashlib.blake2b(repr("key").encode()).digest()) not in repr(vars(rejected))
    assert "'key'" not in repr(vars(rejected))


def test_equal_texts_of_different_types_are_different_credentials() -> None:
    rejected = Rejected()
    rejected.add("key")
    assert "key" in rejected
    assert b"key" not in rejected
    assert ("key",) not in rejected
    assert rejected.count() == 1


def test_a_credential_may_be_no_valid_unicode() -> None:
    rejected = Rejected()
    rejected.add("key\ud800")
    assert "key\ud800" in rejected
    assert "key" not in rejected


@pytest.mark.parametrize("credential", [None, ["key"], object(), type("Text", (str,), {})("key")])
def test_other_objects_are_no_credentials(credential: object) -> None:
    """Their ``repr`` may be equal to that of another credential."""
    with pytest.raises(TypeError, match=f"a tuple, not {type(credential).__name__}$"):
        Rejected().add(credential)  # type: ignore[arg-type]


def test_a_rotations_rejections_are_one_object() -> None:
    known = Progress()
    rejected = known.rejected(ARN, TOKEN, CURRENT)
    rejected.add("key")
    assert known.rejected(ARN, TOKEN, CURRENT) is rejected
    for other in ((ARN, TOKEN, None), (ARN, "other", CURRENT), ("arn:other", TOKEN, CURRENT)):
        assert known.rejected(*other).count() == 0


def test_the_oldest_rotations_are_forgotten() -> None:
    known = Progress()
    tokens = [str(number) for number in range(MOST + 1)]
    for token in tokens:
        known.stored(ARN, token)
        known.tested(ARN, token, ("rotator", token))
        known.rejected(ARN, token, CURRENT).add("key")
    rejected = [known.rejected(ARN, token, CURRENT).count() for token in reversed(tokens)]
    assert rejected == [1] * MOST + [0]
    assert [known.passed(ARN, token) for token in tokens[:2]] == [None, ("rotator", "1")]
    assert [known.begin_set(ARN, token) for token in tokens[:2]] == [False, True]


def test_cleared_memory_is_like_a_new_container() -> None:
    known = Progress()
    known.stored(ARN, TOKEN)
    known.tested(ARN, TOKEN, ("rotator", "single"))
    known.rejected(ARN, TOKEN, CURRENT).add("key")
    known.clear()
    assert not known.begin_set(ARN, TOKEN)
    assert known.passed(ARN, TOKEN) is None
    assert known.rejected(ARN, TOKEN, CURRENT).count() == 0
