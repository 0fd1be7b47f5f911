"""The four steps with a store in memory: the writes and their order, and what does not change."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import astuple, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import (
    NoCurrentValue,
    PendingHasNoValue,
    RequestRefused,
    RotationNotEnabled,
    RotationStateError,
    RotatorDefect,
    TargetRefused,
    VersionConflict,
    VersionNotPending,
    VersionNotStaged,
)
from rotators.core.finder import WITHHELD
from rotators.core.progress import progress
from rotators.core.request import RotationRequest, Step
from rotators.core.rotation import STAGES_SECONDS, Rotation, Versions
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.steps import Outcome, Report, run_step
from rotators.core.store import SecretState, WithoutStage

OLD, NEW, ARN = "o" * 32, "n" * 32, "arn:secret"


@dataclass
class MemoryStore:
    """The store's contract on two dictionaries; it records the writes."""

    stages: dict[str, set[str]] = field(default_factory=lambda: {OLD: {"AWSCURRENT"}, NEW: {"AWSPENDING"}})
    values: dict[str, Secret] = field(default_factory=lambda: {OLD: Secret({"password": "old-password"})})
    enabled: bool = True
    did: list[str] = field(default_factory=list)
    proofs: list[str | None] = field(default_factory=list)

    def describe(self, secret_id: str) -> SecretState:
        assert secret_id == ARN
        return SecretState(ARN, self.enabled, self.stages)

    def value(self, arn: str, version: str) -> Secret | None:
        assert arn == ARN
        assert version
        return self.values.get(version)

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        assert arn == ARN
        assert token not in self.values
        self.values[token] = value
        self.proofs.append(rotation_token)
        self.did.append("store")

    def promote(self, arn: str, token: str, current: str | None) -> None:
        assert arn == ARN
        for version, held in self.stages.items():
            if "AWSCURRENT" in held:
                assert version == current
                held.discard("AWSCURRENT")
        self.stages[token].add("AWSCURRENT")
        self.did.append("promote")

    def without_stage(self, arn: str) -> WithoutStage:
        assert arn == ARN
        ours = {"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"}
        return WithoutStage(
            [version for version in self.values if not self.stages.get(version, set()) & ours]
        )

    def admin(self, arn: str) -> Secret:
        assert arn == "arn:admin"
        return Secret({"username": "admin", "password": "admin-password"})


@dataclass
class Target:
    """A rotator whose target is one variable."""

    store: MemoryStore
    password: str = "old-password"
    seen: list[Rotation] = field(default_factory=list)
    fails: Exception | None = None

    def propose(self, rotation: Rotation) -> Secret:
        self.store.did.append("propose")
        return rotation.current.replace(password=f"password-{len(self.store.did)}")

    def apply(self, rotation: Rotation) -> None:
        self.store.did.append("apply")
        self.seen.append(rotation)
        if self.fails:
            raise self.fails
        self.password = rotation.pending.text("password")

    def verify(self, rotation: Rotation) -> None:
        self.store.did.append("verify")
        (current,) = (version for version, stages in self.store.stages.items() if "AWSCURRENT" in stages)
        assert rotation.current == self.store.values[current]
        if rotation.pending["password"] != self.password:
            raise TargetRefused("wrong password")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def target(store: MemoryStore) -> Target:
    return Target(store)


def run(step: Step, target: Target, token: str = NEW, proof: str | None = None) -> Outcome:
    return run_step(RotationRequest(ARN, token, step, proof), target.store, Settings(), Report(), target)


def test_the_value_is_stored_before_the_target_changes(target: Target) -> None:
    assert [run(step, target) for step in Step] == [Outcome.DONE] * 4
    assert target.store.did == ["propose", "store", "apply", "verify", "promote"]
    assert "AWSCURRENT" in target.store.stages[NEW]
    assert target.store.values[NEW]["password"] == target.password


def test_the_rotation_token_goes_with_the_stored_value(target: Target) -> None:
    run(Step.CREATE, target, proof="p" * 40)
    assert target.store.proofs == ["p" * 40]


