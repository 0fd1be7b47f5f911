"""Ciphertexts and data keys of the local KMS, with ciphertexts made by `cryptography` and by openssl.

Sources: KMS API reference, Encrypt, Decrypt, ReEncrypt, GenerateDataKey; recorded: answers that LocalStack's
tests recorded on AWS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from rotators.local.aws import LocalAws
from tests.local.kms_keys import ARN, MISSING, new_key, openssl, refusal, rsa_key

DATA = b"a data key or a short text"
CONTEXT = {"SecretARN": "arn:of:a:secret", "SecretVersionId": "one"}
OAEP = {"RSAES_OAEP_SHA_1": hashes.SHA1(), "RSAES_OAEP_SHA_256": hashes.SHA256()}  # noqa: S303 - AWS's name
NO_TEXT = ("InvalidCiphertextException", "")
WRONG_KEY = (
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
)


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


@pytest.fixture(scope="module")
def key(kms: Any) -> str:
    return new_key(kms)


def test_answers_have_all_members(kms: Any, key: str) -> None:
    """Recorded; KeyId is the ARN, also if the request names an alias."""
    kms.create_alias(AliasName="alias/members", TargetKeyId=key)
    made = kms.encrypt(KeyId="alias/members", Plaintext=DATA, EncryptionContext=CONTEXT)
    assert (made["KeyId"], made["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    found = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    current = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    del found["ResponseMetadata"]
    assert found == {
        "KeyId": key,
        "Plaintext": DATA,
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "KeyMaterialId": current,
    }


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"SecretARN": CONTEXT["SecretARN"]},
        {**CONTEXT, "SecretVersionId": "two"},
        {**CONTEXT, "more": "x"},
        {"SecretARN": CONTEXT["SecretARN"], "secretVersionId": "one"},
        {"SecretARNarn:of:a:secretSecretVersionId": "one"},
    ],
)
def test_another_context_decrypts_nothing(kms: Any, key: str, context: dict[str, str]) -> None:
    """Recorded: InvalidCiphertextException without a message; API:Decrypt: an exact match, case-sensitive."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA, EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert refusal(kms.decrypt, CiphertextBlob=sealed, EncryptionContext=context) == NO_TEXT


def test_the_order_of_the_context_is_free(kms: Any, key: str) -> None:
    """Developer Guide, encrypt_context: pairs may be in any order."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA, EncryptionContext=CONTEXT)["CiphertextBlob"]
    turned = dict(reversed(CONTEXT.items()))
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=turned)["Plaintext"] == DATA


def test_changed_ciphertexts_decrypt_to_nothing(kms: Any, key: str) -> None:
    """Recorded: InvalidCiphertextException without a message, also with bytes at the end."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA)["CiphertextBlob"]
    for changed in (
        sealed + b"bad_data",
        sealed[:-1],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        sealed[:-40] + bytes([sealed[-40] ^ 1]) + sealed[-39:],
        sealed[:60],
        sealed[:13],
        b"\xff" + sealed[1:],
        b"no ciphertext",
    ):
        assert refusal(kms.decrypt, CiphertextBlob=changed, KeyId=key) == NO_TEXT


def test_every_changed_byte_is_noticed(kms: Any, key: str) -> None:
    """API:Decrypt, InvalidCiphertextException; a byte of the key's id makes it another key's."""
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    codes = {
        refusal(kms.decrypt, CiphertextBlob=sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])[0]
        for at in range(len(sealed))
    }
    assert codes == {"InvalidCiphertextException", "AccessDeniedException"}


def test_another_key_is_the_wrong_one(kms: Any, key: str) -> None:
    """Recorded for Decrypt and ReEncrypt; the named key may even have another usage."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA)["CiphertextBlob"]
    mac_key = new_key(kms, "HMAC_256", "GENERATE_VERIFY_MAC")
    for other in (new_key(kms), mac_key):
        assert refusal(kms.decrypt, CiphertextBlob=sealed, KeyId=other) == WRONG_KEY
    params = {"CiphertextBlob": sealed, "SourceKeyId": new_key(kms), "DestinationKeyId": key}
    assert refusal(kms.re_encrypt, **params) == WRONG_KEY


def test_an_unknown_key_shows_nothing(aws: LocalAws, kms: Any, key: str) -> None:
    """A ciphertext of another Region's key; the text is the one in aws-encryption-sdk-javascript#1005."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA)["CiphertextBlob"]
    code, text = refusal(aws.client("kms", region="eu-west-1").decrypt, CiphertextBlob=sealed)
    assert code == "AccessDeniedException"
    assert text.startswith("The ciphertext refers to a customer master key that does not exist, ")


