"""Ciphertexts: those of symmetric keys in a form of this project, those of RSA keys in the standard form.

A symmetric ciphertext names its key and the version of the material, so that it decrypts after rotations and
without KeyId, as on AWS (API reference, Decrypt). Its form is not AWS's, which is not documented.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rotators.local.kms.material import Material
from rotators.local.kms.refusals import KmsRefusal, invalid

_MAGIC = b"\x01\x02\x02\x00rotators"
_NONCE = 12
_MATERIAL_ID = 32
_PADDING_BYTES = 2
_HASHES = {"RSAES_OAEP_SHA_1": hashes.SHA1(), "RSAES_OAEP_SHA_256": hashes.SHA256()}  # noqa: S303 - AWS's name

Context = Mapping[str, str]


@dataclass(frozen=True)
class Sealed:
    """The parts of a symmetric ciphertext.

    Attributes:
        head: Bytes before the nonce; authenticated.
        key: Account and id of its key, as at the end of the key's ARN: replicas of a key have the same.
        material_id: KeyMaterialId of the version that encrypted it.
        nonce: Nonce of AES-GCM.
        body: Encrypted data with the tag.
    """

    head: bytes
    key: str
    material_id: str
    nonce: bytes
    body: bytes


def seal(key: str, material: Material, plaintext: bytes, context: Context) -> bytes:
    """Encrypt with a symmetric key.

    Args:
        key: See `Sealed`.
        material: Its material; the current version encrypts.
        plaintext: Data.
        context: Encryption context.

    Returns:
        The ciphertext.
    """
    version, name, nonce = material.current, key.encode(), os.urandom(_NONCE)
    head = _MAGIC + bytes([len(name)]) + name + bytes.fromhex(version.id)
    return head + nonce + AESGCM(version.key).encrypt(nonce, plaintext, head + _encoded(context))


def parse(ciphertext: bytes) -> Sealed:
    """Take a symmetric ciphertext apart.

    Args:
        ciphertext: See `seal`.

    Returns:
        Its parts.

    Raises:
        KmsRefusal: InvalidCiphertextException: it is not a symmetric ciphertext.
    """
    start = len(_MAGIC) + 1
    name_end = start + (ciphertext[start - 1] if len(ciphertext) >= start else 0)
    head_end = name_end + _MATERIAL_ID
    body = head_end + _NONCE
    if not ciphertext.startswith(_MAGIC) or len(ciphertext) < body:
        raise unreadable()
    try:
        key = ciphertext[start:name_end].decode("ascii")
    except UnicodeDecodeError:
        raise unreadable() from None
    return Sealed(
        ciphertext[:head_end],
        key,
        ciphertext[name_end:head_end].hex(),
        ciphertext[head_end:body],
        ciphertext[body:],
    )


def unseal(sealed: Sealed, material: Material, context: Context) -> bytes:
    """Decrypt with a symmetric key.

    Args:
        sealed: Parts of the ciphertext.
        material: Material of its key.
        context: Encryption context.

    Returns:
        The plaintext.

    Raises:
        KmsRefusal: InvalidCiphertextException: it was changed, or the context differs.
    """
    version = material.version(sealed.material_id)
    if version is None:
        raise unreadable()
    try:
        return AESGCM(version.key).decrypt(sealed.nonce, sealed.body, sealed.head + _encoded(context))
    except InvalidTag:
        raise unreadable() from None


def encrypt_rsa(public: rsa.RSAPublicKey, spec: str, algorithm: str, plaintext: bytes) -> bytes:
    """Encrypt with the public key of an RSA key.

    Args:
        public: Public key.
        spec: Key spec of the key.
        algorithm: ``RSAES_OAEP_SHA_1`` or ``RSAES_OAEP_SHA_256``.
        plaintext: Data.

    Returns:
        The ciphertext.

    Raises:
        KmsRefusal: ValidationException: the data is too long (recorded on AWS).
    """
    most = public.key_size // 8 - _PADDING_BYTES * (_HASHES[algorithm].digest_size + 1)
    if len(plaintext) > most:
        raise invalid(
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
        )
    return public.encrypt(plaintext, _oaep(algorithm))


def decrypt_rsa(private: rsa.RSAPrivateKey, algorithm: str, ciphertext: bytes) -> bytes:
    """Decrypt with an RSA key.

    Args:
        private: Private key.
        algorithm: See `encrypt_rsa`.
        ciphertext: Ciphertext, made here or elsewhere.

    Returns:
        The plaintext.

    Raises:
        KmsRefusal: InvalidCiphertextException.
    """
    try:
        return private.decrypt(ciphertext, _oaep(algorithm))
    except ValueError:
        raise unreadable() from None


def unreadable() -> KmsRefusal:
    """Return an ``InvalidCiphertextException``, which AWS sends without a text; the caller raises it."""
    return KmsRefusal("InvalidCiphertextException")


def _oaep(algorithm: str) -> padding.OAEP:
    used = _HASHES[algorithm]
    return padding.OAEP(padding.MGF1(used), used, None)


def _encoded(context: Context) -> bytes:
    """Return the context as authenticated data, which does not depend on the order of its pairs."""
    return json.dumps(context, sort_keys=True).encode()