def test_a_repeated_create_keeps_the_stored_value(target: Target) -> None:
    run(Step.CREATE, target)
    stored = target.store.values[NEW]
    assert run(Step.CREATE, target) is Outcome.ALREADY_STORED
    assert target.store.values[NEW] is stored


def test_a_repeated_finish_succeeds_and_keeps_pending(target: Target) -> None:
    for step in Step:
        run(step, target)
    assert run(Step.FINISH, target) is Outcome.ALREADY_CURRENT
    assert target.store.stages[NEW] == {"AWSCURRENT", "AWSPENDING"}


@given(st.lists(st.sampled_from(list(Step)), max_size=12))
def test_steps_in_any_order_lose_nothing(
    steps: list[Step],
) -> None:
    progress.clear()
    store = MemoryStore()
    target = Target(store)
    for step in steps:
        with contextlib.suppress(RotationStateError, TargetRefused):
            run(step, target)
    stored = [value["password"] for value in store.values.values()]
    assert target.password in stored
    assert all(version in store.values for version, held in store.stages.items() if "AWSCURRENT" in held)


@pytest.mark.parametrize("step", [Step.SET, Step.FINISH])
def test_an_empty_pending_version_is_not_promoted(target: Target, step: Step) -> None:
    with pytest.raises(PendingHasNoValue, match="createSecret has not stored a value"):
        run(step, target)
    assert target.store.did == []


def test_a_trial_without_pending_value_tests_the_current(target: Target) -> None:
    assert run(Step.TEST, target) is Outcome.TESTED_CURRENT
    target.password = "changed by hand"
    with pytest.raises(TargetRefused):
        run(Step.TEST, target)


def test_a_trial_with_a_copy_tests_it(target: Target) -> None:
    target.store.values[NEW] = target.store.values[OLD]
    assert run(Step.TEST, target) is Outcome.TESTED_CURRENT


@pytest.mark.parametrize("step", list(Step))
def test_every_step_ignores_a_disabled_secret(target: Target, step: Step) -> None:
    target.store.enabled = False
    with pytest.raises(RotationNotEnabled):
        run(step, target)
    assert target.store.did == []


def test_a_secret_without_current_value_is_refused(target: Target) -> None:
    target.store.values.clear()
    with pytest.raises(NoCurrentValue, match="no AWSCURRENT version with a value"):
        run(Step.CREATE, target)
    del target.store.stages[OLD]
    with pytest.raises(NoCurrentValue):
        run(Step.CREATE, target)


def test_a_rotator_reads_previous_history_and_admin(target: Target) -> None:
    store = target.store
    store.values[OLD] = Secret({"password": "old-password", "masterarn": "arn:admin"})
    store.stages["p" * 32] = {"AWSPREVIOUS"}
    store.values["p" * 32] = Secret({"password": "previous-password"})
    store.values["h" * 32] = Secret({"password": "lost-password"})
    run(Step.CREATE, target)
    run(Step.SET, target)
    (rotation,) = target.seen
    assert rotation.previous == Secret({"password": "previous-password"})
    assert list(rotation.history) == [{"password": "lost-password"}]
    assert rotation.admin == Secret({"username": "admin", "password": "admin-password"})


@pytest.mark.parametrize("leaked", ["old-password", "admin-password", "previous-password"])
def test_a_rotators_error_shows_no_value(target: Target, leaked: str) -> None:
    store = target.store
    store.values[OLD] = Secret({"password": "old-password", "masterarn": "arn:admin"})
    store.stages["p" * 32] = {"AWSPREVIOUS"}
    store.values["p" * 32] = Secret({"password": "previous-password"})

    class Leaky(Target):
        def apply(self, rotation: Rotation) -> None:
            assert rotation.admin
            assert rotation.previous
            raise LookupError(f"cannot use {leaked}")

    leaky = Leaky(store)
    run(Step.CREATE, leaky)
    with pytest.raises(RotatorDefect, match="LookupError: cannot use") as caught:
        run(Step.SET, leaky)
    assert leaked not in str(caught.value)
    assert type(caught.value.__cause__) is LookupError


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("key", ["12345", "k"])
def test_a_declared_credential_is_masked_at_any_length(store: MemoryStore, step: Step, key: str) -> None:
    store.values = {version: Secret({"api_key": key}) for version in (OLD, NEW)}
    if step is Step.CREATE:
        del store.values[NEW]

    class Keys(Target):
        credential_members = ("api_key",)

        def propose(self, rotation: Rotation) -> Secret:
            raise TargetRefused(f"cannot use {rotation.current['api_key']}")

        def apply(self, rotation: Rotation) -> None:
            self.propose(rotation)

        def verify(self, rotation: Rotation) -> None:
            self.propose(rotation)

    with pytest.raises(TargetRefused) as caught:
        run(step, Keys(store))
    assert "***" in caught.value.cause
    assert key not in caught.value.cause.replace(WITHHELD, "")