@pytest.mark.parametrize(
    ("spec", "algorithm", "most"),
    [
        ("RSA_2048", "RSAES_OAEP_SHA_1", 214),
        ("RSA_2048", "RSAES_OAEP_SHA_256", 190),
        ("RSA_3072", "RSAES_OAEP_SHA_1", 342),
        ("RSA_3072", "RSAES_OAEP_SHA_256", 318),
        ("RSA_4096", "RSAES_OAEP_SHA_1", 470),
        ("RSA_4096", "RSAES_OAEP_SHA_256", 446),
    ],
)
def test_rsa_keys_decrypt_ciphertexts_of_others(kms: Any, spec: str, algorithm: str, most: int) -> None:
    """API:Decrypt: ciphertexts made outside of KMS; recorded: the longest plaintexts."""
    key, used = rsa_key(kms, spec), OAEP[algorithm]
    answer = kms.get_public_key(KeyId=key)
    assert answer["EncryptionAlgorithms"] == ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
    public: Any = load_der_public_key(answer["PublicKey"])
    assert public.key_size == int(spec.removeprefix("RSA_"))
    longest = b"x" * most
    outside = public.encrypt(longest, padding.OAEP(padding.MGF1(used), used, None))
    inside = kms.encrypt(KeyId=key, Plaintext=longest, EncryptionAlgorithm=algorithm)
    assert (inside["KeyId"], inside["EncryptionAlgorithm"]) == (key, algorithm)
    for sealed in (outside, inside["CiphertextBlob"]):
        assert len(sealed) == public.key_size // 8
        found = kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
        assert (found["Plaintext"], found["EncryptionAlgorithm"]) == (longest, algorithm)
        assert "KeyMaterialId" not in found
    text = f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
    answer = refusal(kms.encrypt, KeyId=key, Plaintext=longest + b"x", EncryptionAlgorithm=algorithm)
    assert answer == ("ValidationException", text)


@pytest.mark.parametrize(
    ("algorithm", "name"), [("RSAES_OAEP_SHA_1", "sha1"), ("RSAES_OAEP_SHA_256", "sha256")]
)
def test_openssl_encrypts_for_kms(kms: Any, tmp_path: Path, algorithm: str, name: str) -> None:
    """API:Decrypt: ciphertexts made outside of KMS."""
    key = rsa_key(kms, "RSA_2048")
    openssl(
        tmp_path, "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "public", "-in", "data",
        "-out", "sealed", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{name}",
        public=kms.get_public_key(KeyId=key)["PublicKey"], data=DATA,
    )  # fmt: skip
    sealed = (tmp_path / "sealed").read_bytes()
    found = kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
    assert found["Plaintext"] == DATA


def test_rsa_refuses_invalid_ciphertexts(kms: Any) -> None:
    """API:Decrypt: the same algorithm, the key must be named; EncryptionContext is for symmetric keys."""
    key, algorithm = rsa_key(kms, "RSA_2048"), "RSAES_OAEP_SHA_256"
    params = {"KeyId": key, "EncryptionAlgorithm": algorithm}
    sealed = kms.encrypt(Plaintext=DATA, **params)["CiphertextBlob"]
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in (changed, sealed[:-1], b"x"):
        assert refusal(kms.decrypt, CiphertextBlob=wrong, **params) == NO_TEXT
    other = {**params, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}
    assert refusal(kms.decrypt, CiphertextBlob=sealed, **other) == NO_TEXT
    unnamed = refusal(kms.decrypt, CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
    assert unnamed[0] == "ValidationException"
    for call, member in ((kms.encrypt, "Plaintext"), (kms.decrypt, "CiphertextBlob")):
        code, _ = refusal(call, EncryptionContext=CONTEXT, **{member: sealed[:10]}, **params)
        assert code == "ValidationException"


def test_algorithms_must_fit_keys(kms: Any, key: str) -> None:
    """API:Encrypt, InvalidKeyUsageException: the default algorithm is for symmetric keys."""
    rsa = rsa_key(kms, "RSA_2048")
    for named, algorithm, spec in (
        (rsa, "SYMMETRIC_DEFAULT", "RSA_2048"),
        (key, "RSAES_OAEP_SHA_256", "SYMMETRIC_DEFAULT"),
    ):
        answer = refusal(kms.encrypt, KeyId=named, Plaintext=DATA, EncryptionAlgorithm=algorithm)
        text = f"Algorithm {algorithm} is incompatible with key spec {spec}."
        assert answer == ("InvalidKeyUsageException", text)


def test_signing_keys_encrypt_nothing(kms: Any) -> None:
    """As recorded on AWS."""
    key = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    text = f"{key} key usage is SIGN_VERIFY which is not valid for Encrypt."
    assert refusal(kms.encrypt, KeyId=key, Plaintext=DATA) == ("InvalidKeyUsageException", text)


def test_long_plaintexts_are_refused(kms: Any, key: str) -> None:
    """As recorded on AWS."""
    text = (
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096"
    )
    answer = refusal(kms.encrypt, KeyId=key, Plaintext=b"x" * 4097)
    assert answer == ("ValidationException", text)
    longest = kms.encrypt(KeyId=key, Plaintext=b"x" * 4096)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=longest)["Plaintext"] == b"x" * 4096


