"""What servers store in the place of a password, computed here, so that the password itself stays here."""

from __future__ import annotations

import hashlib
import secrets
import string

_CRYPT = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase
_SALT_CHARACTERS = string.ascii_letters + string.digits


def native_password(password: str) -> str:
    """The hash of ``mysql_native_password``: an asterisk and SHA-1 of SHA-1 in upper-case hexadecimals."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def caching_sha2(password: str) -> bytes:
    """The authentication string of ``caching_sha2_password``, with a new salt of twenty characters.

    Its form is ``$A$005$``, the salt, and SHA-256-crypt of 5000 rounds (MySQL, sha2_password.cc).
    """
    salt = "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(20)).encode()
    return b"$A$005$" + salt + sha256_crypt(password.encode(), salt, 5000)


def sha256_password(password: str) -> str:
    """The authentication string of MySQL's ``sha256_password``, with a new salt of twenty characters.

    Its form is ``$5$``, the salt, ``$``, and SHA-256-crypt of 5000 rounds (MySQL, crypt_genhash_impl.cc).
    """
    salt = "".join(secrets.choice(_SALT_CHARACTERS) for _ in range(20))
    return f"$5${salt}$" + sha256_crypt(password.encode(), salt.encode(), 5000).decode()


def sha256_crypt(password: bytes, salt: bytes, rounds: int) -> bytes:
    """The 43 characters of SHA-256-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512").

    Args:
        password: any bytes.
        salt: any bytes; unlike crypt(3), all of them count.
        rounds: how often.
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
    """Crypt's own base 64: three bytes, in an order of their own, give four characters."""
    text = ""
    first, second, third = 0, 10, 20
    for _ in range(10):
        text += _characters(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = third + 1, first + 1, second + 1
    return (text + _characters(digest[31] << 8 | digest[30], 3)).encode()


def _characters(value: int, count: int) -> str:
    return "".join(_CRYPT[value >> 6 * place & 63] for place in range(count))
