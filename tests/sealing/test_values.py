"""Sealed values: the callers and keys that open them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aws_encryption_sdk
import pytest
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.key_providers.kms import StrictAwsKmsMasterKeyProvider

from rotators.aws import sealing
from rotators.core.errors import (
    ConfigurationError,
    KeyUnusable,
    LimitExceeded,
    RotatorsError,
    SealedValueError,
)
from tests.sealing.conftest import Sealed
from tests.world import new_password

NAME = "app/db"


def message(text: str) -> bytes:
    return base64.b64decode(json.loads(text)[sealing.MEMBER])


def envelope(content: bytes) -> str:
    return json.dumps({sealing.MEMBER: base64.b64encode(content).decode()})


def refused(text: str, name: str = NAME) -> str:
    """The code of a value that cannot be opened; its message holds no part of the value."""
    with pytest.raises(RotatorsError) as caught:
        sealing.opened(name, text)
    assert caught.value.remedy
    assert text[25:60] not in str(caught.value) or len(text) < 60
    return caught.value.full_code


REFUSED = """
from rotators.aws import envelope
from rotators.core.errors import SealedValueError
try:
    envelope.opened("app", b"\\x02 no message", ["arn:aws:kms:eu-west-1:123456789012:key/0"])
except SealedValueError as error:
    print(error.full_code)
