"""The file of a receipt: a DSSE envelope (secure-systems-lab/dsse, envelope.md and protocol.md).

An envelope has exactly one valid form in bytes, so every changed byte of a file is detected: the payload and
the name of the key are signed, and the rest has only one spelling. Only the signature has a second form
(ECDSA also accepts r, n - s); in that case the digest in the next receipt differs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Self

from rotators.receipts.errors import ReceiptUnreadable

PAYLOAD_TYPE = "application/vnd.in-toto+json"
LONGEST_FILE = 16_384
"""Maximum size of a receipt's file in bytes; KMS signs 4,096 bytes."""


@dataclass(frozen=True)
class Envelope:
    """A signed payload.

    Attributes:
        payload: the statement.
        key_id: name of the key; it must not be relied on, because it is not signed.
        signature: signature in DER.
    """

    payload: bytes
    key_id: str
    signature: bytes

    def encoded(self) -> bytes:
        """Return the bytes of the file.

        Returns:
            JSON in UTF-8, without blanks.
        """
        signatures = [{"keyid": self.key_id, "sig": _text(self.signature)}]
        envelope = {"payload": _text(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
        return json.dumps(envelope, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Self:
        """Read a file.

        Args:
            data: its bytes; untrusted.

        Returns:
            The envelope; its signature is not verified.

        Raises:
            ReceiptUnreadable: it is not an envelope, or not in the form that `encoded` returns.
        """
        if len(data) > LONGEST_FILE:
            raise ReceiptUnreadable(f"it has more than {LONGEST_FILE} bytes")
        try:
            read = json.loads(data)
            (signature,) = read["signatures"]
            texts = read["payload"], signature["sig"]
            payload, signed = (base64.b64decode(text, validate=True) for text in texts)
            envelope = cls(payload, str(signature["keyid"]), signed)
        except (KeyError, RecursionError, TypeError, ValueError):
            raise ReceiptUnreadable("it is not a DSSE envelope with one signature") from None
        if envelope.encoded() != data:
            raise ReceiptUnreadable("its bytes differ from the written form")
        return envelope


def signed_bytes(payload: bytes) -> bytes:
    """Return the bytes that are signed for a payload: DSSE's pre-authentication encoding (protocol.md).

    Args:
        payload: the statement.

    Returns:
        The bytes, of which KMS computes the digest.
    """
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a file, by which the next receipt names it.

    Args:
        data: the file's bytes.
    """
    return hashlib.sha256(data).hexdigest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