def test_a_ciphertext_moves_to_another_key(kms: Any, key: str) -> None:
    """Recorded: the members of the answer; API:ReEncrypt: each key has its own context."""
    sealed = kms.encrypt(KeyId=key, Plaintext=DATA, EncryptionContext=CONTEXT)["CiphertextBlob"]
    rsa, algorithm = rsa_key(kms, "RSA_2048"), "RSAES_OAEP_SHA_256"
    moved = kms.re_encrypt(
        CiphertextBlob=sealed,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=rsa,
        DestinationEncryptionAlgorithm=algorithm,
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, rsa)
    assert moved["SourceEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert moved["DestinationEncryptionAlgorithm"] == algorithm
    found = kms.decrypt(KeyId=rsa, CiphertextBlob=moved["CiphertextBlob"], EncryptionAlgorithm=algorithm)
    assert found["Plaintext"] == DATA
    back = kms.re_encrypt(
        CiphertextBlob=moved["CiphertextBlob"],
        SourceKeyId=rsa,
        SourceEncryptionAlgorithm=algorithm,
        DestinationKeyId=key,
        DestinationEncryptionContext={"now": "another"},
    )["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=back, EncryptionContext={"now": "another"})["Plaintext"] == DATA


def test_data_keys_are_encrypted(kms: Any, key: str) -> None:
    """API:GenerateDataKey; recorded: only with its context is it decrypted."""
    for size in ({"KeySpec": "AES_128"}, {"NumberOfBytes": 16}):
        made = kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **size)
        assert (len(made["Plaintext"]), made["KeyId"]) == (16, key)
        found = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
        assert found["Plaintext"] == made["Plaintext"]
        assert refusal(kms.decrypt, CiphertextBlob=made["CiphertextBlob"]) == NO_TEXT
    for none_or_both in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}):
        assert refusal(kms.generate_data_key, KeyId=key, **none_or_both)[0] == "ValidationException"
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256")
    assert "Plaintext" not in hidden
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 32


def test_data_key_pairs_sign_offline(kms: Any, key: str) -> None:
    """API:GenerateDataKeyPair: PKCS #8 and SubjectPublicKeyInfo in DER; recorded: the members."""
    made = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256", EncryptionContext=CONTEXT)
    assert (made["KeyId"], made["KeyPairSpec"]) == (key, "ECC_NIST_P256")
    sealed = made["PrivateKeyCiphertextBlob"]
    plain = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)["Plaintext"]
    assert plain == made["PrivateKeyPlaintext"]
    private: Any = load_der_private_key(plain, None)
    public: Any = load_der_public_key(made["PublicKey"])
    public.verify(private.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA, ec.ECDSA(hashes.SHA256()))
    hidden = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    assert "PrivateKeyPlaintext" not in hidden
    assert refusal(kms.decrypt, CiphertextBlob=sealed) == NO_TEXT


def test_data_keys_need_a_symmetric_key(kms: Any) -> None:
    """API:GenerateDataKey: no asymmetric key."""
    code, _ = refusal(kms.generate_data_key, KeyId=rsa_key(kms, "RSA_2048"), KeySpec="AES_256")
    assert code == "InvalidKeyUsageException"


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ("nothing", "Invalid keyId 'nothing'"),
        ("134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"),
        ("mrk-nothing", "Invalid keyId 'mrk-nothing'"),
        (MISSING, f"Key '{ARN}{MISSING}' does not exist"),
        (f"{ARN}{MISSING}", f"Key '{ARN}{MISSING}' does not exist"),
        (f"{ARN.replace('us-east-1', 'eu-west-1')}{MISSING}", "Invalid arn eu-west-1"),
        ("alias/nothing", "Alias arn:aws:kms:us-east-1:123456789012:alias/nothing is not found."),
    ],
)
def test_unknown_keys_are_not_found(kms: Any, named: str, text: str) -> None:
    """Recorded, but for the alias: moto's text."""
    for call, params in ((kms.encrypt, {"Plaintext": DATA}), (kms.describe_key, {})):
        assert refusal(call, KeyId=named, **params) == ("NotFoundException", text)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "NumberOfBytes is required."),
        (
            {"NumberOfBytes": 1025},
            (
                "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
                "Member must have value less than or equal to 1024"
            ),
        ),
    ],
)
def test_random_bytes_have_a_limit(kms: Any, params: dict[str, Any], text: str) -> None:
    """As recorded on AWS."""
    assert refusal(kms.generate_random, **params) == ("ValidationException", text)
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024


def test_a_dry_run_decrypts_without_a_ciphertext(kms: Any, key: str) -> None:
    """API:Decrypt, DryRunModifiers: IGNORE_CIPHERTEXT looks at the permissions and the key only."""
    dry = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert refusal(kms.decrypt, KeyId=key, **dry)[0] == "DryRunOperationException"
    disabled = new_key(kms)
    kms.disable_key(KeyId=disabled)
    assert refusal(kms.decrypt, KeyId=disabled, **dry)[0] == "DisabledException"
    assert refusal(kms.decrypt, KeyId=key, DryRun=True)[0] == "ValidationException"
