"""The commands that read or write values, with sealed ones."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from rotators.local.inprocess import InProcessFunction
from rotators.testing._case import STEPS
from tests.cli.command import Done, command
from tests.sealing.conftest import Sealed
from tests.world import World, new_password, unique


def run(*arguments: str, stdin: str = "") -> Done:
    """Run a command as in a new process, which remembers no value."""
    InProcessFunction().restart()
    return command(*arguments, stdin=stdin)


@pytest.fixture
def stuck(world: World, own_key: Sealed) -> tuple[str, str]:
    """A secret whose rotation died after setSecret, and the rotation's token."""
    arn = own_key.secret({**world.user(), "strategy": "single"}, rotates=True)
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    return arn, token


def test_doctor_and_repair_open_values(world: World, own_key: Sealed, stuck: tuple[str, str]) -> None:
    arn, _ = stuck
    assert "promote-pending" in run("doctor", arn, "--idle").stdout
    assert run("repair", arn, "--idle").status == 0
    assert world.logs_in(own_key.value(arn))


def test_doctor_changes_nothing_without_the_key(
    world: World, own_key: Sealed, stuck: tuple[str, str]
) -> None:
    arn, _ = stuck
    before = world.stages(arn)
    own_key.kms.disable_key(KeyId=own_key.key)
    for name in ("doctor", "repair"):
        done = run(name, arn, "--idle")
        assert done.status == 1
        assert "[key-unusable/sealing-key]" in done.stderr
        assert "enable it" in done.stderr
    assert world.stages(arn) == before


