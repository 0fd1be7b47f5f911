"""Cryptographic operations: encryption, data keys, signatures and MACs.

Sources: KMS API reference of each operation; answers recorded on AWS in LocalStack's tests.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rotators.local.kms import ciphertexts, signatures
from rotators.local.kms.keys import (
    check_algorithm,
    check_enabled,
    find,
    find_sealing,
    is_symmetric,
    listed_algorithms,
    material,
    name_in_ciphertexts,
    usable,
)
from rotators.local.kms.material import generate_pair, public_der
from rotators.local.kms.refusals import UNKNOWN_KEY, KmsRefusal, incompatible, invalid, unsupported
from rotators.local.kms.requests import Answer, Operation, Params
from rotators.local.kms.specs import ENCRYPT, MAC, SIGN, SYMMETRIC

if TYPE_CHECKING:
    from moto.kms.models import Key, KmsBackend

_AES_BYTES = {"AES_128": 16, "AES_256": 32}
_PAIRS = ("RSA_", "ECC_")


def _encrypt(backend: KmsBackend, params: Params) -> Answer:
    key = usable(find(backend, params["KeyId"]), ENCRYPT, "Encrypt")
    algorithm = params.get("EncryptionAlgorithm", SYMMETRIC)
    sealed = _encrypted(key, algorithm, params["Plaintext"], params.get("EncryptionContext"))
    return {"CiphertextBlob": sealed, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def _decrypt(backend: KmsBackend, params: Params) -> Answer:
    if params.get("DryRun") and params.get("DryRunModifiers") == ["IGNORE_CIPHERTEXT"] and "KeyId" in params:
        return {"KeyId": usable(find(backend, params["KeyId"]), ENCRYPT, "Decrypt").arn}
    key, plaintext, used = _decrypted(backend, params, "Decrypt", "")
    return {"KeyId": key.arn, "Plaintext": plaintext, **used}


def _re_encrypt(backend: KmsBackend, params: Params) -> Answer:
    source, plaintext, used = _decrypted(backend, params, "ReEncrypt", "Source")
    algorithm = params.get("DestinationEncryptionAlgorithm", SYMMETRIC)
    key = usable(find(backend, params["DestinationKeyId"]), ENCRYPT, "ReEncrypt")
    sealed = _encrypted(key, algorithm, plaintext, params.get("DestinationEncryptionContext"))
    return {
        "CiphertextBlob": sealed,
        "SourceKeyId": source.arn,
        "KeyId": key.arn,
        **used,
        "DestinationEncryptionAlgorithm": algorithm,
        **({"DestinationKeyMaterialId": material(key).current.id} if is_symmetric(key) else {}),
    }


def _generate_data_key(backend: KmsBackend, params: Params) -> Answer:
    key = _of_data_keys(backend, params, "GenerateDataKey")
    size, spec = params.get("NumberOfBytes"), params.get("KeySpec")
    if (size is None) == (spec is None):
        raise invalid("Please specify either number of bytes or key spec.")
    plaintext = os.urandom(size or _AES_BYTES[str(spec)])
    return {
        "CiphertextBlob": _encrypted(key, SYMMETRIC, plaintext, params.get("EncryptionContext")),
        "Plaintext": plaintext,
        "KeyId": key.arn,
        "KeyMaterialId": material(key).current.id,
    }


def _generate_data_key_pair(backend: KmsBackend, params: Params) -> Answer:
    key, spec = _of_data_keys(backend, params, "GenerateDataKeyPair"), params["KeyPairSpec"]
    if not spec.startswith(_PAIRS):
        raise unsupported(f"The local AWS has no key pairs {spec}.")
    private = generate_pair(spec)
    plaintext = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "PrivateKeyCiphertextBlob": _encrypted(key, SYMMETRIC, plaintext, params.get("EncryptionContext")),
        "PrivateKeyPlaintext": plaintext,
        "PublicKey": public_der(private),
        "KeyId": key.arn,
        "KeyPairSpec": spec,
        "KeyMaterialId": material(key).current.id,
    }


def _get_public_key(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"])
    check_enabled(key)
    if is_symmetric(key) or key.key_usage == MAC:
        raise unsupported()
    return {
        "KeyId": key.arn,
        "PublicKey": public_der(material(key).private),
        "CustomerMasterKeySpec": key.key_spec,
        "KeySpec": key.key_spec,
        "KeyUsage": key.key_usage,
        **listed_algorithms(key),
    }


def _sign(backend: KmsBackend, params: Params) -> Answer:
    key, algorithm, kind = _of_signature(backend, params, "Sign")
    signature = signatures.sign(material(key).private, algorithm, kind, params["Message"])
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def _verify(backend: KmsBackend, params: Params) -> Answer:
    key, algorithm, kind = _of_signature(backend, params, "Verify")
    private = material(key).private
    if not signatures.is_valid(private, algorithm, kind, params["Message"], params["Signature"]):
        raise KmsRefusal("KMSInvalidSignatureException")
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def _generate_mac(backend: KmsBackend, params: Params) -> Answer:
    key, mac = _mac(backend, params, "GenerateMac")
    return {"KeyId": key.arn, "Mac": mac, "MacAlgorithm": params["MacAlgorithm"]}


def _verify_mac(backend: KmsBackend, params: Params) -> Answer:
    key, mac = _mac(backend, params, "VerifyMac")
    if not hmac.compare_digest(mac, params["Mac"]):
        raise KmsRefusal("KMSInvalidMacException")
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": params["MacAlgorithm"]}


def _generate_random(_backend: KmsBackend, params: Params) -> Answer:
    if "NumberOfBytes" not in params:
        raise invalid("NumberOfBytes is required.")
    return {"Plaintext": os.urandom(params["NumberOfBytes"])}


def _encrypted(key: Key, algorithm: str, plaintext: bytes, context: ciphertexts.Context | None) -> bytes:
    check_algorithm(key, algorithm)
    if is_symmetric(key):
        return ciphertexts.seal(name_in_ciphertexts(key), material(key), plaintext, context or {})
    _check_no_context(context)
    return ciphertexts.encrypt_rsa(material(key).private.public_key(), key.key_spec, algorithm, plaintext)


def _decrypted(backend: KmsBackend, params: Params, operation: str, prefix: str) -> tuple[Key, bytes, Answer]:
    """Return the key, the plaintext, and the members of the answer about algorithm and material.

    Args:
        backend: keys of the caller's account and Region.
        params: the request.
        operation: name in the API.
        prefix: prefix of the members of request and answer that are about the ciphertext.
    """
    # botocore's model does not require the ciphertext, because of DryRunModifiers.
    if "CiphertextBlob" not in params:
        raise invalid("CiphertextBlob is required.")
    named, ciphertext = params.get(f"{prefix}KeyId"), params["CiphertextBlob"]
    algorithm = params.get(f"{prefix}EncryptionAlgorithm", SYMMETRIC)
    context, used = params.get(f"{prefix}EncryptionContext"), {f"{prefix}EncryptionAlgorithm": algorithm}
    if algorithm == SYMMETRIC:
        sealed = ciphertexts.parse(ciphertext)
        key = usable(_sealing_key(backend, sealed.key, named), ENCRYPT, operation)
        plaintext = ciphertexts.unseal(sealed, material(key), context or {})
        return key, plaintext, {**used, f"{prefix}KeyMaterialId": sealed.material_id}
    if named is None:
        raise invalid("KeyId is required for asymmetric keys.")
    key = usable(find(backend, named), ENCRYPT, operation)
    check_algorithm(key, algorithm)
    _check_no_context(context)
    return key, ciphertexts.decrypt_rsa(material(key).private, algorithm, ciphertext), used


def _sealing_key(backend: KmsBackend, name: str, named: str | None) -> Key:
    """Return the key of a ciphertext, which must be the one that the request names."""
    if named is not None:
        key = find(backend, named)
        if name_in_ciphertexts(key) != name:
            text = "The key ID in the request does not identify a CMK that can perform this operation."
            raise KmsRefusal("IncorrectKeyException", text)
        return key
    found = find_sealing(backend, name)
    if found is None:
        raise KmsRefusal("AccessDeniedException", UNKNOWN_KEY)
    return found


def _check_no_context(context: ciphertexts.Context | None) -> None:
    if context:
        raise invalid("EncryptionContext is valid only for symmetric encryption keys.")


def _of_data_keys(backend: KmsBackend, params: Params, operation: str) -> Key:
    key = usable(find(backend, params["KeyId"]), ENCRYPT, operation)
    if not is_symmetric(key):
        raise incompatible(SYMMETRIC, key.key_spec)
    return key


def _of_signature(backend: KmsBackend, params: Params, operation: str) -> tuple[Key, str, str]:
    """Return the key, the algorithm and the MessageType."""
    key = usable(find(backend, params["KeyId"]), SIGN, operation)
    algorithm, kind = params["SigningAlgorithm"], params.get("MessageType", signatures.RAW)
    check_algorithm(key, algorithm)
    signatures.check_message(key.key_spec, algorithm, kind, params["Message"])
    return key, algorithm, kind


def _mac(backend: KmsBackend, params: Params, operation: str) -> tuple[Key, bytes]:
    key = usable(find(backend, params["KeyId"]), MAC, operation)
    check_algorithm(key, params["MacAlgorithm"])
    name = f"sha{params['MacAlgorithm'].rpartition('_')[2]}"
    return key, hmac.digest(material(key).mac, params["Message"], getattr(hashlib, name))


OPERATIONS: dict[str, Operation] = {
    "Decrypt": _decrypt,
    "Encrypt": _encrypt,
    "GenerateDataKey": _generate_data_key,
    "GenerateDataKeyPair": _generate_data_key_pair,
    "GenerateDataKeyPairWithoutPlaintext": _generate_data_key_pair,
    "GenerateDataKeyWithoutPlaintext": _generate_data_key,
    "GenerateMac": _generate_mac,
    "GenerateRandom": _generate_random,
    "GetPublicKey": _get_public_key,
    "ReEncrypt": _re_encrypt,
    "Sign": _sign,
    "Verify": _verify,
    "VerifyMac": _verify_mac,
}
"""The operations by their names in the API."""
