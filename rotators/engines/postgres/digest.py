"""The answer to Amazon Redshift's AuthenticationRequest 13, for users with a sha256 hash.

Drivers that use libpq do not have it. Checked against AWS's driver, not against Amazon Redshift.

Source: aws/amazon-redshift-python-driver, the handling of AUTH_REQ_DIGEST.
"""

from __future__ import annotations

import hashlib
import secrets
import struct

_SHA256 = 0


class DigestError(Exception):
    """The request is for another algorithm than SHA-256, or is malformed."""


def digest_answer(password: str, asked: bytes, nonce: bytes | None = None) -> bytes:
    """Return the body of the answer: digest and nonce, each after its length.

    Args:
        password: in clear text.
        asked: the request after its code: algorithm, and salt and nonce, each after its length.
        nonce: nonce of the client; None for a new one.

    Returns:
        32 bytes of digest and the nonce; a length of four bytes precedes each.

    Raises:
        DigestError: it cannot be answered.
    """
    try:
        (algorithm,) = struct.unpack_from("!i", asked)
        salt, rest = _field(asked[4:])
        server_nonce, rest = _field(rest)
    except struct.error:
        raise DigestError from None
    if algorithm != _SHA256 or rest or not (salt and server_nonce):
        raise DigestError
    nonce = nonce or secrets.token_hex(16).encode()
    inner = hashlib.sha256(password.encode() + salt).digest()
    digest = hashlib.sha256(inner + server_nonce + nonce).digest()
    return b"".join(struct.pack("!i", len(part)) + part for part in (digest, nonce))


def _field(data: bytes) -> tuple[bytes, bytes]:
    """Return the first field of the data, and the rest."""
    (length,) = struct.unpack_from("!i", data)
    if not 0 <= length <= len(data) - 4:
        raise DigestError
    return data[4 : 4 + length], data[4 + length :]
