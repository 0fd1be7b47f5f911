"""Key specs: what a key of each spec may be used for, and its algorithms.

Source: KMS API reference (CreateKey, KeySpec and KeyUsage) and Developer Guide, symm-asymm-choose-key-spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Spec:
    """The properties of a key spec.

    Attributes:
        algorithms: Algorithms by usage.
        elsewhere: Usages that AWS allows and the local AWS does not have.
    """

    algorithms: Mapping[str, tuple[str, ...]]
    elsewhere: tuple[str, ...] = ()


_SPECS = {
    SYMMETRIC: Spec({ENCRYPT: (SYMMETRIC,)}),
    "RSA_2048": Spec(_RSA),
    "RSA_3072": Spec(_RSA),
    "RSA_4096": Spec(_RSA),
    "ECC_NIST_P256": Spec({SIGN: ("ECDSA_SHA_256",)}, (AGREE,)),
    "ECC_NIST_P384": Spec({SIGN: ("ECDSA_SHA_384",)}, (AGREE,)),
    "ECC_NIST_P521": Spec({SIGN: ("ECDSA_SHA_512",)}, (AGREE,)),
    "ECC_SECG_P256K1": Spec({SIGN: ("ECDSA_SHA_256",)}),
    "ECC_NIST_EDWARDS25519": Spec({SIGN: ("ED25519_SHA_512", "ED25519_PH_SHA_512")}),
    "ML_DSA_44": Spec({SIGN: ("ML_DSA_SHAKE_256",)}),
    "ML_DSA_65": Spec({SIGN: ("ML_DSA_SHAKE_256",)}),
    "ML_DSA_87": Spec({SIGN: ("ML_DSA_SHAKE_256",)}),
    **{f"HMAC_{bits}": Spec({MAC: (f"HMAC_SHA_{bits}",)}) for bits in (224, 256, 384, 512)},
}


def algorithms(spec: str, usage: str) -> tuple[str, ...]:
    """Return the algorithms of a key with the key spec ``spec`` and the key usage ``usage``."""
    return _SPECS[spec].algorithms[usage]


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
    if usage in _SPECS[spec].elsewhere:
        raise unsupported(f"The local AWS has no keys with the key usage {usage}.")
    if usage not in _SPECS[spec].algorithms:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return usage
