"""Signatures of the local KMS, verified by `cryptography` and by the program openssl.

Sources: KMS API reference, Sign and Verify; recorded: answers that LocalStack's tests recorded on AWS;
measured: https://github.com/floci-io/floci/issues/2924 and /3025.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from rotators.local.aws import LocalAws
from tests.local.kms_keys import new_key, openssl, refusal, signing_key

MESSAGE = b"a statement about a rotation"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
HASHED = [
    *(("RSA_2048", f"RSASSA_PSS_SHA_{bits}") for bits in HASHES),
    *(("RSA_2048", f"RSASSA_PKCS1_V1_5_SHA_{bits}") for bits in HASHES),
    ("RSA_3072", "RSASSA_PSS_SHA_256"),
    ("ECC_NIST_P256", "ECDSA_SHA_256"),
    ("ECC_NIST_P384", "ECDSA_SHA_384"),
    ("ECC_NIST_P521", "ECDSA_SHA_512"),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
]
ML_DSA = {"ML_DSA_44": 2420, "ML_DSA_65": 3309, "ML_DSA_87": 4627}
"""The length of a signature (FIPS 204, table 2)."""


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


def digest(algorithm: str, message: bytes = MESSAGE) -> bytes:
    return hashlib.new(f"sha{algorithm[-3:]}", message).digest()


def public_key(kms: Any, key: str) -> Any:
    return load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])


def arguments(algorithm: str) -> tuple[Any, ...]:
    """The arguments with which `cryptography` verifies; the length of a PSS salt is compared exactly."""
    used = HASHES[algorithm[-3:]]
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(used),)
    if "PSS" in algorithm:
        return padding.PSS(padding.MGF1(used), salt_length=used.digest_size), used
    return padding.PKCS1v15(), used


@pytest.mark.parametrize(("spec", "algorithm"), HASHED)
def test_signatures_verify_offline_and_in_kms(kms: Any, spec: str, algorithm: str) -> None:
    """API:Sign; recorded: a DIGEST signature verifies as RAW; the salt is as long as the digest."""
    key = signing_key(kms, spec)
    public = public_key(kms, key)
    forms = {"RAW": MESSAGE, "DIGEST": digest(algorithm)}
    for kind, signed in forms.items():
        answer = kms.sign(KeyId=key, Message=signed, MessageType=kind, SigningAlgorithm=algorithm)
        assert (answer["KeyId"], answer["SigningAlgorithm"]) == (key, algorithm)
        public.verify(answer["Signature"], MESSAGE, *arguments(algorithm))
        for other, message in forms.items():
            found = kms.verify(
                KeyId=key,
                Message=message,
                MessageType=other,
                Signature=answer["Signature"],
                SigningAlgorithm=algorithm,
            )
            assert (found["KeyId"], found["SignatureValid"]) == (key, True)


@pytest.mark.parametrize(
    ("spec", "algorithm", "options"),
    [
        ("RSA_2048", "RSASSA_PSS_SHA_256", ("rsa_padding_mode:pss", "rsa_pss_saltlen:digest")),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384", ("rsa_padding_mode:pkcs1",)),
        ("ECC_NIST_P384", "ECDSA_SHA_384", ()),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", ()),
    ],
)
def test_openssl_verifies(
    kms: Any, tmp_path: Path, spec: str, algorithm: str, options: tuple[str, ...]
) -> None:
    key = signing_key(kms, spec)
    signature = kms.sign(
        KeyId=key, Message=digest(algorithm), MessageType="DIGEST", SigningAlgorithm=algorithm
    )["Signature"]
    said = openssl(
        tmp_path, "dgst", f"-sha{algorithm[-3:]}", "-verify", "public", "-keyform", "DER",
        *(each for option in options for each in ("-sigopt", option)), "-signature", "signature", "message",
        public=kms.get_public_key(KeyId=key)["PublicKey"], signature=signature, message=MESSAGE,
    )  # fmt: skip
    assert said == b"Verified OK\n"


def test_openssl_verifies_ed25519(kms: Any, tmp_path: Path) -> None:
    """Measured: GetPublicKey has 44 bytes, a signature 64."""
    key = signing_key(kms, "ECC_NIST_EDWARDS25519")
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ED25519_SHA_512")["Signature"]
    assert (len(public), len(signature)) == (44, 64)
    said = openssl(
        tmp_path, "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public", "-rawin",
        "-in", "message", "-sigfile", "signature", public=public, signature=signature, message=MESSAGE,
    )  # fmt: skip
    assert said == b"Signature Verified Successfully\n"


@pytest.mark.parametrize("spec", ML_DSA)
def test_ml_dsa_verifies_offline(kms: Any, spec: str) -> None:
    """API:Sign, EXTERNAL_MU: FIPS 204, section 6.2; a signature of either form verifies as the other."""
    key = signing_key(kms, spec)
    public = public_key(kms, key)
    assert isinstance(public, getattr(mldsa, f"MLDSA{spec[-2:]}PublicKey"))
    hasher = mldsa.MLDSAMuHasher(public)
    hasher.update(MESSAGE)
    forms = {"RAW": MESSAGE, "EXTERNAL_MU": hasher.finalize()}
    for kind, message in forms.items():
        signature = kms.sign(
            KeyId=key, Message=message, MessageType=kind, SigningAlgorithm="ML_DSA_SHAKE_256"
        )["Signature"]
        assert len(signature) == ML_DSA[spec]
        public.verify(signature, MESSAGE)
        for other, verified in forms.items():
            assert kms.verify(
                KeyId=key,
                Message=verified,
                MessageType=other,
                Signature=signature,
                SigningAlgorithm="ML_DSA_SHAKE_256",
            )["SignatureValid"]


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256"),
    ],
)
def test_a_false_signature_is_an_error(kms: Any, spec: str, algorithm: str) -> None:
    """Recorded: KMSInvalidSignatureException without a message; API:Verify."""
    key, other = signing_key(kms, spec), new_key(kms, spec, "SIGN_VERIFY")
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm=algorithm)["Signature"]
    changed = bytes([signature[0] ^ 1]) + signature[1:]
    for params in (
        {"KeyId": key, "Message": MESSAGE + b"!", "Signature": signature},
        {"KeyId": key, "Message": MESSAGE, "Signature": changed},
        {"KeyId": key, "Message": MESSAGE, "Signature": b"short"},
        {"KeyId": other, "Message": MESSAGE, "Signature": signature},
    ):
        answer = refusal(kms.verify, SigningAlgorithm=algorithm, **params)
        assert answer == ("KMSInvalidSignatureException", "")
    with pytest.raises(InvalidSignature):
        public_key(kms, other).verify(signature, MESSAGE, *OFFLINE[algorithm])


OFFLINE: dict[str, tuple[Any, ...]] = {
    "RSASSA_PSS_SHA_256": arguments("RSASSA_PSS_SHA_256"),
    "ECDSA_SHA_256": arguments("ECDSA_SHA_256"),
    "ED25519_SHA_512": (),
    "ML_DSA_SHAKE_256": (),
}


@pytest.mark.parametrize(
    ("spec", "algorithm"), [("RSA_2048", "RSASSA_PSS_SHA_384"), ("ECC_NIST_P256", "ECDSA_SHA_256")]
)
@pytest.mark.parametrize("length", [-1, 1])
def test_a_digest_of_another_length_is_refused(kms: Any, spec: str, algorithm: str, length: int) -> None:
    """As recorded on AWS."""
    key, size = signing_key(kms, spec), int(algorithm[-3:]) // 8 + length
    params = {"KeyId": key, "Message": b"x" * size, "MessageType": "DIGEST", "SigningAlgorithm": algorithm}
    expected = ("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
    assert refusal(kms.sign, **params) == expected
    assert refusal(kms.verify, Signature=b"any", **params) == expected


@pytest.mark.parametrize(
    ("spec", "algorithm", "kind", "text"),
    [
        (
            "ECC_NIST_EDWARDS25519",
            "ED25519_SHA_512",
            "DIGEST",
            "Message type DIGEST is incompatible with algorithm ED25519_SHA_512.",
        ),
        (
            "ECC_NIST_EDWARDS25519",
            "ED25519_PH_SHA_512",
            "RAW",
            "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.",
        ),
        (
            "ML_DSA_44",
            "ML_DSA_SHAKE_256",
            "DIGEST",
            "Message type DIGEST is incompatible with key spec ML_DSA_44.",
        ),
    ],
)
def test_message_types_must_fit_algorithms(kms: Any, spec: str, algorithm: str, kind: str, text: str) -> None:
    """As measured on AWS."""
    params = {"Message": b"x" * 64, "MessageType": kind, "SigningAlgorithm": algorithm}
    answer = refusal(kms.sign, KeyId=signing_key(kms, spec), **params)
    assert answer == ("ValidationException", text)


@pytest.mark.parametrize(
    ("spec", "algorithm", "message"),
    [("ML_DSA_65", "ML_DSA_SHAKE_256", 63), ("RSA_2048", "RSASSA_PSS_SHA_256", 64)],
)
def test_external_mu_is_for_ml_dsa(kms: Any, spec: str, algorithm: str, message: int) -> None:
    """API:Sign, MessageType: 64 bytes, and only for ML-DSA."""
    params = {"Message": b"x" * message, "MessageType": "EXTERNAL_MU", "SigningAlgorithm": algorithm}
    assert refusal(kms.sign, KeyId=signing_key(kms, spec), **params)[0] == "ValidationException"


def test_prehashed_ed25519_is_refused(kms: Any) -> None:
    """A limit of the local AWS: `cryptography` has no Ed25519ph."""
    params = {"Message": b"x" * 64, "MessageType": "DIGEST", "SigningAlgorithm": "ED25519_PH_SHA_512"}
    answer = refusal(kms.sign, KeyId=signing_key(kms, "ECC_NIST_EDWARDS25519"), **params)
    assert answer == ("UnsupportedOperationException", "The local AWS has no ED25519_PH_SHA_512.")


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("ECC_NIST_EDWARDS25519", "ECDSA_SHA_512"),
        ("ECC_NIST_P256", "ECDSA_SHA_384"),
        ("RSA_2048", "ECDSA_SHA_256"),
    ],
)
def test_algorithms_of_other_keys_are_refused(kms: Any, spec: str, algorithm: str) -> None:
    """Measured: for Ed25519; API:Sign, InvalidKeyUsageException."""
    answer = refusal(kms.sign, KeyId=signing_key(kms, spec), Message=b"x", SigningAlgorithm=algorithm)
    text = f"Algorithm {algorithm} is incompatible with key spec {spec}."
    assert answer == ("InvalidKeyUsageException", text)


@pytest.mark.parametrize(
    ("member", "value", "constraint"),
    [
        ("SigningAlgorithm", "MD5", "Member must satisfy enum value set: [RSASSA_PSS_SHA_256, "),
        ("MessageType", "HASH", "Member must satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]"),
        ("Message", b"x" * 4097, "Member must have length less than or equal to 4096"),
    ],
)
def test_unknown_values_are_refused(kms: Any, member: str, value: Any, constraint: str) -> None:
    """API:Sign; the form of the text: recorded for GenerateMac and Encrypt."""
    params = {"Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256", member: value}
    code, text = refusal(kms.sign, KeyId=signing_key(kms, "ECC_NIST_P256"), **params)
    shown = "Value" if member == "Message" else f"Value '{value}'"
    name = member[0].lower() + member[1:]
    start = f"1 validation error detected: {shown} at '{name}' failed to satisfy constraint: {constraint}"
    assert code == "ValidationException"
    assert text.startswith(start)


@pytest.mark.parametrize(
    ("spec", "usage", "operation", "params"),
    [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "GenerateMac", {"MacAlgorithm": "HMAC_SHA_256"}),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "Sign", {"SigningAlgorithm": "RSASSA_PSS_SHA_256"}),
        (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            "Verify",
            {"SigningAlgorithm": "RSASSA_PSS_SHA_256", "Signature": b"x"},
        ),
    ],
)
def test_keys_of_another_usage_are_refused(
    kms: Any, spec: str, usage: str, operation: str, params: dict[str, Any]
) -> None:
    """As recorded on AWS."""
    key = new_key(kms, spec, usage)
    call = {"GenerateMac": kms.generate_mac, "Sign": kms.sign, "Verify": kms.verify}[operation]
    text = f"{key} key usage is {usage} which is not valid for {operation}."
    assert refusal(call, KeyId=key, Message=MESSAGE, **params) == ("InvalidKeyUsageException", text)


@pytest.mark.parametrize("bits", ["224", "256", "384", "512"])
def test_macs_are_verified(kms: Any, bits: str) -> None:
    """Recorded: members of the answers; KMSInvalidMacException without a message."""
    key, algorithm = new_key(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC"), f"HMAC_SHA_{bits}"
    made = kms.generate_mac(KeyId=key, Message=MESSAGE, MacAlgorithm=algorithm)
    assert (made["KeyId"], made["MacAlgorithm"], len(made["Mac"])) == (key, algorithm, int(bits) // 8)
    params = {"KeyId": key, "Mac": made["Mac"], "MacAlgorithm": algorithm}
    found = kms.verify_mac(Message=MESSAGE, **params)
    assert (found["KeyId"], found["MacValid"], found["MacAlgorithm"]) == (key, True, algorithm)
    assert refusal(kms.verify_mac, Message=b"another", **params) == ("KMSInvalidMacException", "")


def test_a_mac_of_another_key_spec_is_refused(kms: Any) -> None:
    """As recorded on AWS."""
    key = new_key(kms, "HMAC_224", "GENERATE_VERIFY_MAC")
    answer = refusal(kms.generate_mac, KeyId=key, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")
    text = "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224."
    assert answer == ("InvalidKeyUsageException", text)


@pytest.mark.parametrize(
    ("spec", "algorithms"),
    [
        ("ECC_NIST_P521", ["ECDSA_SHA_512"]),
        ("ECC_NIST_EDWARDS25519", ["ED25519_SHA_512", "ED25519_PH_SHA_512"]),
        ("ML_DSA_44", ["ML_DSA_SHAKE_256"]),
    ],
)
def test_the_public_key_names_its_algorithms(kms: Any, spec: str, algorithms: list[str]) -> None:
    """API:GetPublicKey: KeyId is the ARN; encryption algorithms only for encryption keys."""
    key = signing_key(kms, spec)
    answer = kms.get_public_key(KeyId=key.rpartition("/")[2])
    assert (answer["KeyId"], answer["KeySpec"], answer["KeyUsage"]) == (key, spec, "SIGN_VERIFY")
    assert answer["SigningAlgorithms"] == algorithms
    assert "EncryptionAlgorithms" not in answer


def test_symmetric_keys_have_no_public_key(kms: Any) -> None:
    """API:GetPublicKey, UnsupportedOperationException."""
    for spec, usage in (("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")):
        code, _ = refusal(kms.get_public_key, KeyId=new_key(kms, spec, usage))
        assert code == "UnsupportedOperationException"


def test_a_dry_run_says_that_it_would_succeed(kms: Any) -> None:
    """Recorded: for GenerateDataKeyPair; API:Sign, DryRun."""
    key = signing_key(kms, "ECC_NIST_P256")
    params = {"KeyId": key, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256", "DryRun": True}
    text = "The request would have succeeded, but the DryRun option is set."
    assert refusal(kms.sign, **params) == ("DryRunOperationException", text)
