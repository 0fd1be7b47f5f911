"""Sealing and opening with the AWS Encryption SDK. Imported only by ``sealing``, when it is needed.

Every value has its own data key, which KMS encrypts with the sealing key; data keys are not cached. The
encryption context names the secret. It is part of KMS's encryption and of the message, so a value that was
copied to another secret is refused. The context has the name, because the ARN is not known before a secret is
created and differs in each Region. The version is not part of it, so that values can be restored from a copy.

Only the algorithm suite with key commitment and a signature is accepted. Without commitment, a message could
be decrypted to two texts. Without a signature, every caller who may open a value could create another one
with its data key.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import DecryptKeyError, GenerateKeyError, SerializationError
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.key_providers.kms import MRKAwareKMSMasterKey
from aws_encryption_sdk.streaming_client import StreamDecryptor
from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import (
    AccessDenied,
    KeyUnusable,
    RequestRefused,
    RotatorsError,
    SealedValueError,
)

NAME = "SecretName"
"""Member of the encryption context: the name of the secret. KMS logs it, and policies can name it."""

_ENCODING = ("utf-8", "surrogatepass")  # JSON permits half of a surrogate pair
_SUITE = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
_SDK = EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
)
_REMEDY = (
    "Grant the caller kms:Decrypt, and kms:GenerateDataKey if it stores values, on the sealing key, in its"
    " policy and in the key's; a condition on kms:EncryptionContext:SecretName must match. If the key is"
    " disabled or its deletion is scheduled, enable it. Then repeat the call: nothing was lost."
)
# KMS's answers for an encrypted data key or a context that was changed.
_ALTERED = {"IncorrectKeyException", "InvalidCiphertextException"}

# It logs each failure with its traceback, in addition to raising it. A level set by the application is kept.
_LOGGER = logging.getLogger("aws_encryption_sdk")
_LOGGER.setLevel(_LOGGER.level or logging.CRITICAL)


def sealed(name: str, text: str, key: str) -> bytes:
    """Encrypt the value of a secret.

    Args:
        name: name of the secret.
        text: the value.
        key: ARN of the sealing key.

    Returns:
        The message.

    Raises:
        StoreError: KMS did not create a data key.
    """
    with clients.in_region_of(key):
        message, _ = _SDK.encrypt(
            source=text.encode(*_ENCODING),
            key_provider=_Key(key_id=key, client=clients.kms()),
            encryption_context={NAME: name},
            algorithm=_SUITE,
        )
    return bytes(message)


def opened(name: str, message: bytes, keys: Sequence[str]) -> str:
    """Decrypt the value of a secret.

    Args:
        name: name of the secret.
        message: result of ``sealed``.
        keys: ARNs of the trusted sealing keys. No other key is used, even if the message names one.

    Returns:
        The value.

    Raises:
        SealedValueError: the message was changed, or belongs to another secret or to another key.
        StoreError: KMS did not decrypt the data key.
    """
    found = next((each for key in keys if (each := _opened_by(key, name, message))), None)
    if found is None:
        raise SealedValueError(
            f"the value of {name} is sealed with a key that SEALING_KEYS does not name",
            remedy="Add the ARN of the key to SEALING_KEYS, if you trust it; the first one seals new values.",
            reason="other-key",
        )
    text, header = found
    if header.encryption_context.get(NAME) != name:
        raise SealedValueError(
            f"the value of {name} was sealed for another secret",
            remedy="Find out who copied it. Store a value that was sealed for this secret.",
            reason="other-secret",
        )
    return text


def _opened_by(key: str, name: str, message: bytes) -> tuple[str, Any] | None:
    """Return the text and the header of a message; None if another key sealed it."""
    try:
        source = io.BytesIO(message)
        with clients.in_region_of(key), _decryptor(source, key) as decryptor:
            content, header = decryptor.read(), decryptor.header
        if header.algorithm is _SUITE and source.tell() == len(message):
            return content.decode(*_ENCODING), header
    except DecryptKeyError:
        return None
    except RotatorsError:
        raise
    except Exception:  # noqa: BLE001, S110 - for a changed message, the SDK's parser may raise any type
        pass
    raise SealedValueError(f"the sealed value of {name} cannot be opened: it was changed", reason="altered")


class _Decryptor(StreamDecryptor):  # type: ignore[misc]  # the SDK has no types
    """A decryptor that may be closed before the end of the message.

    `StreamDecryptor` raises an error then. Python 3.13 and later print it when the object is deleted, so each
    refused value would print a traceback.
    """

    def close(self) -> None:
        with suppress(SerializationError):
            super().close()


def _decryptor(source: io.BytesIO, key: str) -> _Decryptor:
    return _Decryptor(
        source=source,
        key_provider=_Key(key_id=key, client=clients.kms()),
        commitment_policy=_SDK.config.commitment_policy,
        max_encrypted_data_keys=_SDK.config.max_encrypted_data_keys,
    )


class _Key(MRKAwareKMSMasterKey):  # type: ignore[misc]  # the SDK has no types
    """A sealing key that keeps the reasons of KMS's refusals. A multi-Region key opens in each Region."""

    def _generate_data_key(self, algorithm: Any, encryption_context: Any = None) -> Any:
        with _asking("GenerateDataKey", self._key_id):
            return super()._generate_data_key(algorithm, encryption_context)

    def _decrypt_data_key(
        self, encrypted_data_key: Any, algorithm: Any, encryption_context: Any = None
    ) -> Any:
        with _asking("Decrypt", self._key_id):
            return super()._decrypt_data_key(encrypted_data_key, algorithm, encryption_context)


@contextmanager
def _asking(action: str, key: str) -> Iterator[None]:
    """Raise the errors of this project for refusals of KMS."""
    try:
        with translated(action, key), _refusals():
            yield
    except AccessDenied as error:
        if error.reason not in {None, "kms"}:
            raise  # about the credentials
        raise AccessDenied(
            f"the sealing key may not be used: {error.cause}", remedy=_REMEDY, reason="sealing-key"
        ) from None
    except (KeyUnusable, RequestRefused) as error:
        raise KeyUnusable(
            f"the sealing key cannot be used: {error.cause}", remedy=_REMEDY, reason="sealing-key"
        ) from None


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise boto3's error, which is the cause of the SDK's error."""
    try:
        yield
    except (DecryptKeyError, GenerateKeyError) as error:
        refusal = error.__cause__
        if not isinstance(refusal, ClientError):
            raise
        if refusal.response.get("Error", {}).get("Code") in _ALTERED:
            raise ValueError from None  # not a DecryptKeyError, which means another key
        raise refusal from None
