"""A cache with clear-text values limits their time and their number, and hides them in its repr."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.cache.cache import Cache
from tests.waiting import until


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def cache(clock: Clock, ttl: float = 10, max_entries: int = 3) -> Cache[str, str]:
    return Cache(ttl=ttl, max_entries=max_entries, clock=clock)


@pytest.mark.parametrize(("after", "found"), [(0, "v"), (9.9, "v"), (10, None), (1e6, None), (-1, None)])
def test_an_entry_expires_by_the_clock(after: float, found: str | None) -> None:
    clock = Clock()
    kept = cache(clock)
    kept.put("k", "v")
    clock.now += after
    assert kept.peek("k") == found


def test_a_new_value_has_its_own_lifetime() -> None:
    clock = Clock()
    kept = cache(clock)
    kept.put("k", "old")
    clock.now += 9
    kept.put("k", "new")
    clock.now += 9
    assert kept.peek("k") == "new"


def test_an_expired_entry_is_removed() -> None:
    clock = Clock()
    kept = cache(clock)
    kept.put("k", "v")
    clock.now += 10
    assert len(kept) == 1
    kept.put("other", "v")
    assert len(kept) == 1


def test_the_entry_used_longest_ago_makes_room() -> None:
    clock = Clock()
    kept = cache(clock)
    for key in "abc":
        clock.now += 1
        kept.put(key, key)
    clock.now += 1
    assert kept.get("a", str.upper) == "a"
    clock.now += 1
    kept.put("d", "d")
    assert [kept.peek(key) for key in "abcd"] == ["a", None, "c", "d"]
    assert kept.counts()["evicted"] == 1


def test_clear_deletes_everything() -> None:
    kept = cache(Clock())
    for key in "abc":
        kept.put(key, key)
    kept.clear()
    assert len(kept) == 0


@pytest.mark.parametrize("ttl", [0, -1])
def test_no_time_keeps_nothing(ttl: float) -> None:
    kept = cache(Clock(), ttl=ttl)
    kept.put("k", "v")
    assert len(kept) == 0


def test_the_repr_shows_neither_keys_nor_values() -> None:
    kept = cache(Clock())
    kept.put("the-key", "the-value")
    assert repr(kept) == "<Cache of 1/3 entries, ttl 10 s>"


def test_clear_text_needs_no_further_call() -> None:
    """Each value at its own time; the timer is a real one."""
    clock = Clock()
    kept = cache(clock, ttl=0.1)
    kept.put("first", "v")
    clock.now += 0.08
    kept.put("second", "v")
    clock.now += 0.04
    until(lambda: len(kept) == 1)
    assert kept.peek("second") == "v"
    clock.now += 0.08
    until(lambda: len(kept) == 0)


def test_a_timer_does_not_keep_its_cache() -> None:
    kept = cache(Clock(), ttl=600)
    kept.put("k", "v")
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is None


def test_a_timer_does_not_delay_the_process_end() -> None:
    before = set(threading.enumerate())
    kept = cache(Clock(), ttl=600)
    for key in "abc":
        kept.put(key, key)
    (timer,) = set(threading.enumerate()) - before
    assert timer.daemon


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 5)), max_size=40))
def test_size_and_age_stay_within_their_limits(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    kept: Cache[str, float] = Cache(ttl=10, max_entries=3, clock=clock)
    for key, wait in steps:
        clock.now += wait
        kept.put(key, clock.now)
        assert kept.peek(key) == clock.now
        assert len(kept) <= 3
        assert all(clock.now - put < 10 for other in "abcde" if (put := kept.peek(other)) is not None)
    kept.clear()


def test_threads_may_share_it() -> None:
    kept: Cache[int, int] = Cache(ttl=60, max_entries=50)
    wrong: list[int] = []

    def work(start: int) -> None:
        for n in range(start, start + 500):
            kept.put(n % 100, n % 100)
            wrong.extend(key for key in (n % 100, (n * 7) % 100) if kept.peek(key) not in {None, key})

    threads = [threading.Thread(target=work, args=[start]) for start in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(kept) <= 50