def test_doctor_finds_nothing_lost_behind_a_key(
    world: World, own_key: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current value is clear still; the pending one, which the target accepts, is sealed."""
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    arn = world.secret({**world.user(), "strategy": "single"})
    token = world.begin(arn)
    for step in STEPS[:2]:
        world.step(step, arn, token)
    own_key.kms.disable_key(KeyId=own_key.key)
    done = run("doctor", arn, "--idle")
    assert "unreadable: " in done.stdout
    assert "enable it" in done.stdout
    own_key.kms.enable_key(KeyId=own_key.key)
    assert run("repair", arn, "--idle").status == 0
    assert world.logs_in(own_key.value(arn))


def test_doctor_names_a_pending_value_of_another_secret(world: World, sealed: Sealed) -> None:
    arn = sealed.secret(world.user(), rotates=True)
    token = world.begin(arn)
    world.secrets.put_secret_value(
        SecretId=arn,
        ClientRequestToken=token,
        SecretString=sealed.raw(sealed.secret(world.user())),
        VersionStages=["AWSPENDING"],
    )
    done = run("doctor", arn, "--idle")
    assert "drop-pending" in done.stdout
    assert "sealed-value/other-secret" in done.stdout


@pytest.mark.parametrize("closed", ["no keys", "another key", "a denied key", "a clear value"])
def test_repair_keeps_a_value_it_may_not_read(
    world: World, own_key: Sealed, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """The second user of `alternating` still logs in, with a version that the command can read."""
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    value = {**world.user(), "strategy": "alternating", "masterarn": world.admin_secret()}
    arn = world.secret(value)
    own_key.rotate(arn)
    if closed == "no keys":
        monkeypatch.delenv("SEALING_KEYS")
    elif closed == "another key":
        monkeypatch.setenv("SEALING_KEYS", own_key.kms.create_key()["KeyMetadata"]["Arn"])
    elif closed == "a denied key":
        own_key.deny("kms:Decrypt")
    else:
        world.of(arn).put(value, str(uuid.uuid4()), "AWSCURRENT")
        monkeypatch.delenv("SEALING_ALLOWS_CLEAR")
    before = world.stages(arn)
    for name in ("doctor", "repair"):
        done = run(name, arn, "--idle")
        assert done.status == 1
        assert "[sealed-value/" in done.stderr or "/sealing-key]" in done.stderr
    assert world.stages(arn) == before


def test_values_are_exported_and_imported(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"password": new_password()}
    arn, name = sealed.secret(value), unique("imported")
    file = tmp_path / "secrets.json"
    assert run("export", arn, "--output", str(file)).status == 0
    (exported,) = json.loads(file.read_text()).values()
    assert exported == value
    file.write_text(json.dumps({name: value}))
    assert run("import", str(file), "--yes").status == 0
    assert json.loads(sealed.raw(name)).keys() == {"rotators-sealed"}
    assert "no change is needed" in run("import", str(file), "--yes").stdout
    monkeypatch.delenv("SEALING_KEYS")
    for arguments in (("import", str(file), "--yes"), ("export", arn)):
        done = run(*arguments)
        assert done.status == 1
        assert "sealed-value/no-keys" in done.stderr


def test_import_seals_a_clear_value(
    world: World, sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"password": new_password()}
    name = world.store(value).split(":")[6][:-7]
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({name: value}))
    refused = run("import", str(file), "--yes")
    assert refused.status == 1
    assert "sealed-value/clear" in refused.stderr
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    assert "seal" in run("import", str(file)).stdout
    assert run("import", str(file), "--yes").status == 0
    assert json.loads(sealed.raw(name)).keys() == {"rotators-sealed"}
    assert "no change is needed" in run("import", str(file), "--yes").stdout


def test_diff_compares_opened_values(world: World, sealed: Sealed) -> None:
    arn = sealed.secret(world.user(), rotates=True)
    sealed.rotate(arn)
    done = run("diff", arn, "AWSPREVIOUS", "AWSCURRENT", "--json")
    states = {each["member"]: each["state"] for each in json.loads(done.stdout)["members"]}
    assert states.pop("password") == "changed"
    assert set(states.values()) == {"same"}


def test_a_renamed_secret_is_sealed_again(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"password": new_password()}
    arn, new = sealed.secret(value), unique("renamed")
    monkeypatch.delenv("SEALING_KEYS")
    assert "sealed-value/no-keys" in run("rename", arn, new, "--yes").text
    monkeypatch.setenv("SEALING_KEYS", sealed.key)
    assert run("rename", arn, new, "--yes").status == 0
    copy = str(world.secrets.describe_secret(SecretId=new)["ARN"])
    assert sealed.value(copy) == value


@pytest.mark.parametrize("clear", [True, False], ids=["a clear one", "two sealed ones"])
def test_rollback_needs_both_values(
    world: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch, clear: bool
) -> None:
    """No function rotates the secret, so only its values show that the stage must not move alone."""
    arn = world.store(world.user()) if clear else sealed.secret(world.user())
    name = arn.split(":")[6][:-7]
    world.secrets.put_secret_value(SecretId=arn, SecretString=sealed.text(name, world.user()))
    monkeypatch.delenv("SEALING_KEYS")
    before = world.stages(arn)
    done = run("rollback", arn, "--yes")
    assert done.status == 1
    assert "sealed-value/no-keys" in done.stderr
    assert world.stages(arn) == before


@pytest.mark.parametrize("closed", ["no keys", "a disabled key"])
def test_a_rename_begins_with_values_that_open(
    world: World, own_key: Sealed, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """Otherwise the copy would have no value, and the old secret no rotation."""
    arn, new = own_key.secret(world.user(), rotates=True), unique("renamed")
    if closed == "no keys":
        monkeypatch.delenv("SEALING_KEYS")
    else:
        own_key.kms.disable_key(KeyId=own_key.key)
    done = run("rename", arn, new, "--yes")
    assert done.status == 1
    assert "[sealed-value/no-keys]" in done.stderr or "[key-unusable/sealing-key]" in done.stderr
    assert world.secrets.describe_secret(SecretId=arn)["RotationEnabled"]
    with pytest.raises(world.secrets.exceptions.ResourceNotFoundException):
        world.secrets.describe_secret(SecretId=new)


def test_versions_stored_again_for_a_key_open(world: World, sealed: Sealed) -> None:
    """`key change` copies the sealed form, which is bound to the secret's name and to no version."""
    value = {"password": new_password()}
    arn = sealed.secret(value)
    name = arn.split(":")[6][:-7]
    kept = {"password": new_password()}
    world.secrets.put_secret_value(SecretId=arn, SecretString=sealed.text(name, kept), VersionStages=["blue"])
    new = sealed.kms.create_key()["KeyMetadata"]["Arn"]
    done = run("key", "change", "--from", "alias/aws/secretsmanager", "--to", new, arn, "--yes")
    assert done.status == 0, done.text
    assert [sealed.value(arn, stage) for stage in ("AWSCURRENT", "blue")] == [value, kept]
    assert not [text for text in (value["password"], kept["password"]) if text in done.text]


@pytest.mark.parametrize("spoiled", ["altered", "other-secret"])
def test_import_replaces_values_that_cannot_be_opened(
    world: World, sealed: Sealed, tmp_path: Path, spoiled: str
) -> None:
    """The error's next action: store a working value with a command that seals it."""
    arn, value = sealed.secret(world.user()), {"password": new_password()}
    raw = sealed.raw(arn)[:-9] if spoiled == "altered" else sealed.raw(sealed.secret(world.user()))
    world.secrets.put_secret_value(SecretId=arn, SecretString=raw)
    name, file = arn.split(":")[6][:-7], tmp_path / "secrets.json"
    file.write_text(json.dumps({name: value}))
    refused = run("import", str(file), "--yes")
    assert "another value is stored" in refused.stderr
    assert sealed.raw(arn) == raw
    assert run("import", str(file), "--overwrite", "--yes").status == 0
    assert sealed.value(arn) == value
