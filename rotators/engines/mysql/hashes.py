"""Stored forms of passwords in MySQL and MariaDB, computed here so that passwords are not sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable
from importlib.util import find_spec

from rotators.core.errors import TargetRefused

_CRYPT = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase
_SALT_CHARACTERS = string.ascii_letters + string.digits


def native_password(password: str) -> str:
    """Return the hash of ``mysql_native_password``: an asterisk and SHA-1 of SHA-1, as upper-case hex.

    Args:
        password: in clear text.
    """
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def caching_sha2(password: str) -> bytes:
    """Return the authentication string of ``caching_sha2_password``, with a new salt of twenty characters.

    Its form is ``$A$005$``, the salt, and SHA-256-crypt of 5000 rounds (MySQL, sha2_password.cc).

    Args:
        password: in clear text.

    Returns:
        70 bytes: 7, the salt of 20, and the digest of 43.
    """
    salt = "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(20)).encode()
    return b"$A$005$" + salt + sha256_crypt(password.encode(), salt, 5000)


def sha256_password(password: str) -> str:
    """Return the authentication string of MySQL's ``sha256_password``, with a new salt of twenty characters.

    Its form is ``$5$``, the salt, ``$``, and SHA-256-crypt of 5000 rounds (MySQL, crypt_genhash_impl.cc).

    Args:
        password: in clear text.
    """
    salt = "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(20))
    return f"$5${salt}$" + sha256_crypt(password.encode(), salt.encode(), 5000).decode()


def sha256_crypt(password: bytes, salt: bytes, rounds: int) -> bytes:
    """Return the 43 characters of SHA-256-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512").

    Args:
        password: any bytes.
        salt: any bytes; unlike crypt(3), all of them are used.
        rounds: number of rounds.

    Returns:
        The digest in crypt's base 64, without the salt and the number of rounds.
    """
    other = _sha256(password + salt + password)
    start = password + salt + _repeated(other, len(password))
    bits = len(password)
    while bits:
        start += other if bits & 1 else password
        bits >>= 1
    digest = _sha256(start)
    p = _repeated(_sha256(password * len(password)), len(password))
    s = _repeated(_sha256(salt * (16 + digest[0])), len(salt))
    for number in range(rounds):
        text = p if number & 1 else digest
        text += s if number % 3 else b""
        text += p if number % 7 else b""
        digest = _sha256(text + (digest if number & 1 else p))
    return _encoded(digest)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _repeated(data: bytes, length: int) -> bytes:
    return (data * (length // len(data) + 1))[:length]


def _encoded(digest: bytes) -> bytes:
    """Encode in crypt's base 64: three bytes, in an order specific to crypt, give four characters."""
    text = ""
    first, second, third = 0, 10, 20
    for _ in range(10):
        text += _characters(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = third + 1, first + 1, second + 1
    return (text + _characters(digest[31] << 8 | digest[30], 3)).encode()


def _characters(value: int, count: int) -> str:
    return "".join(_CRYPT[value >> 6 * place & 63] for place in range(count))


_MOST_ROUNDS = 10_000
"""Most rounds of a hash that is compared. Servers use 5000; four million, which they allow, take seconds."""


def ed25519(password: str) -> str:
    """Return the authentication string of MariaDB's ``ed25519``: the public key in base 64, without a salt.

    The secret scalar is the clamped first half of SHA-512 of the password, unlike RFC 8032, where it is
    that of a seed (MariaDB knowledge base, "Authentication Plugin - ed25519").

    Args:
        password: in clear text.

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
        TargetRefused: it is not installed; nothing was sent.
    """
    if find_spec("nacl") is None:
        raise TargetRefused(
            "the server asks for ed25519, which needs the package PyNaCl, and that is not installed",
            reason="plugin",
            remedy="Install rotators[ed25519]. If the user does not use ed25519, look whether it exists: for"
            " a user that is missing, MariaDB asks for any plugin.",
        )


def is_password(plugin: str, stored: bytes, password: str) -> bool | None:
    """Return True if a password matches the stored authentication string.

    Args:
        plugin: name of the authentication plugin, as the server stores it.
        stored: authentication string.
        password: candidate, in clear text.

    Returns:
        None if it cannot be determined: another plugin, PyNaCl is missing, or the hash takes too long.
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