def test_an_unknown_strategy_shows_no_short_credential(store: MemoryStore) -> None:
    store.values = {OLD: Secret({"api_key": "~7z"})}

    class Keys(Target):
        credential_members = ("api_key",)

        def strategy_of(self, secret: Secret) -> str:
            raise TargetRefused(f"no strategy for {secret['api_key']}")

    with pytest.raises(TargetRefused) as caught:
        run(Step.CREATE, Keys(store))
    assert "~7z" not in caught.value.cause


def test_an_error_shows_no_proposed_value(target: Target) -> None:
    """The proposed value is in no version yet."""

    class Showing(MemoryStore):
        def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
            raise RequestRefused(f"cannot store {value['password']}")

    with pytest.raises(RequestRefused, match="cannot store") as caught:
        run(Step.CREATE, Target(Showing()))
    assert "password-" not in str(caught.value)


class Named(Target):
    """A rotator with a strategy, which the value names."""

    def strategy_of(self, secret: Secret) -> str:
        return secret.text("strategy")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "old-password", "strategy": "mine"}, ("Named", "mine")),
        ({"password": "mine", "strategy": "mine"}, ("Named", "***")),
        ({"password": "Named", "strategy": "mine"}, ("***", "mine")),
    ],
)
def test_a_report_names_rotator_and_strategy(
    store: MemoryStore, value: dict[str, str], shown: tuple[str, str]
) -> None:
    store.values[OLD] = Secret(value)
    target = Named(store, password=value["password"])
    for step in Step:
        report = Report()
        run_step(RotationRequest(ARN, NEW, step, None), store, Settings(), report, target)
        assert (report.rotator, report.strategy) == shown
    assert store.did.count("verify") == 1  # finishSecret reports what testSecret has seen


def test_a_report_names_the_promotion(target: Target) -> None:
    report = Report()
    for step in Step:
        assert not report.moved
        run_step(RotationRequest(ARN, NEW, step, None), target.store, Settings(), report, target)
        assert (report.rotator, report.strategy) == ("Target", "")
    assert [astuple(each) for each in report.moved] == [("AWSCURRENT", OLD, NEW)]


@pytest.mark.parametrize(
    ("value", "settings", "name"),
    [
        ({"engine": "postgres"}, Settings(), "postgres"),
        ({}, Settings(rotator="mariadb"), "mariadb"),
        ({"engine": "aurora-mysql"}, Settings(rotator="mysql"), "mysql"),
    ],
)
def test_the_environment_or_the_secret_names_the_rotator(
    store: MemoryStore, value: dict[str, str], settings: Settings, name: str
) -> None:
    store.values[OLD] = Secret({"host": "db", "username": "app", "password": "old-password", **value})
    report = Report()
    request = RotationRequest(ARN, NEW, Step.CREATE, None)
    assert run_step(request, store, settings, report) is Outcome.DONE
    assert (report.rotator, report.strategy) == (name, "single")


