"""Key material, which KMS never returns, and its rotation.

moto creates one object per key in `generate_private_key` and shares it between the replicas of a multi-Region
key. AWS does the same: replicas have the material and the rotation of their primary (KMS guide,
multi-region-keys-overview, shared properties).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotators.local.kms.specs import SYMMETRIC

_EXPONENT = 65537
_MAC = "HMAC_"
_GENERATE: dict[str, Callable[[], Any]] = {
    **{f"RSA_{bits}": partial(rsa.generate_private_key, _EXPONENT, bits) for bits in (2048, 3072, 4096)},
    "ECC_NIST_P256": partial(ec.generate_private_key, ec.SECP256R1()),
    "ECC_NIST_P384": partial(ec.generate_private_key, ec.SECP384R1()),
    "ECC_NIST_P521": partial(ec.generate_private_key, ec.SECP521R1()),
    "ECC_SECG_P256K1": partial(ec.generate_private_key, ec.SECP256K1()),
    "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey.generate,
    "ML_DSA_44": mldsa.MLDSA44PrivateKey.generate,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey.generate,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey.generate,
}


def generate_pair(spec: str) -> Any:
    """Make a private key.

    Args:
        spec: Key spec of an asymmetric key.

    Returns:
        The private key, of a class of ``cryptography``.
    """
    return _GENERATE[spec]()


def public_der(private: Any) -> bytes:
    """Return the public key of ``private`` as GetPublicKey returns it: SubjectPublicKeyInfo in DER."""
    encoded: bytes = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


@dataclass(frozen=True)
class MaterialVersion:
    """Symmetric key material between two rotations.

    Attributes:
        key: Secret key of 256 bits.
        since: Time of the rotation that created it, in seconds since 1970; None for the first one.
    """

    key: bytes
    since: float | None = None

    @property
    def id(self) -> str:
        """Its KeyMaterialId: 64 hexadecimal digits."""
        return hashlib.sha256(b"rotators key material id" + self.key).hexdigest()


@dataclass
class AutomaticRotation:
    """Automatic rotation of a key.

    Attributes:
        period: Days between two rotations.
        enabled: Time at which it was enabled, in seconds since 1970.
    """

    period: int
    enabled: float


class Material:
    """The material of one key.

    Args:
        spec: Its key spec.

    Attributes:
        lock: Held while the material is changed or a pair is made.
        versions: Versions of symmetric material, the current one last.
        mac: Secret key of an HMAC key, as long as its digest (CreateKey, KeySpec).
        automatic: Automatic rotation; None if it is not enabled.
    """

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self.lock = threading.RLock()
        self.versions = [MaterialVersion(os.urandom(32))] if spec == SYMMETRIC else []
        self.mac = os.urandom(int(spec.removeprefix(_MAC)) // 8) if spec.startswith(_MAC) else b""
        self.automatic: AutomaticRotation | None = None

    @property
    def current(self) -> MaterialVersion:
        """The version that encrypts."""
        return self.versions[-1]

    @property
    def private(self) -> Any:
        """The private key of an asymmetric key; created on first use, because RSA takes seconds."""
        with self.lock:
            return self._private

    @cached_property
    def _private(self) -> Any:
        return generate_pair(self._spec)

    def version(self, material_id: str) -> MaterialVersion | None:
        """Return the version with the KeyMaterialId ``material_id``, or None."""
        return next((each for each in self.versions if each.id == material_id), None)
