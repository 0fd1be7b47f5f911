"""Public keys in PEM, and signatures by them (securesystemslib, the extra ``receipts``)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey  # type: ignore[attr-defined]  # its public names, documented there

from rotators.receipts.errors import ReceiptInputInvalid
from rotators.receipts.verification import Verify

_ANY = "any"  # DSSE: the name of a key is a hint that must not be relied on


def verifier(keys: Sequence[bytes]) -> Verify:
    """Return a function that checks signatures.

    Args:
        keys: public keys in PEM; a signature by one of them is valid.

    Raises:
        ReceiptInputInvalid: a text is not a usable public key.
    """
    loaded = [_key(pem) for pem in keys]

    def verify(signed: bytes, signature: bytes) -> bool:
        return any(_is_by(key, signed, signature) for key in loaded)

    return verify


def _key(pem: bytes) -> SSlibKey:
    try:
        return SSlibKey.from_crypto(load_pem_public_key(pem), keyid=_ANY)
    except (UnsupportedAlgorithm, ValueError):
        raise ReceiptInputInvalid("a file of --key is not a public key in PEM format", reason="key") from None


def _is_by(key: SSlibKey, signed: bytes, signature: bytes) -> bool:
    try:
        key.verify_signature(Signature(_ANY, signature.hex()), signed)
    except UnverifiedSignatureError:
        return False
    return True
