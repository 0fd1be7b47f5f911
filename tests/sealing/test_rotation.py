"""Rotations of sealed secrets on PostgreSQL, also while the key refuses at each step."""

from __future__ import annotations

import itertools

import pytest

from rotators.aws import clients
from rotators.core.errors import AccessDenied, KeyUnusable, SealedValueError
from rotators.local.inprocess import InProcessFunction
from rotators.testing._case import STEPS
from tests.sealing.conftest import Sealed
from tests.world import World

KEYS = "SEALING_KEYS"


def is_sealed(text: str) -> bool:
    return text.startswith('{"rotators-sealed"')


@pytest.mark.parametrize("strategy", ["single", "alternating"])
@pytest.mark.parametrize("sealed_admin", [True, False])
def test_a_sealed_secret_rotates(world: World, sealed: Sealed, strategy: str, sealed_admin: bool) -> None:
    admin = sealed.secret(world.admin()) if sealed_admin else world.admin_secret()
    first = world.user()
    arn = sealed.secret({**first, "strategy": strategy, "masterarn": admin}, rotates=True)
    for _ in range(2):
        token = world.begin(arn)
        for step in STEPS:
            world.step(step, arn, token)
            InProcessFunction().restart()
    assert is_sealed(sealed.raw(arn))
    assert sealed.value(arn)["password"] != first["password"]
    assert world.logs_in(sealed.value(arn))


def test_a_warm_rotation_asks_kms_three_times(world: World, sealed: Sealed) -> None:
    """createSecret opens the current value, seals the new one, and opens it once as a check."""
    arn = sealed.secret(world.user(), rotates=True)
    world.aws.watch({})
    sealed.rotate(arn)
    asked = [seen.call.action for seen in world.aws.seen()]
    assert [each for each in asked if each in {"kms:Decrypt", "kms:GenerateDataKey"}] == [
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:Decrypt",
    ]


def stopped_by(world: World, sealed: Sealed, number: int) -> bool:
    """Rotate, each step in a new container; the key is disabled directly before the nth call of KMS.

    Returns:
        False if there was no such call.
    """
    arn = sealed.secret({**world.user(), "strategy": "single"}, rotates=True)
    events, calls = clients.kms().meta.events, itertools.count(1)

    def disable(**_: object) -> None:
        if next(calls) == number:
            sealed.kms.disable_key(KeyId=sealed.key)

    events.register("before-call.kms", disable, unique_id="sealing")
    token = world.begin(arn)
    try:
        for step in STEPS:
            InProcessFunction().restart()
            world.step(step, arn, token)
    except KeyUnusable as refused:
        code = refused.full_code
    else:
        return False
    finally:
        events.unregister("before-call.kms", disable, unique_id="sealing")
    sealed.kms.enable_key(KeyId=sealed.key)
    InProcessFunction().restart()
    assert code == "key-unusable/sealing-key"
    changed = step not in STEPS[:2]
    assert world.logs_in(sealed.value(arn, "AWSPENDING" if changed else "AWSCURRENT"))
    world.of(arn).drop_pending(token)
    sealed.rotate(arn)
    assert world.logs_in(sealed.value(arn))
    return True


def test_no_refused_call_locks_out(world: World, own_key: Sealed) -> None:
    """A rotation with a new token succeeds after it."""
    stopped = list(itertools.takewhile(bool, (stopped_by(world, own_key, n) for n in itertools.count(1))))
    assert len(stopped) > 7


@pytest.mark.parametrize(("number", "step"), list(enumerate(STEPS)))
def test_a_denied_step_continues_later(world: World, sealed: Sealed, number: int, step: str) -> None:
    """In a new container, with the same token."""
    arn = sealed.secret({**world.user(), "strategy": "single"}, rotates=True)
    token = world.begin(arn)
    for done in STEPS[:number]:
        world.step(done, arn, token)
    InProcessFunction().restart()
    before = world.stages(arn)
    sealed.deny("kms:Decrypt", "kms:GenerateDataKey")
    with pytest.raises(AccessDenied) as caught:
        world.step(step, arn, token)
    assert caught.value.reason == "sealing-key"
    assert world.stages(arn) == before
    sealed.allow()
    for left in STEPS[number:]:
        world.step(left, arn, token)
    assert world.logs_in(sealed.value(arn))


def test_an_unopenable_value_is_not_stored(
    world: World, own_key: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role may seal and not open; the current value is clear, so nothing else would fail."""
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    value = world.user()
    arn = world.secret(value)
    token = world.begin(arn)
    own_key.deny("kms:Decrypt")
    with pytest.raises(AccessDenied):
        world.step("createSecret", arn, token)
    own_key.allow()
    assert world.logs_in(world.value(arn))
    with pytest.raises(world.secrets.exceptions.ResourceNotFoundException):
        own_key.raw(arn, "AWSPENDING")


def test_without_keys_a_sealed_secret_stays(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = sealed.secret(world.user(), rotates=True)
    before = sealed.raw(arn)
    monkeypatch.delenv(KEYS)
    token = world.begin(arn)
    with pytest.raises(SealedValueError) as caught:
        world.step("createSecret", arn, token)
    assert caught.value.full_code == "sealed-value/no-keys"
    assert sealed.raw(arn) == before


def test_a_clear_current_value_is_refused(world: World, sealed: Sealed) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    with pytest.raises(SealedValueError) as caught:
        world.step("createSecret", arn, token)
    assert caught.value.full_code == "sealed-value/clear"
    assert world.logs_in(world.value(arn))


def test_the_transition_seals_the_next_value(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.secret(world.user())
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    sealed.rotate(arn)
    assert is_sealed(sealed.raw(arn))
    assert not is_sealed(sealed.raw(arn, "AWSPREVIOUS"))
    monkeypatch.delenv("SEALING_ALLOWS_CLEAR")
    InProcessFunction().restart()
    sealed.rotate(arn)
    assert world.logs_in(sealed.value(arn))


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_pending_value_of_another_secret_is_refused(world: World, sealed: Sealed, step: str) -> None:
    """Somebody who may write the secret and not use the key stores a value that was sealed for another."""
    arn, other = sealed.secret(world.user(), rotates=True), sealed.secret(world.user())
    token = world.begin(arn)
    world.secrets.put_secret_value(
        SecretId=arn,
        ClientRequestToken=token,
        SecretString=sealed.raw(other),
        VersionStages=["AWSPENDING"],
    )
    with pytest.raises(SealedValueError) as caught:
        world.step(step, arn, token)
    assert caught.value.full_code == "sealed-value/other-secret"
    assert world.logs_in(sealed.value(arn))


def test_older_versions_that_cannot_be_opened_are_skipped(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older key was deleted, and the current password changed by hand: other versions are tried."""
    gone = sealed.kms.create_key()["KeyMetadata"]["Arn"]
    value = world.user()
    monkeypatch.setenv(KEYS, gone)
    arn = sealed.secret(value, rotates=True)
    monkeypatch.setenv(KEYS, f"{sealed.key},{gone}")
    sealed.rotate(arn)
    sealed.kms.schedule_key_deletion(KeyId=gone)
    InProcessFunction().restart()
    lost = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, lost)
    world.of(arn).drop_pending(lost)
    InProcessFunction().restart()
    sealed.rotate(arn)
    assert world.logs_in(sealed.value(arn))