"""


@pytest.mark.processes
def test_a_refused_value_prints_no_traceback() -> None:
    # In development mode, all versions print errors of finalizers as 3.13 and later always do.
    environment = {**os.environ, "AWS_REGION": "eu-west-1"}
    command = [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", REFUSED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("sealed-value/altered\n", "")


def test_a_sealed_value_opens(sealed: Sealed) -> None:
    clear = json.dumps({"password": new_password(), "ünï": "çödé" * 300}) + "\ud800"
    text = sealing.stored(NAME, clear)
    assert clear[:20] not in str(text)
    assert sealing.opened(NAME, str(text)) == clear


def test_the_same_value_is_never_sealed_equally(sealed: Sealed) -> None:
    assert sealing.stored(NAME, "{}") != sealing.stored(NAME, "{}")


def test_the_encryption_context_names_the_secret(sealed: Sealed) -> None:
    """Also for other implementations of the SDK, with the provider of AWS."""
    client = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    )
    content, header = client.decrypt(
        source=message(str(sealing.stored(NAME, "text"))),
        key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[sealed.key]),
    )
    assert content == b"text"
    assert header.encryption_context["SecretName"] == NAME
    assert header.algorithm is Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384


def test_a_value_of_another_secret_is_refused(sealed: Sealed) -> None:
    text = str(sealing.stored(NAME, json.dumps({"password": new_password()})))
    assert refused(text, "app/other") == "sealed-value/other-secret"


def test_every_changed_byte_is_refused(sealed: Sealed) -> None:
    content = message(str(sealing.stored(NAME, json.dumps({"password": new_password()}))))
    codes = {
        refused(envelope(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]))
        for at in range(0, len(content), 7)
    }
    assert codes <= {"sealed-value/altered", "sealed-value/other-key"}


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text[:40],
        lambda text: text[:-2],
        lambda text: envelope(message(text)[:-60]),
        lambda text: envelope(message(text)[:300]),
        lambda text: envelope(message(text)[:1]),
        lambda text: envelope(message(text) + b"more"),
        lambda text: envelope(b"foreign"),
        lambda text: json.dumps({**json.loads(text), "password": "x"}),
        lambda text: json.dumps({sealing.MEMBER: None}),
        lambda text: json.dumps({sealing.MEMBER: "ünï"}),
    ],
)
def test_cut_off_and_foreign_messages_are_refused(sealed: Sealed, changed: Callable[[str], str]) -> None:
    text = str(sealing.stored(NAME, json.dumps({"password": new_password()})))
    assert refused(changed(text)) == "sealed-value/altered"


@pytest.mark.parametrize(
    ("policy", "suite"),
    [
        (CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT, Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256),
        (CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
    ],
)
def test_suites_without_commitment_or_signature_are_refused(sealed: Sealed, policy: Any, suite: Any) -> None:
    made, _ = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy).encrypt(
        source=b"text",
        key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[sealed.key]),
        encryption_context={"SecretName": NAME},
        algorithm=suite,
    )
    assert refused(envelope(made)) == "sealed-value/altered"


def test_a_message_for_several_keys_is_refused(sealed: Sealed) -> None:
    other = sealed.kms.create_key()["KeyMetadata"]["Arn"]
    client = aws_encryption_sdk.EncryptionSDKClient()
    made, _ = client.encrypt(
        source=b"text",
        key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[sealed.key, other]),
        encryption_context={"SecretName": NAME},
    )
    assert refused(envelope(made)) == "sealed-value/altered"


def test_another_key_is_not_asked(own_key: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(sealing.stored(NAME, "{}"))
    monkeypatch.setenv("SEALING_KEYS", own_key.kms.create_key()["KeyMetadata"]["Arn"])
    own_key.kms.disable_key(KeyId=own_key.key)
    assert refused(text) == "sealed-value/other-key"


def test_older_keys_open_and_the_first_seals(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    old = str(sealing.stored(NAME, "old"))
    other = sealed.kms.create_key()["KeyMetadata"]["Arn"]
    monkeypatch.setenv("SEALING_KEYS", f"{other}, {sealed.key}")
    assert sealing.opened(NAME, old) == "old"
    new = str(sealing.stored(NAME, "new"))
    monkeypatch.setenv("SEALING_KEYS", other)
    assert sealing.opened(NAME, new) == "new"


def test_a_multi_region_key_opens_elsewhere(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    key = sealed.kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    sealed.kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    monkeypatch.setenv("SEALING_KEYS", key)
    text = str(sealing.stored(NAME, "text"))
    monkeypatch.setenv("SEALING_KEYS", key.replace("us-east-1", "eu-west-1"))
    assert sealing.opened(NAME, text) == "text"


def test_a_sealed_value_needs_keys(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(sealing.stored(NAME, "{}"))
    monkeypatch.delenv("SEALING_KEYS")
    assert refused(text) == "sealed-value/no-keys"
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    assert refused(text) == "sealed-value/no-keys"


def test_a_clear_value_needs_permission(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused('{"password": "x", "note": "rotators-sealed"}') == "sealed-value/clear"
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    assert sealing.opened(NAME, "{}") == "{}"
    assert sealing.stored(NAME, "{}") != "{}"


def test_a_sealed_value_is_not_sealed_again(sealed: Sealed) -> None:
    with pytest.raises(SealedValueError) as caught:
        sealing.stored(NAME, sealing.stored(NAME, "{}"))
    assert caught.value.full_code == "sealed-value/sealed-twice"


def test_binary_values_are_not_sealed(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SealedValueError) as caught:
        sealing.stored(NAME, b"bytes")
    assert caught.value.full_code == "sealed-value/clear"
    assert "as text" in caught.value.remedy
    monkeypatch.setenv("SEALING_ALLOWS_CLEAR", "true")
    assert sealing.stored(NAME, b"bytes") == b"bytes"


def test_the_largest_value_is_documented(sealed: Sealed) -> None:
    """docs/how-to/sealing.md: 47,000 bytes fit, for a name of 512 characters too."""
    assert len(sealing.stored("n" * 512, "x" * 47_000)) <= 65_536
    with pytest.raises(LimitExceeded) as caught:
        sealing.stored(NAME, "x" * 49_000)
    assert caught.value.full_code == "limit-exceeded/sealed-size"


@pytest.mark.parametrize("keys", ["alias/app", "arn:aws:kms:us-east-1:123456789012:alias/app", ",", "key"])
def test_wrong_keys_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("SEALING_KEYS", keys)
    with pytest.raises(ConfigurationError):
        sealing.opened(NAME, "{}")


def disabled(sealed: Sealed) -> None:
    sealed.kms.disable_key(KeyId=sealed.key)


def pending_deletion(sealed: Sealed) -> None:
    sealed.kms.schedule_key_deletion(KeyId=sealed.key)


def denied(sealed: Sealed) -> None:
    sealed.deny("kms:Decrypt", "kms:GenerateDataKey")


@pytest.mark.parametrize(
    ("refuse", "code"),
    [
        (disabled, "key-unusable/sealing-key"),
        (pending_deletion, "key-unusable/sealing-key"),
        (denied, "access-denied/sealing-key"),
    ],
)
def test_a_key_that_refuses_is_named(own_key: Sealed, refuse: Callable[[Sealed], None], code: str) -> None:
    text = str(sealing.stored(NAME, "{}"))
    refuse(own_key)
    assert refused(text) == code
    with pytest.raises(RotatorsError, match="nothing was lost") as caught:
        sealing.stored(NAME, "{}")
    assert caught.value.full_code == code


def test_keys_that_cannot_seal_are_named(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    rsa = sealed.kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    for key in (rsa, f"{sealed.key[:-4]}0000"):
        monkeypatch.setenv("SEALING_KEYS", key)
        with pytest.raises(KeyUnusable) as caught:
            sealing.stored(NAME, "{}")
        assert caught.value.full_code == "key-unusable/sealing-key"


def test_kms_out_of_reach_is_retryable(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(sealing.stored(NAME, "{}"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(RotatorsError) as caught:
        sealing.opened(NAME, text)
    assert caught.value.retryable
    assert not isinstance(caught.value, KeyUnusable)
