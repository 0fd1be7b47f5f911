"""All waiting callers share one load, which starts before a value expires if possible."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from rotators.cache.cache import Cache
from rotators.core.errors import AccessDenied
from tests.core.loading import HOUR, TTL, Service, Time, cache
from tests.waiting import until


def test_a_hundred_threads_share_one_cold_load(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    with ThreadPoolExecutor(100) as threads:
        asked = [threads.submit(kept.get, "k", service.load) for _ in range(100)]
        until(lambda: service.calls["k"] == 1)
        service.open.set()
        assert {one.result() for one in asked} == {"k1"}
    assert service.calls["k"] == 1
    assert kept.counts()["loads"] == 1


def test_different_keys_do_not_wait_for_each_other(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(kept.get, key, service.load) for key in "ab"]
        until(lambda: service.calls.total() == 2)
        service.open.set()
        assert [one.result() for one in both] == ["a1", "b1"]


def test_waiting_callers_share_the_error_without_its_frames(service: Service) -> None:
    kept = cache(time.time, negative=0)
    service.trouble = AccessDenied("no", reason="kms", remedy="Grant it.")
    service.open.clear()
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(kept.get, "k", service.load) for _ in range(20)]
        until(lambda: service.calls["k"] == 1)
        service.open.set()
        errors = [one.exception() for one in asked]
    assert len({id(error) for error in errors}) == 20
    assert {(type(error), str(error)) for error in errors} == {(AccessDenied, str(service.trouble))}
    assert max(len(traceback.extract_tb(error.__traceback__)) for error in errors if error) < 8


def test_a_value_is_reloaded_before_it_expires(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    assert kept.get("k", service.load) == "k1"
    passing.now += 79
    assert kept.get("k", service.load) == "k1"
    assert service.calls["k"] == 1
    passing.now += 2
    service.open.clear()
    assert [kept.get("k", service.load) for _ in range(3)] == ["k1"] * 3
    until(lambda: service.calls["k"] == 2)
    service.open.set()
    until(lambda: kept.get("k", service.load) == "k2")
    assert kept.counts()["background"] == 1
    passing.now += 79
    assert kept.get("k", service.load) == "k2"


def test_an_expired_value_is_waited_for(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    passing.now += TTL
    assert kept.get("k", service.load) == "k2"


def test_lives_are_shortened_at_random_and_never_lengthened(passing: Time) -> None:
    kept: Cache[int, int] = Cache(ttl=100, jitter=0.3, max_entries=1000, clock=passing.time)
    for key in range(400):
        kept.put(key, key)
    alive = []
    for _ in range(100):
        alive.append(sum(kept.peek(key) is not None for key in range(400)))
        passing.now += 1
    assert alive[70] == 400
    assert 100 < alive[85] < 300
    assert sum(kept.peek(key) is not None for key in range(400)) == 0


def test_a_wrong_value_is_replaced_by_one_load(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    found_wrong = kept.mark()
    assert kept.get("k", service.load, since=found_wrong) == "k2"
    assert kept.get("k", service.load, since=found_wrong) == "k2"
    assert kept.get("k", service.load) == "k2"
    passing.now += 1
    assert kept.get("k", service.load, since=kept.mark()) == "k3"


def test_an_earlier_load_does_not_count_as_newer(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    with ThreadPoolExecutor(9) as threads:
        plain = threads.submit(kept.get, "k", service.load)
        until(lambda: service.calls["k"] == 1)
        since = kept.mark()
        newer = [threads.submit(kept.get, "k", service.load, since=since) for _ in range(8)]
        until(lambda: service.calls["k"] == 2)
        service.open.set()
        assert plain.result() == "k1"
        assert {one.result() for one in newer} == {"k2"}
    assert service.calls["k"] == 2


def test_without_a_lifetime_each_caller_loads(service: Service) -> None:
    kept = cache(time.time, ttl=0, stale=0)
    assert [kept.get("k", service.load) for _ in range(3)] == ["k1", "k2", "k3"]
    assert len(kept) == 0


def test_a_newer_value_passes_a_hanging_load(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    threading.Thread(target=kept.get, args=("k", service.load), daemon=True).start()
    until(lambda: service.calls["k"] == 1)
    assert kept.get("k", str.upper, since=kept.mark(), timeout=HOUR) == "K"
    service.open.set()


def test_a_clock_set_back_causes_one_load(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    passing.now -= 3600
    assert kept.get("k", service.load, since=kept.mark()) == "k2"
    assert kept.get("k", service.load) == "k2"
    assert service.calls["k"] == 2


def test_a_new_value_is_not_evicted_at_once(service: Service) -> None:
    kept: Cache[str, str] = Cache(ttl=TTL, max_entries=2)
    for key in "ab":
        kept.get(key, service.load)

    def load(key: str) -> str:
        for other in "ab":
            kept.get(other, service.load)
        return service.load(key)

    kept.get("c", load)
    assert kept.get("c", service.load) == "c1"


def test_a_running_load_does_not_undo_clear(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(kept.get, "k", service.load)
        until(lambda: service.calls["k"] == 1)
        kept.clear()
        service.open.set()
        assert asked.result() == "k1"
    assert len(kept) == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_ignores_its_parents_load(service: Service) -> None:
    kept = cache(time.time)
    kept.put("known", "v")
    service.open.clear()
    threading.Thread(target=kept.get, args=("k", service.load), daemon=True).start()
    until(lambda: service.calls["k"] == 1)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        answers = kept.get("known", service.load) + kept.get("k", str.upper, timeout=HOUR)
        os.write(writes, answers.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 100) == b"vK"
    os.close(reads)
    os.close(writes)


def test_the_caller_loads_if_threads_run_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    kept = cache(time.time, ttl=0, stale=0)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert kept.get("k", service.load) == "k1"


@pytest.mark.processes
def test_a_process_with_a_cache_ends_silently() -> None:
    code = "from rotators.cache.cache import Cache; kept = Cache(ttl=9, max_entries=2); kept.put('k', 'v')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
