"""What MySQL and MariaDB store of a password, compared with one; and the hash that needs a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rotators.core.errors import TargetRefused
from rotators.strategies.hashes import native_password, sha256_crypt

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_ROUNDS = 10_000
"""Of a stored hash that is compared. Servers use 5000; four million, which they allow, take seconds here."""


def ed25519(password: str) -> str:
    """The authentication string of MariaDB's ``ed25519``: the public key in base 64, without a salt.

    The secret scalar is the clamped first half of SHA-512 of the password, unlike RFC 8032, where it is
    that of a seed (MariaDB knowledge base, "Authentication Plugin - ed25519").

    Raises:
        TargetRefused: PyNaCl is not installed.
    """
    require_nacl()
    from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp  # noqa: PLC0415 - an optional driver

    scalar = bytearray(hashlib.sha512(password.encode()).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    public = crypto_scalarmult_ed25519_base_noclamp(bytes(scalar))
    return base64.b64encode(public).decode().rstrip("=")


def require_nacl() -> None:
    """Check that PyNaCl is installed.

    Raises:
        TargetRefused: it is not; nothing was sent.
    """
    if find_spec("nacl") is None:
        raise TargetRefused(
            "the server asks for ed25519, which needs the package PyNaCl, and that is not installed",
            reason="plugin",
            remedy="Install rotators[ed25519]. If the user does not use ed25519, look whether it exists: for"
            " a user that is missing, MariaDB asks for any plugin.",
        )


def is_password(plugin: str, stored: bytes, password: str) -> bool | None:
    """Whether a password is the one that a server stored.

    Args:
        plugin: the name of the authentication plugin, as the server stores it.
        stored: the authentication string.
        password: the candidate.

    Returns:
        None when that cannot be told: another plugin, PyNaCl is missing, or the hash takes too long.
    """
    compared = _COMPARISONS.get(plugin)
    return None if compared is None else compared(stored, password)


def _is_native(stored: bytes, password: str) -> bool:
    return hmac.compare_digest(stored.upper(), native_password(password).encode())


def _is_ed25519(stored: bytes, password: str) -> bool | None:
    if find_spec("nacl") is None:
        return None
    return hmac.compare_digest(stored, ed25519(password).encode())


def _is_caching_sha2(stored: bytes, password: str) -> bool | None:
    # $A$, thousands of rounds as three hexadecimals, $, twenty bytes of salt, 43 characters.
    digits, salt, digest = stored[3:6], stored[7:27], stored[27:]
    try:
        rounds = int(digits, 16) * 1000
    except ValueError:
        return None
    return _is_crypt(password, salt, rounds, digest)


def _is_sha256(stored: bytes, password: str) -> bool | None:
    parts = stored.split(b"$")
    rounds = 5000
    if len(parts) == 5 and parts[2].startswith(b"rounds=") and parts[2][7:].isdigit():  # noqa: PLR2004 - $5$rounds=…$salt$hash
        rounds = int(parts.pop(2)[7:])
    return _is_crypt(password, parts[2], rounds, parts[3]) if len(parts) == 4 else None  # noqa: PLR2004 - $5$salt$hash


def _is_crypt(password: str, salt: bytes, rounds: int, digest: bytes) -> bool | None:
    if not 0 < rounds <= _MOST_ROUNDS:
        return None
    return hmac.compare_digest(digest, sha256_crypt(password.encode(), salt, rounds))


_COMPARISONS: dict[str, Callable[[bytes, str], bool | None]] = {
    "caching_sha2_password": _is_caching_sha2,
    "ed25519": _is_ed25519,
    "mysql_native_password": _is_native,
    "sha256_password": _is_sha256,
}
