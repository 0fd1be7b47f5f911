"""Loading while the service is down or slow, throttles calls or denies access."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rotators.cache.backoff import backoff_seconds
from rotators.cache.cache import Cache
from rotators.core.errors import (
    AccessDenied,
    RotatorsError,
    SecretNotFound,
    ServiceThrottled,
    ServiceUnavailable,
)
from tests.core.loading import DENIED, HOUR, NEGATIVE, STALE, THROTTLED, TTL, Service, Time, cache
from tests.waiting import until


def test_a_value_survives_an_outage_for_a_while(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    service.trouble = ServiceUnavailable("down")
    passing.now += TTL
    assert kept.get("k", service.load) == "k1"
    assert kept.counts()["stale"] == 1
    passing.now += STALE - 1
    assert kept.get("k", service.load) == "k1"
    passing.now += 1
    with pytest.raises(ServiceUnavailable, match="down"):
        kept.get("k", service.load, timeout=3)
    assert len(kept) == 1
    kept.put("other", "v")
    assert len(kept) == 1


def test_an_outage_causes_a_call_every_two_seconds(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    passing.now += TTL
    service.trouble = ServiceUnavailable("down")
    for _ in range(600):
        assert kept.get("k", service.load) == "k1"
        passing.now += 0.1
    assert 60 / 2 <= service.calls["k"] - 1 <= 70
    service.trouble = None
    passing.now += 2
    until(lambda: kept.get("k", service.load) != "k1")


def test_an_old_value_replaces_a_slow_answer(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    passing.now += TTL
    service.open.clear()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(kept.get, "k", service.load)
        until(lambda: service.calls["k"] == 2)
        passing.now += 1
        assert asked.result() == "k1"
        assert kept.get("k", service.load) == "k1"
        service.open.set()
        until(lambda: kept.get("k", service.load) == "k2")
    assert service.calls["k"] == 2


def test_a_throttled_load_repeats_until_the_deadline(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    service.trouble = [THROTTLED] * 7
    assert kept.get("k", service.load, timeout=10) == "k8"
    assert 0 < sum(passing.slept) < 10
    assert passing.slept[0] <= 0.1
    assert max(passing.slept) <= 2


def test_the_deadline_raises_the_services_error(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    service.trouble = THROTTLED
    began = passing.now
    with pytest.raises(ServiceThrottled, match="slow down"):
        kept.get("k", service.load, timeout=10)
    assert passing.now - began <= 10
    assert service.calls["k"] < 20


def test_a_hanging_load_delays_no_caller_beyond_deadline(service: Service) -> None:
    kept = cache(time.time)
    service.open.clear()
    with pytest.raises(ServiceUnavailable, match=r"service-unavailable/deadline"):
        kept.get("k", service.load, timeout=0.2)
    wait = next(kept.steps("k", service.load, timeout=0.2))
    assert 0 < wait.seconds <= 0.2
    service.open.set()


def test_renewed_host_credentials_are_waited_for(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    service.trouble = [AccessDenied("expired", reason="credentials")] * 3
    assert kept.get("k", service.load) == "k4"
    passing.now += TTL
    service.trouble = AccessDenied("expired", reason="credentials")
    assert kept.get("k", service.load) == "k4"


def test_a_value_is_returned_without_a_timer_thread(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    kept = cache(time.time)
    monkeypatch.setattr(threading.Timer, "start", none_left)
    assert kept.get("k", service.load, timeout=HOUR) == "k1"


def test_a_caller_without_time_blocks_no_key(service: Service) -> None:
    kept = cache(time.time)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="deadline"):
            kept.get("k", service.load, timeout=0)
    assert kept.get("k", service.load) == "k1"


@pytest.mark.parametrize("error", [DENIED, SecretNotFound("none")])
def test_a_lasting_error_is_cached_for_a_while(passing: Time, service: Service, error: RotatorsError) -> None:
    kept = cache(passing.time)
    service.trouble = error
    for _ in range(3):
        with pytest.raises(type(error)):
            kept.get("k", service.load)
    assert service.calls["k"] == 1
    assert kept.counts()["negative"] == 2
    passing.now += NEGATIVE
    service.trouble = None
    assert kept.get("k", service.load) == "k2"


def test_a_revoked_right_ends_the_old_value(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    service.trouble = DENIED
    passing.now += 90
    assert kept.get("k", service.load) == "k1"
    until(lambda: kept.counts()["failures"] == 1)
    passing.now += 9
    assert kept.get("k", service.load) == "k1"
    passing.now += 1
    with pytest.raises(AccessDenied):
        kept.get("k", service.load)
    passing.now += NEGATIVE
    service.trouble = ServiceUnavailable("down")
    with pytest.raises(ServiceUnavailable):
        kept.get("k", service.load, timeout=1)


def test_other_errors_are_raised_and_not_cached(service: Service) -> None:
    kept = cache(time.time)
    service.trouble = KeyError("mine")
    with pytest.raises(KeyError, match="mine"):
        kept.get("k", service.load)
    service.trouble = None
    assert kept.get("k", service.load) == "k2"


def test_an_old_value_never_replaces_a_newer_one(passing: Time, service: Service) -> None:
    kept = cache(passing.time)
    kept.get("k", service.load)
    service.trouble = THROTTLED
    with pytest.raises(ServiceThrottled):
        kept.get("k", service.load, since=kept.mark(), timeout=5)
    assert kept.get("k", service.load) == "k1"


def test_cached_errors_hold_no_frames_of_callers(service: Service) -> None:
    class Request:
        pass

    kept = cache(time.time)
    service.trouble = DENIED

    def handle() -> weakref.ref[Request]:
        request = Request()
        with pytest.raises(AccessDenied):
            kept.get("k", service.load)
        return weakref.ref(request)

    gone = [handle() for _ in range(3)]
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


def test_pauses_double_and_are_randomized() -> None:
    for times, longest in ((1, 0.1), (2, 0.2), (3, 0.4), (5, 1.6), (6, 2.0), (10_000, 2.0)):
        pauses = [backoff_seconds(times) for _ in range(50)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


class Histories(RuleBasedStateMachine):
    """For any sequence of events: no value too many, none too old, and no load more than allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.passing = Time()
        self.patch.setattr("rotators.cache.cache.time", self.passing)
        self.kept: Cache[str, float] = Cache(
            ttl=TTL, stale=STALE, negative=NEGATIVE, jitter=0.2, max_entries=3, clock=self.passing.time
        )
        self.trouble: Exception | None = None
        self.calls = 0

    def load(self, _: str) -> float:
        self.calls += 1
        if self.trouble:
            raise self.trouble
        return self.passing.now

    @rule(seconds=st.sampled_from([0.05, 1.0, 11.0, 70.0, 90.0, 101.0, 1101.0]))
    def time_passes(self, seconds: float) -> None:
        self.passing.now += seconds

    @rule(trouble=st.sampled_from([None, THROTTLED, DENIED]))
    def the_service_changes(self, trouble: Exception | None) -> None:
        self.trouble = trouble

    @rule(key=st.sampled_from("abcde"), forced=st.booleans())
    def somebody_asks(self, key: str, forced: bool) -> None:
        now, calls, stale = self.passing.now, self.calls, self.kept.counts()["stale"]
        failed: RotatorsError | None = None
        loaded = now
        try:
            loaded = self.kept.get(key, self.load, since=self.kept.mark() if forced else None, timeout=3)
        except RotatorsError as error:
            failed = error
        assert failed is None or self.trouble is not None or isinstance(failed, AccessDenied)
        assert not (forced and loaded < now)
        assert loaded >= now - TTL - (STALE if self.kept.counts()["stale"] > stale else 0)
        assert self.passing.now - now <= 3
        assert self.calls - calls <= 8

    @invariant()
    def it_stays_small(self) -> None:
        assert len(self.kept) <= 3

    def teardown(self) -> None:
        self.kept.clear()
        self.patch.undo()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