def test_a_step_gets_settings_and_earlier_rejections(target: Target) -> None:
    """The rejections count for one rotation, until another value is stored as AWSCURRENT."""
    store, settings, other = target.store, Settings(most_rejected=7), "t" * 32
    store.stages[other] = {"AWSPENDING"}
    store.values |= {NEW: Secret({"password": "new"}), other: Secret({"password": "other"})}

    def counted(token: str) -> int:
        report = Report()
        run_step(RotationRequest(ARN, token, Step.SET, None), store, settings, report, target)
        rotation = target.seen[-1]
        assert rotation.settings is settings
        before = rotation.rejected.count()
        rotation.rejected.add("key")
        rotation.rejections.append("current")
        assert report.rejections == ["current"]
        return before

    assert [counted(NEW), counted(NEW), counted(other)] == [0, 1, 0]
    store.stages[OLD], store.stages["y" * 32] = set(), {"AWSCURRENT"}
    store.values["y" * 32] = Secret({"password": "stored by hand"})
    assert counted(NEW) == 0


def test_members_that_a_rotator_declares_public_are_shown(store: MemoryStore) -> None:
    store.values[OLD] = Secret({"password": "old-password", "pool": "the-pool"})

    class Pooled(Target):
        public_members = frozenset({"pool"})

        def propose(self, rotation: Rotation) -> Secret:
            raise LookupError(f"the-pool does not know {rotation.current['password']}")

    with pytest.raises(RotatorDefect, match=r"the-pool does not know \*\*\*"):
        run(Step.CREATE, Pooled(store))


def test_a_slow_set_reads_stages_again_and_again(target: Target, clock: Clock) -> None:
    run(Step.CREATE, target)
    apply = target.apply

    def slow(rotation: Rotation) -> None:
        clock.now += STAGES_SECONDS
        rotation.confirm()
        target.store.stages = {OLD: {"AWSCURRENT"}, "x" * 32: {"AWSPENDING"}}
        clock.now += STAGES_SECONDS
        rotation.confirm()
        apply(rotation)

    target.apply = slow  # type: ignore[method-assign] # only of this object
    with pytest.raises(VersionNotStaged):
        run(Step.SET, target)


def test_any_order_of_repeated_steps_ends_promoted(target: Target) -> None:
    repeats = itertools.product([1, 2, 3], repeat=4)
    for counts in repeats:
        store = MemoryStore()
        fresh = Target(store)
        for step, times in zip(Step, counts, strict=True):
            for _ in range(times):
                run(step, fresh)
        assert "AWSCURRENT" in store.stages[NEW]
        assert store.did.count("store") == store.did.count("promote") == 1


def test_a_losing_create_keeps_the_stored_value() -> None:
    other = Secret({"password": "the other delivery's"})

    class Beaten(MemoryStore):
        def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
            self.values[token] = other
            raise VersionConflict("the version holds another value")

    store = Beaten()
    assert run(Step.CREATE, Target(store)) is Outcome.ALREADY_STORED
    assert store.values[NEW] is other


class Refusing(MemoryStore):
    """A service that refuses the promotion, before or after performing it."""

    moved = False

    def promote(self, arn: str, token: str, current: str | None) -> None:
        if self.moved:
            super().promote(arn, token, current)
        raise RequestRefused("RemoveFromVersionId does not match")


@pytest.mark.parametrize("moved", [True, False])
def test_a_refused_promotion_succeeds_if_already_promoted(moved: bool) -> None:
    """boto3 repeats a call whose answer was lost, and the repetition is refused."""
    store = Refusing()
    store.moved = moved
    target = Target(store)
    run(Step.CREATE, target)
    run(Step.SET, target)
    if moved:
        assert run(Step.FINISH, target) is Outcome.ALREADY_CURRENT
    else:
        with pytest.raises(RequestRefused):
            run(Step.FINISH, target)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return 0.0  # it stops while a container is frozen


def late(target: Target, clock: Clock, seconds: float, moved: dict[str, set[str]]) -> None:
    """A setSecret in which time passes and stages move, immediately before the target is changed."""
    apply = target.apply

    def slow(rotation: Rotation) -> None:
        clock.now += seconds
        target.store.stages = moved
        rotation.confirm()
        apply(rotation)

    target.apply = slow  # type: ignore[method-assign] # only of this object
    run(Step.SET, target)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr("rotators.core.progress.time", fake)
    return fake


