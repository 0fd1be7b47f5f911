"""Signatures of asymmetric keys.

A digest is signed as it is; a PSS salt is as long as the digest (KMS API reference, Sign and Verify;
Developer Guide, symm-asymm-choose-key-spec). Rules of message types: API reference, MessageType; their texts
as measured on AWS for https://github.com/floci-io/floci/issues/2924 and /3025.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from rotators.local.kms.refusals import invalid, unsupported

RAW, DIGEST, EXTERNAL_MU = "RAW", "DIGEST", "EXTERNAL_MU"

_ED25519, _ED25519_PREHASHED = "ED25519_SHA_512", "ED25519_PH_SHA_512"
_ML_DSA = "ML_DSA_SHAKE_256"
_MU_LENGTH = 64
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def check_message(spec: str, algorithm: str, kind: str, message: bytes) -> None:
    """Refuse a message that the algorithm cannot sign.

    Args:
        spec: Key spec of the key.
        algorithm: Signing algorithm; one of the key's.
        kind: MessageType.
        message: The message, its digest, or the representative of ML-DSA.

    Raises:
        KmsRefusal: The type does not fit the algorithm, or the digest has another length.
    """
    if algorithm == _ML_DSA:
        if kind == DIGEST:
            raise invalid(f"Message type {kind} is incompatible with key spec {spec}.")
        if kind == EXTERNAL_MU and len(message) != _MU_LENGTH:
            raise invalid(f"External Mu is invalid length for algorithm {algorithm}.")
        return
    if kind == EXTERNAL_MU:
        raise invalid(f"Message type {kind} is incompatible with key spec {spec}.")
    required = {_ED25519: RAW, _ED25519_PREHASHED: DIGEST}.get(algorithm, kind)
    if kind != required:
        raise invalid(f"Message type {kind} is incompatible with algorithm {algorithm}.")
    if kind == DIGEST and len(message) != _hash(algorithm).digest_size:
        raise invalid(f"Digest is invalid length for algorithm {algorithm}.")
    if algorithm == _ED25519_PREHASHED:
        raise unsupported(f"The local AWS has no {algorithm}.")


def sign(private: Any, algorithm: str, kind: str, message: bytes) -> bytes:
    """Sign a checked message.

    Args:
        private: Private key.
        algorithm: Signing algorithm.
        kind: MessageType.
        message: See `check_message`.

    Returns:
        The signature.
    """
    if kind == EXTERNAL_MU:
        return bytes(private.sign_mu(message))
    return bytes(private.sign(message, *_arguments(algorithm, kind)))


def is_valid(private: Any, algorithm: str, kind: str, message: bytes, signature: bytes) -> bool:
    """Return True if a signature of a checked message is valid.

    Args:
        private: Private key; its public key verifies.
        algorithm: Signing algorithm.
        kind: MessageType.
        message: See `check_message`.
        signature: The signature.
    """
    public = private.public_key()
    try:
        if kind == EXTERNAL_MU:
            public.verify_mu(signature, message)
        else:
            public.verify(signature, message, *_arguments(algorithm, kind))
    except InvalidSignature:
        return False
    return True


def _arguments(algorithm: str, kind: str) -> tuple[Any, ...]:
    """Return the arguments of sign and verify in ``cryptography`` after the message."""
    if algorithm in {_ED25519, _ML_DSA}:
        return ()
    digest = _hash(algorithm)
    hashed = Prehashed(digest) if kind == DIGEST else digest
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(hashed),)
    if "_PSS_" in algorithm:
        return padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), hashed
    return padding.PKCS1v15(), hashed


def _hash(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES[algorithm[-3:]]
