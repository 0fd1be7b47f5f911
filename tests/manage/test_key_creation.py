"""`rotators key create`: alias, policy, rotation and tags, and what an interrupted command leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotators.aws import clients
from rotators.local.aws import LocalAws
from tests.cli.command import Done, command
from tests.manage.conftest import Fleet
from tests.manage.principals import Identities, allow
from tests.world import unique

STEPS = ["CreateKey", "PutKeyPolicy", "EnableKeyRotation", "CreateAlias"]


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


@pytest.fixture
def alias() -> str:
    return f"alias/{unique('created')}"


def create(alias: str, *options: str) -> Done:
    return command("key", "create", alias, *options, "--yes", "--json")


def described(kms: Any, alias: str) -> Any:
    return kms.describe_key(KeyId=alias)["KeyMetadata"]


def tags(kms: Any, alias: str) -> dict[str, str]:
    listed = kms.list_resource_tags(KeyId=described(kms, alias)["Arn"])["Tags"]
    return {each["TagKey"]: each["TagValue"] for each in listed}


def number_of_keys(kms: Any) -> int:
    return sum(len(page["Keys"]) for page in kms.get_paginator("list_keys").paginate())


def test_a_key_is_created_only_with_yes(kms: Any, alias: str) -> None:
    before = number_of_keys(kms)
    done = command("key", "create", alias, "--json")
    assert (done.status, json.loads(done.stdout)["state"]) == (1, "planned")
    assert number_of_keys(kms) == before
    assert create(alias, "--tag", "team=shop").status == 0
    assert number_of_keys(kms) == before + 1
    key = described(kms, alias)
    assert (key["KeySpec"], key["KeyUsage"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert tags(kms, alias) == {"team": "shop", "created-for": alias}
    status = kms.get_key_rotation_status(KeyId=key["Arn"])
    assert status["RotationPeriodInDays"] == 365


def test_a_key_that_exists_is_left_alone(kms: Any, alias: str) -> None:
    assert create(alias, "--every", "90").status == 0
    before = described(kms, alias)
    done = create(alias)
    assert (done.status, json.loads(done.stdout)["state"]) == (0, "unneeded")
    assert described(kms, alias) == before
    assert kms.get_key_rotation_status(KeyId=before["Arn"])["RotationPeriodInDays"] == 90


@pytest.mark.parametrize(
    ("options", "spec", "usage"),
    [
        (("--spec", "RSA_2048"), "RSA_2048", "SIGN_VERIFY"),
        (("--spec", "RSA_2048", "--usage", "encrypt"), "RSA_2048", "ENCRYPT_DECRYPT"),
        (("--spec", "ML_DSA_65"), "ML_DSA_65", "SIGN_VERIFY"),
        (("--spec", "ECC_NIST_EDWARDS25519"), "ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        (("--spec", "HMAC_256"), "HMAC_256", "GENERATE_VERIFY_MAC"),
    ],
)
def test_keys_of_other_kinds_are_created(
    kms: Any, alias: str, options: tuple[str, ...], spec: str, usage: str
) -> None:
    assert create(alias, *options).status == 0
    found = described(kms, alias)
    assert (found["KeySpec"], found["KeyUsage"]) == (spec, usage)
    assert create(alias, *options).status == 0
    other = create(alias)
    assert "[key-cannot-be-created/alias-taken]" in other.stderr


@pytest.mark.parametrize("last", range(1, len(STEPS)))
def test_an_interrupted_creation_is_completed(kms: Any, alias: str, last: int) -> None:
    before = number_of_keys(kms)
    events = clients.kms_lister().meta.events

    def stop(**_: object) -> None:
        raise KeyboardInterrupt

    events.register(f"before-call.kms.{STEPS[last]}", stop)
    try:
        done = create(alias)
    finally:
        events.unregister(f"before-call.kms.{STEPS[last]}", stop)
    assert (done.status, json.loads(done.stdout)["state"]) == (1, "interrupted")
    assert create(alias).status == 0
    assert number_of_keys(kms) == before + 1
    arn = described(kms, alias)["Arn"]
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
    policy = json.loads(kms.get_key_policy(KeyId=arn)["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["Account", "SecretsManagerOnly"]


@pytest.mark.parametrize("other", [False, True], ids=["a lost answer", "another command"])
def test_a_name_given_meanwhile_is_looked_at(kms: Any, alias: str, other: bool) -> None:
    events, given = clients.kms_lister().meta.events, []

    def name(params: dict[str, Any], **_: object) -> None:
        key = kms.create_key()["KeyMetadata"]["KeyId"] if other else json.loads(params["body"])["TargetKeyId"]
        given.append(json.loads(params["body"])["TargetKeyId"])
        kms.create_alias(AliasName=alias, TargetKeyId=key)

    events.register("before-call.kms.CreateAlias", name)
    try:
        done = create(alias)
    finally:
        events.unregister("before-call.kms.CreateAlias", name)
    (last,) = json.loads(done.stdout)["changes"][-1:]
    if not other:
        assert (done.status, described(kms, alias)["Arn"]) == (0, given[0])
        return
    assert last["error"]["code"] == "key-cannot-be-created/alias-taken"
    assert f"--key-id {given[0]}" in last["error"]["next"]


def test_the_key_serves_secrets_only(aws: LocalAws, kms: Any, fleet: Fleet, alias: str) -> None:
    assert create(alias).status == 0
    name = fleet.add("app", KmsKeyId=alias)
    identities = Identities(aws)
    with identities.acting(allow("*")) as role:
        read = identities.client(role).get_secret_value(SecretId=name)
        assert read["SecretString"] == "value"
        keys = identities.client(role, "kms")
        for call, more in (
            (keys.encrypt, {"Plaintext": b"x"}),
            (keys.generate_data_key, {"KeySpec": "AES_256"}),
        ):
            with pytest.raises(keys.exceptions.ClientError, match="AccessDenied"):
                call(KeyId=alias, **more)
    identities.delete()


@pytest.mark.parametrize("spoil", ["disable_key", "schedule_key_deletion"])
def test_an_alias_of_an_unusable_key_is_taken(kms: Any, alias: str, spoil: str) -> None:
    assert create(alias).status == 0
    getattr(kms, spoil)(KeyId=described(kms, alias)["Arn"])
    assert "[key-cannot-be-created/alias-taken]" in create(alias).stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("app",), "key-cannot-be-created/alias"),
        (("alias/aws/app",), "key-cannot-be-created/alias"),
        (("alias/a b",), "key-cannot-be-created/alias"),
        (("alias/app", "--usage", "sign"), "key-cannot-be-created/usage"),
        (("alias/app", "--tag", "team"), "selector-invalid"),
    ],
)
def test_an_impossible_key_is_refused(kms: Any, words: tuple[str, ...], code: str) -> None:
    before = number_of_keys(kms)
    assert f"[{code}]" in create(*words).stderr
    assert number_of_keys(kms) == before
