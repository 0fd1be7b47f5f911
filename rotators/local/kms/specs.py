"""Key specs: what a key of each spec may be used for, and its algorithms.

Source: KMS API reference (CreateKey, KeySpec and KeyUsage) and Developer Guide, symm-asymm-choose-key-spec.
"""

from __future__ import annotations

from collections.abc import Mapping

from rotators.local.kms.refusals import invalid, unsupported

SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT, SIGN, MAC = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"
AGREE = "KEY_AGREEMENT"

OF_USAGE = {ENCRYPT: "EncryptionAlgorithms", SIGN: "SigningAlgorithms", MAC: "MacAlgorithms"}
"""Member of a key's metadata that lists its algorithms, by usage."""

_HASHES = ("SHA_256", "SHA_384", "SHA_512")
_RSA = {
    ENCRYPT: ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"),
    SIGN: tuple(f"RSASSA_{padding}_{name}" for padding in ("PKCS1_V1_5", "PSS") for name in _HASHES),
}


_SPECS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    SYMMETRIC: {ENCRYPT: (SYMMETRIC,)},
    **{f"RSA_{bits}": _RSA for bits in (2048, 3072, 4096)},
    "ECC_NIST_P256": {SIGN: ("ECDSA_SHA_256",)},
    "ECC_NIST_P384": {SIGN: ("ECDSA_SHA_384",)},
    "ECC_NIST_P521": {SIGN: ("ECDSA_SHA_512",)},
    "ECC_SECG_P256K1": {SIGN: ("ECDSA_SHA_256",)},
    "ECC_NIST_EDWARDS25519": {SIGN: ("ED25519_SHA_512", "ED25519_PH_SHA_512")},
    **{f"ML_DSA_{kind}": {SIGN: ("ML_DSA_SHAKE_256",)} for kind in (44, 65, 87)},
    **{f"HMAC_{bits}": {MAC: (f"HMAC_SHA_{bits}",)} for bits in (224, 256, 384, 512)},
}
"""Algorithms by key spec and usage."""

_AGREEING = ("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521")
"""Key specs that AWS also allows for key agreement, which the local AWS does not have."""


def algorithms(spec: str, usage: str) -> tuple[str, ...]:
    """Return the algorithms of a key with the key spec ``spec`` and the key usage ``usage``."""
    return _SPECS[spec][usage]


def checked_usage(spec: str, usage: str | None) -> str:
    """Return the usage of a new key.

    Args:
        spec: Its key spec.
        usage: Its usage in the request; None if the request has none.

    Returns:
        The usage.

    Raises:
        KmsRefusal: The key spec needs a usage, does not allow this one, or is missing in the local AWS.
    """
    if spec not in _SPECS:
        raise unsupported(f"The local AWS has no keys with the key spec {spec}.")
    if usage is None:
        if spec != SYMMETRIC:
            raise invalid(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
            )
        return ENCRYPT
    if usage == AGREE and spec in _AGREEING:
        raise unsupported(f"The local AWS has no keys with the key usage {usage}.")
    if usage not in _SPECS[spec]:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return usage