@pytest.mark.parametrize(
    ("moved", "error", "words"),
    [
        ({OLD: {"AWSCURRENT"}, "x" * 32: {"AWSPENDING"}}, VersionNotStaged, "no stage"),
        ({OLD: {"AWSPREVIOUS"}, "x" * 32: {"AWSCURRENT"}, NEW: {"mine"}}, VersionNotPending, "not set as"),
        (
            {OLD: {"AWSPREVIOUS"}, "x" * 32: {"AWSCURRENT"}, NEW: {"AWSPENDING"}},
            VersionConflict,
            "AWSCURRENT moved",
        ),
        (
            {OLD: {"AWSPREVIOUS"}, "x" * 32: {"AWSPENDING"}, NEW: {"AWSCURRENT"}},
            VersionConflict,
            "another rotation has begun",
        ),
    ],
)
def test_a_late_set_stops_after_moved_stages(
    target: Target, clock: Clock, moved: dict[str, set[str]], error: type[Exception], words: str
) -> None:
    run(Step.CREATE, target)
    with pytest.raises(error, match=words):
        late(target, clock, STAGES_SECONDS, moved)
    assert target.password == "old-password"


@pytest.mark.parametrize(
    "held", [{OLD: {"AWSCURRENT"}, NEW: {"AWSPENDING"}}, {OLD: {"AWSPREVIOUS"}, NEW: {"AWSCURRENT"}}]
)
def test_a_late_set_continues_its_own_rotation(
    target: Target, clock: Clock, held: dict[str, set[str]]
) -> None:
    run(Step.CREATE, target)
    late(target, clock, STAGES_SECONDS, held)
    assert target.password == target.store.values[NEW]["password"]


def test_a_quick_set_reads_the_stages_once(target: Target, clock: Clock) -> None:
    run(Step.CREATE, target)
    # Stages that would stop it are not read again within the first seconds.
    late(target, clock, STAGES_SECONDS / 2, {OLD: {"AWSCURRENT"}})
    assert target.password == target.store.values[NEW]["password"]


def test_the_age_of_stages_counts_from_the_request(target: Target, clock: Clock) -> None:
    """They may have moved while the answer was on its way."""
    run(Step.CREATE, target)
    describe = target.store.describe

    def slow(secret_id: str) -> SecretState:
        clock.now += STAGES_SECONDS
        return describe(secret_id)

    target.store.describe = slow  # type: ignore[method-assign] # only of this object
    with pytest.raises(VersionNotStaged):
        late(target, clock, 0, {OLD: {"AWSCURRENT"}})


def test_without_a_rotation_no_version_is_pending(store: MemoryStore) -> None:
    versions = Versions.of(store, ARN)
    assert versions.pending() is None
    store.stages = {}
    versions.confirm()


def test_without_versions_a_rotation_has_no_other_values() -> None:
    rotation = Rotation(Secret({"password": "p", "masterarn": "arn:admin"}))
    assert rotation.previous is rotation.admin is None
    assert not list(rotation.lost)
    assert not list(rotation.history)
    rotation.confirm()
    with pytest.raises(PendingHasNoValue):
        _ = rotation.pending


def test_a_finish_out_of_order_promotes_nothing(target: Target) -> None:
    run(Step.CREATE, target)
    with pytest.raises(TargetRefused):
        run(Step.FINISH, target)
    assert "promote" not in target.store.did


def test_a_finish_in_another_container_tests_first(target: Target) -> None:
    for step in (Step.CREATE, Step.SET, Step.TEST):
        run(step, target)
    progress.clear()
    assert run(Step.FINISH, target) is Outcome.DONE
    assert target.store.did == ["propose", "store", "apply", "verify", "verify", "promote"]


def test_a_trial_does_not_count_as_test(target: Target) -> None:
    run(Step.TEST, target)
    run(Step.CREATE, target)
    with pytest.raises(TargetRefused):
        run(Step.FINISH, target)


def test_a_pending_value_is_untouched_before_setsecret(target: Target) -> None:
    run(Step.CREATE, target)
    for _ in range(2):
        run(Step.SET, target)
    assert [rotation.untouched for rotation in target.seen] == [True, False]
