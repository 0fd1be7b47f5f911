"""The gateway to Secrets Manager: its calls, its cache, and its handling of answers."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from rotators.aws import clients
from rotators.aws.secrets import CLEAR_TEXT_SECONDS, SecretStore
from rotators.cache.cache import Cache
from rotators.core.errors import RequestRefused, SecretFormatError, SecretNotFound, VersionConflict
from rotators.core.secret import Secret
from tests.world import World, new_password, unique


class Clock:
    """A clock that a test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(world: World, clock: Clock) -> SecretStore:
    """A store with a separate cache that uses the test's clock."""
    return SecretStore(Cache(ttl=CLEAR_TEXT_SECONDS, max_entries=4, clock=clock))


@pytest.fixture
def calls(world: World) -> Iterator[Counter[str]]:
    counter: Counter[str] = Counter()

    def count(model: Any, **_: object) -> None:
        counter[model.name] += 1

    events = clients.secrets_manager().meta.events
    events.register("before-call.secrets-manager", count, unique_id="store-count")
    yield counter
    events.unregister("before-call.secrets-manager", count, unique_id="store-count")


def made(world: World, **value: Any) -> tuple[str, str]:
    """A new secret's ARN and first version."""
    created = world.secrets.create_secret(Name=unique("store"), SecretString=json.dumps(value))
    return created["ARN"], created["VersionId"]


def test_a_value_is_read_once_while_cached(
    world: World, store: SecretStore, calls: Counter[str], clock: Clock
) -> None:
    arn, version = made(world, password=new_password())
    calls.clear()
    first = store.value(arn, version)
    assert store.value(arn, version) == first
    assert calls["GetSecretValue"] == 1
    clock.now += CLEAR_TEXT_SECONDS + 1
    assert store.value(arn, version) == first
    assert calls["GetSecretValue"] == 2


def test_an_empty_version_is_read_again(world: World, store: SecretStore, calls: Counter[str]) -> None:
    arn, _ = made(world, password=new_password())
    world.aws.enable_rotation(arn)
    token = world.begin(arn)
    calls.clear()
    assert store.value(arn, token) is None
    assert store.value(arn, token) is None
    assert calls["GetSecretValue"] == 2


def test_a_stored_value_is_cached(world: World, store: SecretStore, calls: Counter[str]) -> None:
    arn, _ = made(world, password=new_password())
    token = str(uuid.uuid4())
    pending = Secret({"password": new_password()})
    store.put_pending(arn, token, pending, None)
    calls.clear()
    assert store.value(arn, token) == pending
    assert calls["GetSecretValue"] == 0
    assert world.stages(arn)[token] == {"AWSPENDING"}


def test_a_stored_version_is_never_replaced(world: World, store: SecretStore) -> None:
    arn, _ = made(world, password=new_password())
    token = str(uuid.uuid4())
    first = Secret({"password": new_password()})
    store.put_pending(arn, token, first, None)
    with pytest.raises(VersionConflict):
        store.put_pending(arn, token, Secret({"password": new_password()}), None)
    assert SecretStore(Cache(ttl=1, max_entries=1)).value(arn, token) == first


def test_a_promotion_moves_one_stage_and_previous_follows(world: World, store: SecretStore) -> None:
    arn, first = made(world, password=new_password())
    token = str(uuid.uuid4())
    store.put_pending(arn, token, Secret({"password": new_password()}), None)
    store.promote(arn, token, first)
    moved = {token: {"AWSCURRENT", "AWSPENDING"}, first: {"AWSPREVIOUS"}}
    assert world.stages(arn) == moved
    with pytest.raises(RequestRefused):
        store.promote(arn, token, first)
    assert world.stages(arn) == moved


def test_versions_without_stage_are_listed_newest_first(world: World, store: SecretStore) -> None:
    arn, first = made(world, n=0)
    versions = [first]
    for number in range(1, 5):
        put = world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"n": number}))
        versions.append(put["VersionId"])
    # The two newest versions have AWSCURRENT and AWSPREVIOUS.
    assert set(store.without_stage(arn)) == set(versions[:3])


def test_a_value_without_json_is_refused_unseen(world: World, store: SecretStore) -> None:
    password = new_password()
    created = world.secrets.create_secret(Name=unique("store"), SecretString=password)
    with pytest.raises(SecretFormatError) as caught:
        store.value(created["ARN"], created["VersionId"])
    assert password not in str(caught.value)


def test_a_secret_that_is_not_there_is_named(store: SecretStore) -> None:
    with pytest.raises(SecretNotFound, match="no-such-secret"):
        store.describe("no-such-secret")


def test_rotation_is_off_if_not_mentioned(world: World, store: SecretStore) -> None:
    arn, version = made(world, password=new_password())
    state = store.describe(arn)
    assert state.rotation_enabled is False
    assert {key: set(stages) for key, stages in state.stages.items()} == {version: {"AWSCURRENT"}}
